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

  #view; // what scrolls
  #settled = document.createElement("div");
  #waiting = document.createElement("div"); // unacknowledged, in the order they were said
  #texts;
  #language;
  #groups = new WeakMap(); // element -> {element, name, isMine, at, until}, as all groups are here
  #present = { parent: this.#settled, group: null, day: "" }; // where the newest go: see #add
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
    view.addEventListener("wheel", () => this.#lookUp(), { passive: true }); // at the very top nothing scrolls any more
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
    this.#add(this.#present, message, isMine, waiting?.querySelector("p"));
    this.#grow(!isMine);
  }

  /** Puts older messages, oldest first, above all others; what the reader sees stays where it is. */
  prepend(messages, isMine) {
    const seen = this.#firstVisible;
    const place = seen.getBoundingClientRect().top;
    this.#removeTopDividers();
    const next = this.#groups.get(this.#settled.firstElementChild);
    const past = { parent: document.createDocumentFragment(), group: null, day: "" };
    for (const message of messages) this.#add(past, message, isMine(message.key));
    if (next.at.toDateString() !== past.day) past.parent.append(this.#dayDivider(next.at));
    else this.#join(past.group, next);
    for (const element of past.parent.children) element.ariaLive = "off"; // history is not read aloud
    this.#settled.prepend(past.parent);
    this.#view.scrollTop += seen.getBoundingClientRect().top - place;
    this.#lookUp(); // it may not fill the view yet
  }

  /** Shows what was said here and is on its way. */
  wait(key, text, name) {
    const group = this.#newGroup(name, new Date(), true);
    group.classList.add("waiting");
    group.dataset.key = key;
    // What will join the group above looks like a part of it already, so that nothing moves when it does.
    const last = this.#present.group;
    const above = this.#waiting.lastElementChild ?? (last?.isMine && last.name === name ? last : null);
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

  /** Says something about the log itself: a gap. */
  divide(text) {
    this.#settled.append(MessageLog.#divider(text));
    this.#present.group = null;
    this.#grow(false);
  }

  /** From here on it is another log, and says so: the seqs of what is shown mean nothing any more. */
  restart(text) {
    for (const message of this.#settled.querySelectorAll("p")) delete message.dataset.seq;
    this.divide(text);
  }

  jumpToEnd() {
    this.#isAtEnd = true;
    this.#setUnseen(0);
    this.#scrollToEnd();
  }

  // A stretch {parent, group, day} is a place where messages are added one after the other, and what the next one is
  // compared with: the group it may join, and the day.
  #add(stretch, { seq, at, name = "", text }, isMine, message = this.#paragraph(text)) {
    const when = new Date(at);
    this.#divideDays(stretch, when);
    message.dataset.seq = seq;
    const last = stretch.group;
    if (last?.name !== name || last.isMine !== isMine || when - last.at >= MessageLog.GROUP_SPAN) {
      const element = this.#newGroup(name, when, isMine);
      stretch.group = { element, name, isMine, at: when };
      this.#groups.set(element, stretch.group);
      stretch.parent.append(element);
    }
    stretch.group.until = when;
    stretch.group.element.append(message);
    this.#count++;
  }

  // What was one group before it was cut in two by a page's end is one again.
  #join(older, newer) {
    if (older.name !== newer.name || older.isMine !== newer.isMine || newer.until - older.at >= MessageLog.GROUP_SPAN) return;
    const [byline, ...messages] = older.element.children;
    for (const message of messages) message.ariaLive = "off";
    newer.element.firstElementChild.replaceWith(byline, ...messages);
    newer.at = older.at;
    older.element.remove();
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

  // It begins with a day too, unless with today.
  #divideDays(stretch, when) {
    const day = when.toDateString();
    if (day === stretch.day) return;
    if (stretch.day || !MessageLog.#isToday(when)) {
      stretch.parent.append(this.#dayDivider(when));
      stretch.group = null;
    }
    stretch.day = day;
  }

  #dayDivider(when) {
    return MessageLog.#divider(MessageLog.#isToday(when) ? this.#texts.today : when.toLocaleDateString(this.#language, { dateStyle: "full" }));
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
    if (this.#count <= MessageLog.LONGEST) return;
    while (this.#count > MessageLog.LONGEST) {
      const message = this.#settled.querySelector("p");
      const group = message.parentElement;
      message.remove();
      this.#count--;
      if (!group.querySelector("p")) group.remove();
    }
    this.#removeTopDividers();
    const { at } = this.#groups.get(this.#settled.firstElementChild);
    if (!MessageLog.#isToday(at)) this.#settled.prepend(this.#dayDivider(at));
  }

  // With nothing above them they part nothing.
  #removeTopDividers() {
    while (this.#settled.firstElementChild?.matches(".divider")) this.#settled.firstElementChild.remove();
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
    this.#isAtEnd = this.#isNearEnd;
    if (this.#isAtEnd) this.#setUnseen(0);
    this.#lookUp();
  }

  #lookUp() {
    if (this.isNearTop) this.dispatchEvent(new Event("top"));
  }

  get #firstVisible() {
    const top = this.#view.getBoundingClientRect().top;
    const messages = Array.from(this.#settled.querySelectorAll("p"));
    return messages.find((message) => message.getBoundingClientRect().bottom > top) ?? messages.at(-1);
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

  static #divider(text) {
    const divider = MessageLog.#clone("divider-template");
    divider.querySelector("span").textContent = text;
    return divider;
  }

  static #isToday(when) {
    return when.toDateString() === new Date().toDateString();
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
