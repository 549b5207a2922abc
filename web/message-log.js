"use strict";

/**
 * A message log shows a stretch of a room's log, a <p> a message, and below it what was written here and is not settled. It follows
 * the newest message only while the reader is at the end. What it holds is bounded wherever it is scrolled: what is added at one end
 * goes at the other. So it may end before the log does; then it is detached, and what comes is only counted.
 * Events: "top" and "bottom", when the reader comes near an end that is not the log's; "unseen". It knows no socket.
 */
class MessageLog extends EventTarget {
  static LONGEST = 400; // messages on the page
  static GROUP_SPAN = 5 * 60_000; // ms: after a longer silence a message says its author again
  static NEAR = 48; // pixels from an end that still count as being there
  static EARLY = 800; // pixels from an end from which on more is wanted
  static BUDGET = 8; // ms of a frame for adding messages
  static PAST = 50; // messages of a log that is no more

  unseen = 0; // messages that came below what is being read
  newAfter = Infinity; // the last seq that was seen before the reader went away

  #view; // what scrolls
  #past = make("div", { className: "past" }); // what was shown of another log
  #top; // says what is above the first message
  #settled = make("div");
  #waiting = make("div", { ariaLive: "off" }); // unsettled, in the order it was written: it is read aloud once it is committed
  #entries = new WeakMap(); // message element -> {seq, at, name, text, isMine}
  #unsettled = new Map(); // key -> its element
  #inbox = []; // to be shown in the next frame
  #isScheduled = false;
  #newest = 0; // the seq of the last message shown, or about to be
  #end = 0; // the seq of the last message there is
  #isAtEnd = true;
  #isFollowing = false; // towards the end, which is not on the page yet
  #size = "";

  constructor(view, messages, top) {
    super();
    this.#view = view;
    this.#top = top;
    messages.append(this.#past, top, this.#settled, this.#waiting);
    view.addEventListener("scroll", () => this.#look(), { passive: true });
    view.addEventListener("wheel", () => this.#lookFurther(), { passive: true }); // at the very end nothing scrolls any more
    // When the view gets smaller (a keyboard comes up), whoever was at the end stays there.
    new ResizeObserver(() => {
      this.#size = this.#viewSize;
      this.#followEnd();
    }).observe(view);
  }

  /** The seq of the first message shown; 0: none. */
  get oldest() {
    return this.#entries.get(this.#settled.firstElementChild)?.seq ?? this.#inbox[0]?.seq ?? 0;
  }

  get newest() {
    return this.#newest;
  }

  get isEmpty() {
    return this.#newest === 0 && this.#unsettled.size === 0 && this.#past.childElementCount === 0;
  }

  get isAttached() {
    return this.#newest >= this.#end;
  }

  /** Whether the reader may soon want what came before. Someone at the end wants it only when that is the top, too. */
  get isNearTop() {
    if (this.#inbox.length > 0) return false; // what is on its way may fill the view
    const above = this.#view.getBoundingClientRect().top - this.#settled.getBoundingClientRect().top;
    return above < (this.#isAtEnd ? MessageLog.NEAR : MessageLog.EARLY);
  }

  /** The text of the last message written here; undefined when none is shown. */
  get lastOfMine() {
    const mine = Array.from(this.#settled.children).findLast((element) => this.#entries.get(element).isMine);
    return this.#entries.get(mine)?.text;
  }

  /** What came last. History (not news) is not read aloud. If it was pending, its very element moves into place. */
  append(message, isMine, isNews) {
    if (message.seq <= this.#newest) return this.forget(message.key); // it was read over HTTP before the socket brought it
    const wasAttached = this.isAttached;
    this.#end = message.seq;
    if (isNews && !isMine && !this.#isAtEnd) this.#setUnseen(this.unseen + 1);
    if (wasAttached && (this.#isAtEnd || this.#settled.childElementCount + this.#inbox.length < MessageLog.LONGEST)) {
      this.#newest = message.seq;
      this.#inbox.push({ ...message, isMine, isNews });
      // A page in the background draws no frames: it keeps what it would show.
      if (this.#inbox.length > 2 * MessageLog.LONGEST) this.#dropAllBut(MessageLog.LONGEST);
      this.#schedule();
    } else {
      this.forget(message.key);
    }
  }

  /** A part of the log is no longer kept; what came before it and what comes after show so by their seqs. */
  skipTo(seq) {
    const wasAttached = this.isAttached;
    this.#end = seq;
    if (wasAttached) this.#newest = seq;
  }

  /** Puts older messages, oldest first, above all others; what the reader sees stays where it is. */
  prepend(messages, isMine) {
    this.#flush();
    this.#keepPlace(() => {
      const first = this.#settled.firstElementChild;
      this.#settled.prepend(...messages.map((message) => this.#element({ ...message, isMine: isMine(message.key) })));
      for (let element = this.#settled.firstElementChild; element && element !== first; element = element.nextElementSibling)
        this.#dress(element);
      if (first) this.#dress(first);
      if (!this.#isAtEnd) this.#trim("lastElementChild");
    });
    this.#lookFurther(); // it may not fill the view yet
  }

  /** Goes on downwards, towards the end of the log. */
  extend(messages, isMine) {
    this.#flush();
    this.#keepPlace(() => {
      for (const message of messages) this.#add({ ...message, isMine: isMine(message.key) });
      this.#newest = messages.at(-1)?.seq ?? this.#end; // none: there is nothing more
      this.#trim("firstElementChild");
    });
    if (!this.#isFollowing) this.#look();
    else if (this.isAttached) this.#arriveAtEnd();
    else this.dispatchEvent(new Event("bottom"));
  }

  /** Shows this stretch, and nothing else. */
  replace(messages, isMine) {
    this.#inbox = [];
    this.#settled.replaceChildren();
    this.#newest = 0;
    this.#isAtEnd = this.#isFollowing;
    this.extend(messages, isMine);
  }

  /** Shows what was written here and is on its way. */
  wait({ key, text, name = "", at }) {
    const element = this.#element({ seq: 0, at, name, text, isMine: true });
    this.#unsettled.set(key, element);
    this.#waiting.append(element);
    this.#dress(element);
    this.#setMark(element, "pending");
  }

  /** Takes away what is settled by other means. */
  forget(key) {
    this.#unsettled.get(key)?.remove();
    this.#unsettled.delete(key);
  }

  /** Shows that a message was refused, and why. */
  refuse(key, reason, onEdit, onDiscard) {
    const element = this.#unsettled.get(key);
    if (!element) return;
    this.#setMark(element, "failedToSend");
    fillFolded(element.querySelector("p"), this.#entries.get(element).text, FOLD_REFUSED);
    const act = (label, work) => {
      const button = make("button", { type: "button", textContent: label });
      button.onclick = () => {
        this.forget(key);
        work();
      };
      return button;
    };
    const refusal = make("div", { className: "refusal", role: "alert", textContent: reason });
    refusal.append(act(words.edit, onEdit), act(words.discard, onDiscard));
    element.append(refusal);
    this.#followEnd();
  }

  /** From here on it is another log, and says so. */
  restart(text) {
    this.#flush();
    const kept = Array.from(this.#settled.children).slice(-MessageLog.PAST);
    for (const element of kept) element.removeAttribute("id");
    this.#past.replaceChildren(...kept, make("div", { className: "divider", textContent: text }));
    this.#settled.replaceChildren();
    [this.#newest, this.#end, this.newAfter] = [0, 0, Infinity];
    this.#followEnd();
  }

  /** To the newest message, which may have to be read first: then "end" asks for it. */
  jumpToEnd() {
    this.#setUnseen(0);
    if (this.isAttached) return this.#arriveAtEnd();
    this.#isFollowing = true;
    this.dispatchEvent(new Event("end"));
  }

  /** Brings a message into view and marks it; false when it is not on the page. */
  point(seq) {
    this.#flush();
    const element = byId(`m${seq}`);
    if (!element) return false;
    for (const old of this.#view.querySelectorAll(".pointed")) old.classList.remove("pointed");
    element.classList.add("pointed");
    this.#isAtEnd = this.#isFollowing = false;
    element.scrollIntoView({ block: "center" });
    this.#look();
    return true;
  }

  /** From message to message, by their links. */
  move(step) {
    const at = document.activeElement.closest?.("#messages .message");
    const next = at ? at[step < 0 ? "previousElementSibling" : "nextElementSibling"] : this.#settled.lastElementChild;
    next?.querySelector(".permalink").focus();
  }

  scrollBy(views) {
    this.#view.scrollBy({ top: views * this.#view.clientHeight });
  }

  /** Says the days and the new messages again: midnight has passed, or the reader was away. */
  redress() {
    this.#keepPlace(() => {
      for (const element of this.#settled.children) this.#dress(element);
    });
    this.#followEnd();
  }

  // ---- Growing, once a frame, however many messages come in it

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#flush(MessageLog.BUDGET);
    });
  }

  // What does not fit the budget waits for the next frame: keys and the pointer come in between.
  #flush(budget = Infinity) {
    if (this.#inbox.length === 0) return;
    if (this.#isAtEnd && this.#inbox.length > MessageLog.LONGEST) this.#dropAllBut(MessageLog.LONGEST);
    const begin = performance.now();
    let count = 0;
    while (count < this.#inbox.length && performance.now() - begin < budget) this.#add(this.#inbox[count++]);
    this.#inbox.splice(0, count);
    if (this.#inbox.length > 0) this.#schedule();
    if (this.#isAtEnd) this.#trim("firstElementChild");
    this.#followEnd();
    this.#lookFurther();
  }

  // Of more than the page shows at all, the first would go before it was seen.
  #dropAllBut(count) {
    for (const { key } of this.#inbox.splice(0, this.#inbox.length - count)) this.forget(key);
    this.#settled.replaceChildren();
  }

  #add(message) {
    const pending = this.#unsettled.get(message.key);
    const isThis = pending && this.#entries.get(pending).text === message.text; // and not one that has taken its key
    if (isThis) this.#unsettled.delete(message.key);
    const element = isThis ? this.#settle(pending, message) : this.#element(message);
    this.#settled.append(element);
    this.#dress(element);
    if (this.#waiting.firstElementChild) this.#dress(this.#waiting.firstElementChild);
  }

  #settle(element, message) {
    const entry = this.#entries.get(element);
    this.#entries.set(element, { ...entry, ...MessageLog.#entry(message), isMine: true });
    this.#setMark(element, "committed");
    element.ariaLive = null;
    return element;
  }

  #trim(end) {
    if (this.#settled.childElementCount <= MessageLog.LONGEST) return;
    while (this.#settled.childElementCount > MessageLog.LONGEST) this.#settled[end].remove();
    if (end === "lastElementChild") this.#newest = this.#entries.get(this.#settled.lastElementChild).seq;
    else this.#dress(this.#settled.firstElementChild);
  }

  // ---- One message

  static #entry({ seq, at, name = "", text, isMine }) {
    const when = new Date(at);
    return { seq, at: Number.isNaN(when.getTime()) ? new Date() : when, name, text, isMine };
  }

  #element(message) {
    const entry = MessageLog.#entry(message);
    const time = make("time");
    const link = make("a", { className: "permalink", tabIndex: -1 }, time);
    const text = make("p", { dir: "auto" });
    const element = make("div", { className: "message" }, make("div", { className: "byline" }, link), text);
    element.classList.toggle("mine", entry.isMine);
    if (!message.isNews) element.ariaLive = "off";
    fillFolded(text, entry.text);
    this.#entries.set(element, entry);
    return element;
  }

  // What stands above a message follows from the one before it: what is missing, the day, what is new, who speaks.
  #dress(element) {
    const entry = this.#entries.get(element);
    const above = this.#entries.get(this.#above(element));
    const dividers = this.#dividers(entry, above);
    const isContinued =
      dividers.length === 0 && above?.name === entry.name && above.isMine === entry.isMine && entry.at - above.at < MessageLog.GROUP_SPAN;
    for (const old of element.querySelectorAll(".divider, .author")) old.remove();
    element.prepend(...dividers);
    element.classList.toggle("continued", isContinued);
    const byline = element.querySelector(".byline");
    if (!isContinued) byline.prepend(authorOf(entry.name));
    const [link, time] = byline.querySelectorAll(".permalink, time");
    time.dateTime = entry.at.toISOString();
    time.textContent = TIME.format(entry.at);
    link.title = FULL_TIME.format(entry.at);
    if (entry.seq === 0) return;
    element.id = `m${entry.seq}`;
    link.href = `#m${entry.seq}`;
  }

  #above(element) {
    if (element.previousElementSibling) return element.previousElementSibling;
    return element.parentElement === this.#waiting && this.isAttached ? this.#settled.lastElementChild : null;
  }

  #dividers({ seq, at }, above) {
    const divider = (className, textContent) => make("div", { className: `divider ${className}`, textContent });
    const dividers = [];
    const missing = above && seq > 0 ? seq - above.seq - 1 : 0;
    if (missing > 0) dividers.push(divider("gap", fill(words.gap, missing)));
    const today = new Date().toDateString();
    const day = at.toDateString();
    if (day !== (above ? above.at.toDateString() : today)) dividers.push(divider("day", day === today ? words.today : DAY.format(at)));
    const isFirstNew = seq > this.newAfter && (above ? above.seq <= this.newAfter : seq === this.newAfter + 1);
    if (isFirstNew) dividers.push(divider("fresh", words.fresh));
    return dividers;
  }

  #setMark(element, state) {
    element.dataset.state = state;
    element.querySelector(".mark")?.remove();
    element.append(make("span", { className: `mark ${state}`, role: "img", ariaLabel: words[state] }));
  }

  // ---- Where the reader is

  // What is added or taken away above what is being read does not move it.
  #keepPlace(work) {
    const top = this.#view.getBoundingClientRect().top;
    const texts = Array.from(this.#settled.children, (element) => element.querySelector("p"));
    const seen = texts.find((text) => text.getBoundingClientRect().bottom > top) ?? texts.at(-1);
    const place = seen?.getBoundingClientRect().top;
    work();
    if (seen?.isConnected) this.#view.scrollTop += seen.getBoundingClientRect().top - place;
  }

  #arriveAtEnd() {
    this.#isAtEnd = true;
    this.#isFollowing = false;
    this.#waiting.hidden = false;
    this.#followEnd();
    this.#lookFurther();
  }

  #followEnd() {
    if (this.#isAtEnd) this.#view.scrollTop = this.#view.scrollHeight;
  }

  #look() {
    // Not where the reader wants to be, but where a new size has left the view for a moment.
    if (this.#size !== this.#viewSize) return;
    this.#isAtEnd = this.isAttached && this.#below < MessageLog.NEAR;
    this.#waiting.hidden = !this.isAttached;
    if (this.#isAtEnd) this.#setUnseen(0);
    this.#lookFurther();
  }

  #lookFurther() {
    if (this.isNearTop) this.dispatchEvent(new Event("top"));
    if (!this.isAttached && this.#below < MessageLog.EARLY) this.dispatchEvent(new Event("bottom"));
    this.dispatchEvent(new Event("place"));
  }

  get isAtEnd() {
    return this.#isAtEnd;
  }

  get #below() {
    const { scrollHeight, scrollTop, clientHeight } = this.#view;
    return scrollHeight - scrollTop - clientHeight;
  }

  get #viewSize() {
    return `${this.#view.clientWidth} x ${this.#view.clientHeight}`;
  }

  #setUnseen(count) {
    if (count === this.unseen) return;
    this.unseen = count;
    this.dispatchEvent(new Event("unseen"));
  }
}

const TIME = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const FULL_TIME = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(locale, { dateStyle: "full" });

// A longer text is folded: {lines, characters}.
const FOLD = { lines: 40, characters: 4000 };
const FOLD_REFUSED = { lines: 4, characters: 300 };

// The text, or its beginning and a button for the whole, which then scrolls in a box of its own: nothing anyone says is higher than a view.
function fillFolded(element, text, fold = FOLD) {
  const end = foldAt(text, fold);
  element.replaceChildren(...MessageText.nodes(text.slice(0, end)));
  if (element.nextElementSibling?.matches(".whole")) element.nextElementSibling.remove();
  if (end === text.length) return;
  const button = make("button", { type: "button", className: "whole", textContent: fill(words.whole, text.length) });
  button.onclick = () => {
    element.replaceChildren(...MessageText.nodes(text));
    element.classList.add("unfolded");
    element.tabIndex = 0;
    button.remove();
    element.focus({ preventScroll: true });
  };
  element.after(button);
}

function foldAt(text, { lines, characters }) {
  let end = -1;
  do end = text.indexOf("\n", end + 1);
  while (end >= 0 && --lines > 0);
  end = Math.min(end < 0 ? text.length : end, characters);
  return /[\uD800-\uDBFF]/.test(text[end - 1] ?? "") ? end - 1 : end; // not through a surrogate pair
}

// The same name has the same colour everywhere: one of 20 hues in three tones.
function authorOf(name) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0; // its low bits alone hardly differ between short names
  const author = make("bdi", { className: "author", textContent: name || words.nameless });
  author.style.setProperty("--hue", 18 * (hash % 20));
  author.style.setProperty("--tone", Math.floor(hash / 20) % 3);
  return author;
}
