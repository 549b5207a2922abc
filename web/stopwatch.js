"use strict";

/**
 * A stopwatch tells how much time has passed, in milliseconds. The wall clock may be set, and `performance.now()` does not
 * count the time a machine slept: whichever says that more has passed is believed. Too much costs a reconnect, too little a dead link.
 */
class Stopwatch {
  #steady;
  #wall;

  constructor() {
    this.restart();
  }

  restart() {
    this.#steady = performance.now();
    this.#wall = Date.now();
  }

  get elapsed() {
    return Math.max(performance.now() - this.#steady, Date.now() - this.#wall);
  }
}
