"use strict";

/**
 * The news are what came since the reader was away: from the page, from this tab, or from the end of the log. They are counted in the
 * title and in the icon, marked in the log, and one button away.
 */
class News {
  #connection;
  #log;
  #reader;
  #title;
  #seen; // {epoch, seq} of the last message that this reader has seen, stored for the next visit
  #unread = 0;

  constructor(connection, log, reader, place, title) {
    this.#connection = connection;
    this.#log = log;
    this.#reader = reader;
    this.#title = title;
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
  count() {
    if (document.hidden) this.#setUnread(this.#unread + 1);
  }

  #leave() {
    const { last, epoch } = this.#connection;
    if (!this.#log.isAtEnd || last === 0) return;
    this.#log.newAfter = last;
    this.#seen.set("seen", { epoch, seq: last });
  }

  #comeBack() {
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
    document.title = count ? `(${count}) ${this.#title}` : this.#title;
    const icon =
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="#c62f1d"/><text x="16" y="23" fill="#fff" ' +
      `font-family="sans-serif" font-weight="700" font-size="20" text-anchor="middle">${Math.min(count, 99)}</text></svg>`;
    byId("icon").href = count ? `data:image/svg+xml,${encodeURIComponent(icon)}` : "favicon.svg";
  }
}
