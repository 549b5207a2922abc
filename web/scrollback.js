"use strict";

/**
 * A scrollback reads the log over HTTP: what is not on the page. A step that fails is tried smaller the next time, one that comes at
 * once larger; a step is given up when nothing arrives for a while, not when it takes long. It knows no DOM.
 */
class Scrollback {
  static LARGEST = 200; // messages a step
  static SOON = 500; // ms

  #connection;
  #step = ChatConnection.STEP;

  constructor(connection) {
    this.#connection = connection;
  }

  /** What the log holds before this seq: {first, next, messages}, a step of them, oldest first. Null when it cannot be had now. */
  older(before) {
    return this.#read({ before, last: this.#step });
  }

  newer(after) {
    return this.#read({ after, last: this.#step });
  }

  newest() {
    return this.#read({ last: ChatConnection.STEP });
  }

  around(seq) {
    return this.#read({ before: seq + 1 + (ChatConnection.STEP >> 1), last: ChatConnection.STEP });
  }

  /** The seq of the first message at or after this time; the log's times only grow. Null when it cannot be had. */
  async seqAt(time) {
    let page = await this.#read({ last: 1 });
    let [from, to] = [page?.first, page?.next];
    while (page && from < to) {
      const middle = Math.floor((from + to) / 2);
      page = await this.#read({ after: middle - 1, last: 1 });
      const found = page?.messages[0];
      if (found && Date.parse(found.at) < time) from = found.seq + 1;
      else to = middle;
    }
    return page && from;
  }

  async #read(query) {
    const watch = new Stopwatch();
    try {
      const page = JSON.parse((await readAnswer(this.#connection.addressOf("messages", query))).text);
      if (watch.elapsed < Scrollback.SOON) this.#step = Math.min(2 * this.#step, Scrollback.LARGEST);
      return page.epoch === this.#connection.epoch ? page : null; // another log's, or a refusal
    } catch {
      this.#step = Math.max(1, this.#step >> 1);
      return null; // no link, or not our words: whoever asked may ask again
    }
  }
}

/** The status and the whole text of an answer; rejects when nothing arrives for a while. */
async function readAnswer(address) {
  const abort = new AbortController();
  let patience = 0;
  const wait = () => {
    clearTimeout(patience);
    patience = setTimeout(() => abort.abort(), ChatConnection.PATIENCE);
  };
  try {
    wait();
    const { status, body } = await fetch(address, { signal: abort.signal });
    const reader = body.getReader();
    const decoder = new TextDecoder();
    for (let text = ""; ; ) {
      wait();
      const { done, value } = await reader.read();
      if (done) return { status, text: text + decoder.decode() };
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    clearTimeout(patience);
  }
}
