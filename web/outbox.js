"use strict";

/**
 * An outbox holds what was written here and is not settled: pending until the server has committed it, or refused until its author
 * edits or discards it. It survives a reload, and whichever tab is open next takes over what another has left.
 */
class Outbox {
  static REMEMBERED = 1000; // keys of one's own messages: as many as one is likely to meet again

  items; // {key, text, name, at, refusal?: {reason, detail}}, in the order they were written
  #stored;
  #mineStored;
  #mine;

  /** @param place The path of what is stored: server and room. @param onGone Called with the key of what another tab has settled. */
  constructor(place, onGone) {
    this.#stored = new Stored([...place, "outbox"]);
    this.#mineStored = new Stored([...place, "mine"]);
    this.#mine = new Set(this.#mineStored.keys);
    this.#forgetOldest();
    this.items = [];
    this.takeOver();
    this.#stored.onRemoved((key) => this.remove(key) && onGone(key));
  }

  /** Whether a message of this key was written here. */
  isMine(key) {
    return this.#mine.has(key) || (key !== undefined && this.#mineStored.get(key) !== null); // in this tab, or in another
  }

  add(text, name) {
    // Not randomUUID: it exists only in secure contexts, and a chat on a LAN is served over plain http.
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const latest = this.items.at(-1)?.at ?? 0;
    const item = { key, text, name, at: Math.max(Date.now(), latest + 1) }; // later is later, even in one millisecond
    this.items.push(item);
    this.#stored.set(key, item);
    this.#mine.add(key);
    this.#mineStored.set(key, item.at);
    return item;
  }

  refuse(key, refusal) {
    const item = this.items.find((item) => item.key === key);
    if (!item) return;
    item.refusal = refusal;
    this.#stored.set(key, item);
    if (refusal.reason === "key_taken") this.#forget(key); // a message of this key is somebody else's
  }

  /** It is settled: a message with its key, and its text where that is known, is in the log. Returns whether it was here. */
  remove(key, text) {
    const item = this.items.find((item) => item.key === key && (text === undefined || item.text === text));
    if (!item) return false;
    this.items = this.items.filter((other) => other !== item);
    this.#stored.remove(key);
    return true;
  }

  /** Takes over what is stored: at the beginning, and from tabs that were closed since. Returns what was not here. */
  takeOver() {
    const known = new Set(this.items.map((item) => item.key));
    const found = this.#stored.keys.filter((key) => !known.has(key)).map((key) => this.#stored.get(key));
    const left = found.filter((item) => typeof item?.key === "string" && typeof item.text === "string");
    for (const { key } of left) this.#mine.add(key);
    this.items = [...this.items, ...left].sort((a, b) => a.at - b.at);
    return left;
  }

  #forgetOldest() {
    if (this.#mine.size <= 1.5 * Outbox.REMEMBERED) return;
    const oldestFirst = Array.from(this.#mine, (key) => [key, this.#mineStored.get(key)]).sort(([, a], [, b]) => a - b);
    for (const [key] of oldestFirst.slice(0, -Outbox.REMEMBERED)) this.#forget(key);
  }

  #forget(key) {
    this.#mine.delete(key);
    this.#mineStored.remove(key);
  }
}
