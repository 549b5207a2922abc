"use strict";

/**
 * What the browser stores under one prefix, an item each: localStorage is per origin, and pages opened from disk share one, so
 * the prefix names server and room; and two tabs that write one list would overwrite each other's.
 * Where storing is forbidden, everything lives as long as the page.
 */
class Stored {
  static onFull = () => {}; // called when an item did not fit

  #prefix;
  #area;

  constructor(path, area = () => localStorage) {
    this.#prefix = ["chatminimal", ...path, ""].join("/");
    this.#area = area;
  }

  get keys() {
    const all = ifStored(() => Object.keys(this.#area())) ?? [];
    return all.filter((key) => key.startsWith(this.#prefix)).map((key) => key.slice(this.#prefix.length));
  }

  get(key) {
    return ifStored(() => JSON.parse(this.#area().getItem(this.#prefix + key)));
  }

  set(key, value) {
    try {
      this.#area().setItem(this.#prefix + key, JSON.stringify(value));
    } catch (error) {
      if (error.name === "QuotaExceededError") Stored.onFull();
    }
  }

  remove(key) {
    ifStored(() => this.#area().removeItem(this.#prefix + key));
  }

  /** Calls back with the key of an item that another tab removes. */
  onRemoved(hear) {
    addEventListener("storage", ({ key, newValue }) => {
      if (newValue === null && key?.startsWith(this.#prefix)) hear(key.slice(this.#prefix.length));
    });
  }
}

// Reading may be forbidden, and what is read may not be ours: null.
function ifStored(work) {
  try {
    return work();
  } catch {
    return null;
  }
}
