"use strict";

/**
 * A message log shows a room's messages in order, a <p> each, grouped by author, and below them what was said here and is
 * not yet acknowledged. It follows the newest only while the reader is at the end, and says when the reader comes near the
 * top ("top"): what is put there does not move what is being read. It knows no socket.
 */
class MessageLog extends EventTarget {
  static GROUP_SPAN = 5 * 60_000; // ms: longer apart, a message says its author and time again
  static LONGEST = 1000; // messages on the page; older ones go while nobody reads them
  static NEAR = 48; // pixels from an end that still count as being there
  static EARLY = 600; // pixels from the top from which on older messages are wanted

  unseen = 0; // messages that came below what is being read; "unseen" says that it has changed

  #view; // what scrolls
  #settled = make("div");
  #waiting = make("div", { className: "waiting" }); // unacknowledged, in the order they were said
  #texts;
  #language;
  #isAtEnd = true;
  #isScrolling = false;
  #size = "";

  constructor(view, messages, texts, language) {
    super();
    this.#view = view;
    this.#texts = texts;
    this.#language = language;
    messages.append(this.#settled, this.#waiting);
    view.addEventListener("scroll", () => this.#look(), { passive: true });
    view.addEventListener("wheel", () => this.#lookUp(), { passive: true }); // at the very top nothing scrolls any more
    // When the view gets smaller (a keyboard comes up), whoever was at the end stays there.
    new ResizeObserver(() => {
      this.#size = this.#viewSize;
      if (this.#isAtEnd) this.#scrollToEnd();
    }).observe(view);
  }

  /** The seq of the first message shown; 0 when there is none, or when it is one of a log that is no more. */
  get oldest() {
    return Number(this.#settled.querySelector("p")?.dataset.seq ?? 0);
  }

  /** Whether the reader may soon want what came before. Who is at the end does so only when that is the top too. */
  get isNearTop() {
    return this.#view.scrollTop < (this.#isAtEnd ? MessageLog.NEAR : MessageLog.EARLY);
  }

  /** Appends a message. If it was waiting, its very <p> moves into place. */
  append(message, isMine) {
    const waiting = this.#find(message.key);
    waiting?.remove();
    this.#add(this.#settled, message, isMine, waiting?.querySelector("p"));
    this.#grow(!isMine);
  }

  /** Puts older messages, oldest first, above all others; what the reader sees stays where it is. */
  prepend(messages, isMine) {
    const top = this.#view.getBoundingClientRect().top;
    const seen = this.#messages.find((message) => message.getBoundingClientRect().bottom > top) ?? this.#messages.at(-1);
    const place = seen.getBoundingClientRect().top;
    this.#removeTopDividers();
    const next = this.#settled.firstElementChild;
    const past = document.createDocumentFragment();
    for (const message of messages) this.#add(past, message, isMine(message.key));
    const last = past.lastElementChild;
    past.append(...this.#newDay(last, next));
    for (const element of past.querySelectorAll("*")) element.ariaLive = "off"; // history is not read aloud
    if (MessageLog.#belongs(last, next.dataset.kin, next.lastElementChild.dataset.at)) {
      next.firstElementChild.replaceWith(...last.children); // one group, cut by the end of a page
      last.remove();
    }
    this.#settled.prepend(past);
    this.#view.scrollTop += seen.getBoundingClientRect().top - place;
    this.#lookUp(); // it may not fill the view yet
  }

  /** Shows what was said here and is on its way. */
  wait(key, text, name) {
    const now = new Date();
    const group = this.#newGroup(name, now, true);
    group.dataset.key = key;
    // What will join the group above looks like a part of it already, so that nothing moves when it does.
    const above = this.#waiting.lastElementChild ?? this.#settled.lastElementChild;
    group.classList.toggle("continued", MessageLog.#belongs(above, group.dataset.kin, now));
    group.querySelector("time").textContent = this.#texts.pending;
    group.append(this.#paragraph(text));
    this.#waiting.append(group);
    this.jumpToEnd();
  }

  /** Takes away what was waiting: it is in the log already. */
  forget(key) {
    this.#find(key)?.remove();
  }

  /** Shows that a message was refused, why, and offers to correct it. */
  refuse(key, reason, onEdit) {
    const group = this.#find(key);
    if (!group) return;
    group.classList.remove("continued");
    group.querySelector("time").textContent = "";
    const refusal = make("div", { className: "refusal", textContent: `${reason} ` });
    const edit = make("button", { type: "button", textContent: this.#texts.edit });
    edit.onclick = () => {
      group.remove();
      onEdit();
    };
    refusal.append(edit);
    group.append(refusal);
    this.#grow(false);
  }

  /** Says something about the log itself: a gap. */
  divide(text) {
    this.#settled.append(make("div", { className: "divider", textContent: text }));
    this.#grow(false);
  }

  /** From here on it is another log, and says so: the seqs of what is shown mean nothing any more. */
  restart(text) {
    for (const message of this.#messages) delete message.dataset.seq;
    this.divide(text);
  }

  jumpToEnd() {
    this.#isAtEnd = true;
    this.#setUnseen(0);
    this.#scrollToEnd();
  }

  #add(parent, { seq, at, name = "", text }, isMine, message = this.#paragraph(text)) {
    Object.assign(message.dataset, { seq, at });
    const when = new Date(at);
    let group = parent.lastElementChild;
    if (!MessageLog.#belongs(group, MessageLog.#kin(name, when, isMine), at)) {
      const above = Array.from(parent.querySelectorAll(".group")).at(-1);
      group = this.#newGroup(name, when, isMine);
      parent.append(...this.#newDay(above, group), group);
    }
    group.append(message);
  }

  // What the messages of a group have in common.
  static #kin(name, when, isMine) {
    return `${when.toDateString()} ${isMine} ${name}`;
  }

  static #belongs(group, kin, at) {
    return group?.dataset.kin === kin && new Date(at) - MessageLog.#beginningOf(group) < MessageLog.GROUP_SPAN;
  }

  static #beginningOf(group) {
    return new Date(group.querySelector("time").dateTime);
  }

  #newGroup(name, when, isMine) {
    const group = document.getElementById("group-template").content.firstElementChild.cloneNode(true);
    group.dataset.kin = MessageLog.#kin(name, when, isMine);
    group.classList.toggle("mine", isMine);
    const author = group.querySelector(".author");
    author.textContent = name || this.#texts.nameless;
    author.style.setProperty("--hue", MessageLog.#hue(name));
    const time = group.querySelector("time");
    time.dateTime = when.toISOString();
    time.textContent = when.toLocaleTimeString(this.#language, { hour: "2-digit", minute: "2-digit" });
    time.title = when.toLocaleString(this.#language);
    return group;
  }

  #paragraph(text) {
    const message = make("p", { dir: "auto" });
    message.append(...MessageLog.#withLinks(text));
    return message;
  }

  // The divider between two groups, if any: a day is told where it begins, and at the top unless it is today.
  #newDay(above, group) {
    const when = MessageLog.#beginningOf(group);
    const day = when.toDateString();
    const today = new Date().toDateString();
    if (day === (above ? MessageLog.#beginningOf(above).toDateString() : today)) return [];
    const textContent = day === today ? this.#texts.today : when.toLocaleDateString(this.#language, { dateStyle: "full" });
    return [make("div", { className: "divider", textContent })];
  }

  #find(key) {
    return Array.from(this.#waiting.children).find((group) => group.dataset.key === key);
  }

  // After something was added: follow it, or say that it is there.
  #grow(isNews) {
    if (this.#isAtEnd) {
      this.#trim();
      this.#scrollToEnd();
    } else if (isNews) {
      this.#setUnseen(this.unseen + 1);
    }
  }

  #trim() {
    const tooMany = this.#messages.slice(0, -MessageLog.LONGEST);
    if (tooMany.length === 0) return;
    for (const message of tooMany) (message.nextElementSibling ? message : message.parentElement).remove(); // the last takes its group along
    this.#removeTopDividers();
    this.#settled.prepend(...this.#newDay(null, this.#settled.firstElementChild));
  }

  // With nothing above them they part nothing.
  #removeTopDividers() {
    while (this.#settled.firstElementChild.matches(".divider")) this.#settled.firstElementChild.remove();
  }

  // Once a frame, however many messages come in it.
  #scrollToEnd() {
    if (this.#isScrolling) return;
    this.#isScrolling = true;
    requestAnimationFrame(() => {
      this.#isScrolling = false;
      if (this.#isAtEnd) this.#view.scrollTop = this.#view.scrollHeight;
      this.#lookUp();
    });
  }

  #look() {
    // Not where the reader wants to be, but where growth or a new size has left the view for a moment.
    if (this.#isScrolling || this.#size !== this.#viewSize) return;
    const { scrollHeight, scrollTop, clientHeight } = this.#view;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < MessageLog.NEAR;
    if (this.#isAtEnd) this.#setUnseen(0);
    this.#lookUp();
  }

  #lookUp() {
    if (this.isNearTop) this.dispatchEvent(new Event("top"));
  }

  get #messages() {
    return Array.from(this.#settled.querySelectorAll("p"));
  }

  get #viewSize() {
    return `${this.#view.clientWidth} x ${this.#view.clientHeight}`;
  }

  #setUnseen(count) {
    if (count === this.unseen) return;
    this.unseen = count;
    this.dispatchEvent(new Event("unseen"));
  }

  // The same name has the same colour everywhere; user1 and user2 have colours far apart.
  static #hue(name) {
    let hue = 0;
    for (const character of name) hue = ((hue + character.codePointAt(0)) * 317) % 360;
    return hue;
  }

  // http and https only; what ends a sentence does not end a link.
  static *#withLinks(text) {
    let end = 0;
    for (const { 0: match, index } of text.matchAll(/https?:\/\/[^\s<>"“”«»]+/gi)) {
      let address = match.replace(/[.,;:!?'’…*_]+$/, "");
      if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
      if (!URL.canParse(address)) continue;
      yield text.slice(end, index);
      yield make("a", { href: address, rel: "noopener noreferrer", target: "_blank", textContent: address });
      end = index + address.length;
    }
    yield text.slice(end);
  }
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
