"use strict";

/**
 * The news are what came since the reader was away: from the page, from this tab, or from the end of the log. They are counted in the
 * title and in the icon, where an @ says that one of them names the reader, marked in the log, and one button away.
 */
class News {
  #connection;
  #log;
  #reader;
  #title;
  #notifications;
  #seen; // {epoch, seq} of the last message that this reader has seen, stored for the next visit
  #unread = 0;
  #isNamed = false; // in one of them

  constructor(connection, log, reader, notifications, place, title) {
    this.#connection = connection;
    this.#log = log;
    this.#reader = reader;
    this.#title = title;
    this.#notifications = notifications;
    this.#seen = new Stored(place);
    this.#setUnread(0);
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#leave() : this.#comeBack()));
    addEventListener("pagehide", () => document.hidden || this.#leave());
    for (const type of ["place", "unseen"]) log.addEventListener(type, () => this.#showButtons());
    byId("away").addEventListener("click", () => reader.goTo(log.newAfter + 1));
    byId("newer").addEventListener("click", () => log.jumpToEnd());
  }

  /** The log is known: what came after the last visit is new. */
  resume() {
    const seen = this.#seen.get("seen");
    this.#log.newAfter = seen?.epoch === this.#connection.epoch && seen.seq < this.#reader.historyEnd ? seen.seq : Infinity;
  }

  /** Somebody else's message has come. */
  count(message) {
    if (!document.hidden) return;
    const isMention = mentions(message.text, this.#connection.name);
    this.#isNamed ||= isMention;
    this.#setUnread(this.#unread + 1);
    this.#notifications.show(message, isMention);
  }

  #leave() {
    const { last, epoch } = this.#connection;
    if (!this.#log.isAtEnd || last === 0) return;
    this.#log.newAfter = last;
    this.#seen.set("seen", { epoch, seq: last });
  }

  #comeBack() {
    this.#isNamed = false;
    this.#setUnread(0);
    if (this.#connection.last === this.#log.newAfter) this.#log.newAfter = Infinity; // nothing came
    this.#log.redress();
    this.#showButtons();
  }

  #showButtons() {
    const { newAfter, oldest, unseen, isAttached } = this.#log;
    const [away, newer] = [byId("away"), byId("newer")];
    const count = this.#connection.last - newAfter;
    away.hidden = this.#reader.isCatchingUp || oldest <= newAfter + 1 || !(count > 0); // it is on the page, or there is none
    tell(away, away.hidden ? "" : fill(words.away, count));
    newer.hidden = unseen === 0 && isAttached;
    tell(newer, unseen ? fill(words.newer, unseen) : words.toEnd);
  }

  #setUnread(count) {
    this.#unread = count;
    const mark = this.#isNamed ? "@" : "";
    document.title = count ? `(${mark}${count}) ${this.#title}` : this.#title;
    const icon =
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="#c62f1d"/><text x="16" y="23" fill="#fff" ' +
      `font-family="sans-serif" font-weight="700" font-size="20" text-anchor="middle">${mark || Math.min(count, 99)}</text></svg>`;
    byId("icon").href = count ? `data:image/svg+xml,${encodeURIComponent(icon)}` : "favicon.svg";
  }
}

/** Whether a text has this name as a word of its own, whatever its accents and case. */
function mentions(text, name) {
  const [where, what] = [folded(text), folded(name)];
  if (what === "") return false;
  for (let at = -1; (at = where.indexOf(what, at + 1)) >= 0; ) {
    const around = where.slice(Math.max(0, at - 1), at) + where.slice(at + what.length, at + what.length + 1);
    if (!/[\p{L}\p{N}]/u.test(around)) return true;
  }
  return false;
}
