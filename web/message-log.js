"use strict";

/**
 * A message log shows a room's messages in order, a <p> each, grouped by author, and below them what was said here and is
 * not yet acknowledged. It follows the newest only while the reader is at the end. It knows no socket.
 */
class MessageLog extends EventTarget {
  static GROUP_SPAN = 5 * 60_000; // ms: longer apart, a message says its author and time again
  static LONGEST = 1000; // messages on the page; older ones go while nobody reads them
  static NEAR = 48; // pixels from the end that still count as being there

  #view; // what scrolls
  #settled = document.createElement("div");
  #waiting = document.createElement("div"); // unacknowledged, in the order they were said
  #texts;
  #language;
  #group = null; // the last settled one, as long as it may grow: {name, isMine, at, element}
  #day = "";
  #count = 0;
  #unseen = 0;
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
    // When the view gets smaller (a keyboard comes up), whoever was at the end stays there.
    new ResizeObserver(() => {
      this.#size = this.#viewSize;
      if (this.#isAtEnd) this.#scrollToEnd();
    }).observe(view);
  }

  get isEmpty() {
    return this.#settled.childElementCount === 0 && this.#waiting.childElementCount === 0;
  }

  get unseen() {
    return this.#unseen;
  }

  /** Appends a message. If it was waiting, its very <p> moves into place. */
  append({ seq, at, name = "", text, key }, isMine) {
    const when = new Date(at);
    this.#divideDays(when);
    const waiting = this.#find(key);
    const message = waiting?.querySelector("p") ?? this.#paragraph(text);
    waiting?.remove();
    message.dataset.seq = seq;
    this.#groupFor(name, when, isMine).append(message);
    this.#count++;
    this.#grow(!isMine);
  }

  /** Shows what was said here and is on its way. */
  wait(key, text, name) {
    const group = this.#newGroup(name, new Date(), true);
    group.classList.add("waiting");
    group.dataset.key = key;
    // What will join the group above looks like a part of it already, so that nothing moves when it does.
    const above = this.#waiting.lastElementChild ?? (this.#group?.isMine && this.#group.name === name ? this.#group : null);
    group.classList.toggle("continued", Boolean(above));
    group.querySelector(".time").textContent = this.#texts.waiting;
    group.append(this.#paragraph(text));
    this.#waiting.append(group);
    this.#grow(false);
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
    group.classList.replace("waiting", "refused");
    group.classList.remove("continued");
    group.querySelector(".time").textContent = "";
    const refusal = MessageLog.#clone("refusal-template");
    refusal.querySelector(".refusal-reason").textContent = reason;
    const edit = refusal.querySelector(".edit");
    edit.textContent = this.#texts.edit;
    edit.onclick = () => {
      group.remove();
      onEdit();
    };
    group.append(refusal);
    this.#grow(false);
  }

  /** Says something about the log itself: a gap, a new log. */
  divide(text) {
    const divider = MessageLog.#clone("divider-template");
    divider.querySelector("span").textContent = text;
    this.#settled.append(divider);
    this.#group = null;
    this.#grow(false);
  }

  jumpToEnd() {
    this.#isAtEnd = true;
    this.#setUnseen(0);
    this.#scrollToEnd();
  }

  #groupFor(name, when, isMine) {
    const last = this.#group;
    if (last?.name === name && last.isMine === isMine && when - last.at < MessageLog.GROUP_SPAN) return last.element;
    const element = this.#newGroup(name, when, isMine);
    this.#settled.append(element);
    this.#group = { name, isMine, at: when, element };
    return element;
  }

  #newGroup(name, when, isMine) {
    const group = MessageLog.#clone("group-template");
    group.classList.toggle("mine", isMine);
    const author = group.querySelector(".author");
    author.textContent = name || this.#texts.nameless;
    author.style.setProperty("--hue", MessageLog.#hue(name));
    const time = group.querySelector(".time");
    time.dateTime = when.toISOString();
    time.textContent = when.toLocaleTimeString(this.#language, { hour: "2-digit", minute: "2-digit" });
    time.title = when.toLocaleString(this.#language);
    return group;
  }

  #paragraph(text) {
    const message = MessageLog.#clone("message-template");
    message.append(...MessageLog.#withLinks(text));
    return message;
  }

  #divideDays(when) {
    const day = when.toDateString();
    if (day === this.#day) return;
    const isToday = day === new Date().toDateString();
    if (this.#day || !isToday) this.divide(isToday ? this.#texts.today : when.toLocaleDateString(this.#language, { dateStyle: "full" }));
    this.#day = day;
  }

  #find(key) {
    return key && Array.from(this.#waiting.children).find((group) => group.dataset.key === key);
  }

  // After something was added: follow it, or say that it is there.
  #grow(isNews) {
    if (this.#isAtEnd) {
      this.#trim();
      this.#scrollToEnd();
    } else if (isNews) {
      this.#setUnseen(this.#unseen + 1);
    }
  }

  #trim() {
    while (this.#count > MessageLog.LONGEST) {
      const oldest = this.#settled.firstElementChild;
      this.#count -= oldest.querySelectorAll("p").length;
      oldest.remove();
      if (oldest === this.#group?.element) this.#group = null;
    }
  }

  // Once a frame, however many messages come in it.
  #scrollToEnd() {
    if (this.#isScrolling) return;
    this.#isScrolling = true;
    requestAnimationFrame(() => {
      this.#isScrolling = false;
      if (this.#isAtEnd) this.#view.scrollTop = this.#view.scrollHeight;
    });
  }

  #look() {
    // Not where the reader wants to be, but where growth or a new size has left the view for a moment.
    if (this.#isScrolling || this.#size !== this.#viewSize) return;
    this.#isAtEnd = this.#isNearEnd;
    if (this.#isAtEnd) this.#setUnseen(0);
  }

  get #viewSize() {
    return `${this.#view.clientWidth} x ${this.#view.clientHeight}`;
  }

  get #isNearEnd() {
    return this.#view.scrollHeight - this.#view.scrollTop - this.#view.clientHeight < MessageLog.NEAR;
  }

  #setUnseen(count) {
    if (count === this.#unseen) return;
    this.#unseen = count;
    this.dispatchEvent(new Event("unseen"));
  }

  static #clone(id) {
    return document.getElementById(id).content.firstElementChild.cloneNode(true);
  }

  // The same name has the same colour everywhere.
  static #hue(name) {
    let hue = 0;
    for (const character of name) hue = (hue * 31 + character.codePointAt(0)) % 360;
    return hue;
  }

  // http and https only; what ends a sentence does not end a link.
  static *#withLinks(text) {
    let end = 0;
    for (const { 0: match, index } of text.matchAll(/https?:\/\/[^\s<>"“”«»]+/gi)) {
      let address = match.replace(/[.,;:!?'’…*_]+$/, "");
      if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
      if (!URL.canParse(address)) continue;
      if (index > end) yield text.slice(end, index);
      const link = document.createElement("a");
      link.href = address;
      link.rel = "noopener noreferrer";
      link.target = "_blank";
      link.textContent = address;
      yield link;
      end = index + address.length;
    }
    if (end < text.length) yield text.slice(end);
  }
}
