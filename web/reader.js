"use strict";

/**
 * A reader moves the message log through the room's log: back, on, to the end, to a message, to a date. It reads one step at a time,
 * and says at the top of the log what there is above the first message.
 */
class Reader {
  static PAUSE = 1000; // ms after a failure: someone who scrolls does so sixty times a second

  historyEnd = 0; // the last seq of what the page begins with; what comes later is news

  #connection;
  #scrollback;
  #log;
  #top;
  #firstKept = 1; // the oldest seq the server has, as far as it has said
  #isReading = false;
  #sinceFailure = null;

  constructor(connection, log, top) {
    this.#connection = connection;
    this.#scrollback = new Scrollback(connection);
    this.#log = log;
    this.#top = top;
    log.addEventListener("top", () => this.#readBack());
    log.addEventListener("bottom", () => this.#readOn());
    log.addEventListener("end", () => this.#read(this.#scrollback.newest(), (messages) => log.replace(messages, this.#isMine)));
  }

  get isCatchingUp() {
    return this.#connection.last < this.historyEnd;
  }

  /** There is a link again; the log begins with this seq. */
  resume(first) {
    [this.#firstKept, this.#sinceFailure] = [first, null];
    this.#readBack();
  }

  /** Brings a message into view, with what surrounds it; false when it is not in the log. */
  async goTo(seq) {
    if (this.#log.point(seq)) return true;
    let isThere = true;
    await this.#read(this.#scrollback.around(seq), (messages) => {
      const nearest = messages.find((message) => message.seq >= seq) ?? messages.at(-1);
      if (nearest) this.#log.replace(messages, this.#isMine);
      if (nearest) this.#log.point(nearest.seq);
      isThere = nearest?.seq === seq;
    });
    return isThere;
  }

  /** Goes to the first message of a day, or to the last message there is. */
  async goToDay(date) {
    const seq = await this.#scrollback.seqAt(date.getTime());
    if (seq !== null) await this.goTo(Math.min(seq, this.#connection.last));
  }

  #isMine = (key) => this.#connection.isMine(key);

  get #mayRead() {
    const isPausing = this.#sinceFailure?.elapsed < Reader.PAUSE;
    return this.#connection.isReady && !this.isCatchingUp && !this.#isReading && !isPausing;
  }

  async #readBack() {
    const before = this.#log.oldest;
    if (this.#mayRead && before > this.#firstKept && this.#log.isNearTop) {
      await this.#read(this.#scrollback.older(before), (messages) => {
        if (messages.length > 0 && this.#log.oldest === before) this.#log.prepend(messages, this.#isMine);
      });
    }
    this.#showTop();
  }

  async #readOn() {
    const after = this.#log.newest;
    if (!this.#mayRead) return;
    await this.#read(this.#scrollback.newer(after), (messages) => {
      if (this.#log.newest === after) this.#log.extend(messages, this.#isMine);
    });
  }

  // Shows what it brings, when it is of the log that was asked.
  async #read(asked, show) {
    const { epoch } = this.#connection;
    this.#isReading = true;
    this.#showTop();
    const page = await asked;
    this.#isReading = false;
    this.#sinceFailure = page ? null : new Stopwatch();
    if (page) this.#firstKept = page.first;
    if (page && this.#connection.epoch === epoch) show(page.messages);
    this.#showTop();
  }

  #showTop() {
    const { oldest } = this.#log;
    let state = "";
    if (this.#isReading && this.#log.isNearTop) state = "loading";
    else if (oldest === 1) state = "beginning";
    else if (oldest > 0 && oldest <= this.#firstKept) state = "trimmed";
    else if (this.#sinceFailure) state = "failed";
    this.#top.dataset.state = state;
    tell(this.#top, words[state] ?? "");
  }
}
