"use strict";

/**
 * A connection is a cursor in a room's log that outlives its sockets. It knows its position (epoch, seq and time of the last message
 * seen) and what was written here and is not settled; on every new socket it resumes after the one and sends the other again.
 * It knows no DOM.
 *
 * Events, each with the server's message in `detail`: message, gap, presence, typing; and hello {…, isHeld, wasAnother},
 * refused {…, text}, logged {…, isShown}, left {items of other tabs}, gone {key},
 * state {state: "connecting" | "connected" | "waiting" | "offline" | "refused", pause?: ms, refusal?: {status, detail}}.
 */
class ChatConnection extends EventTarget {
  static SILENCE = 35_000; // ms: two heartbeats of 15 s and some slack; after that the link is dead, whatever the browser says
  static PATIENCE = 10_000; // ms for an answer
  static SLOWEST = 8; // times as long, where a link has shown that it is slow
  static FIRST_PAUSE = 500; // ms
  static LONGEST_PAUSE = 30_000; // ms
  static STEP = 50; // messages to begin with
  static FOR_GOOD = [400, 401, 403]; // statuses that trying again does not mend
  static openSocket = (address) => new WebSocket(address, "chat.v1"); // the laboratory has one of its own

  socket = null; // of the moment; null between two
  isReady = false; // hello was read on this socket
  epoch = null;
  last = 0; // the seq seen last
  limits = { message: 65_536 };
  name; // in force

  #home;
  #query;
  #outbox;
  #at = null; // when message `last` was committed, as it was told
  #step = ChatConnection.STEP;
  #toldName = "";
  #failures = 0;
  #slowness = 1;
  #quiet = new Stopwatch(); // since the server was last heard
  #retry = 0;

  /** @param home The URL that `ws` and `messages` are beside. @param query What goes with each: room, and invite if there is one. */
  constructor(home, query, name) {
    super();
    this.#home = home;
    this.#query = query;
    this.name = name;
    this.#outbox = new Outbox([new URL(home).host, "room", query.room], (key) => this.#tell("gone", { key }));
  }

  /** What is pending or refused, oldest first: {key, text, name, refusal?}. */
  get unsettled() {
    return this.#outbox.items;
  }

  isMine(key) {
    return this.#outbox.isMine(key);
  }

  /** Sends a text now, or as soon as there is a link. Returns its item in the outbox. */
  say(text) {
    const item = this.#outbox.add(text, this.name);
    this.#sendAll([item]);
    return item;
  }

  /** Throws away what was refused. */
  discard(key) {
    this.#outbox.remove(key);
  }

  setName(name) {
    this.name = name;
    if (this.isReady) this.#sendName(name);
    else if (!this.socket) this.tryNow(); // it may be what was refused
  }

  tellTyping() {
    this.#send({ type: "typing" });
  }

  /** The address of something beside the page, with the query that lets us in. */
  addressOf(path, query) {
    return new URL(`${path}?${new URLSearchParams({ ...this.#query, ...query })}`, this.#home).href;
  }

  /** Connects, and from then on does so again whenever the link is lost. */
  connect() {
    addEventListener("online", () => this.#wake());
    addEventListener("offline", () => this.#drop());
    addEventListener("pageshow", () => this.#wake());
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake());
    setInterval(() => this.#isSilent && this.#dropAsSlow(), 1000);
    this.#open();
  }

  /** Does not wait for the next attempt. */
  tryNow() {
    this.#failures = 0;
    if (!this.socket) this.#open();
  }

  #open() {
    clearTimeout(this.#retry);
    this.#tell("state", { state: "connecting" });
    const query = { last: this.#step };
    if (this.name) query.name = this.name;
    if (this.epoch) Object.assign(query, { epoch: this.epoch, after: this.last }, this.#at && { at: this.#at });
    this.#toldName = this.name;
    const address = this.addressOf("ws", query);
    const socket = ChatConnection.openSocket(address.replace("http", "ws"));
    this.socket = socket;
    this.#quiet.restart();
    let isOpened = false;
    socket.onopen = () => {
      isOpened = true;
      if (socket === this.socket) this.#quiet.restart();
    };
    // The server speaks first. What a socket says that was given up is not heard.
    socket.onmessage = (event) => socket === this.socket && this.#hear(JSON.parse(event.data));
    socket.onclose = async () => {
      const refusal = isOpened || socket !== this.socket ? null : await this.#askRefusal();
      if (socket === this.socket) this.#lose(refusal);
    };
  }

  #askRefusal() {
    const query = { last: 0, ...(this.name && { name: this.name }) };
    return askRefusal(this.addressOf("events", query));
  }

  #hear(said) {
    this.#quiet.restart();
    switch (said.type) {
      case "hello":
        return this.#greet(said);
      case "message":
        if (said.seq <= this.last) return;
        [this.last, this.#at] = [said.seq, said.at];
        break;
      case "gap":
        if (said.to > this.last) [this.last, this.#at] = [said.to, null];
        break;
      case "logged":
        said.isShown = said.seq <= this.last; // else its message is on its way
        break;
      case "refused":
        if (said.reason === "store_unavailable") return this.#later(() => this.#sendAll(this.#outbox.items), 0);
        if (said.reason === "bad_name") this.name = ""; // not to be refused for it at the next handshake
        this.#outbox.refuse(said.key, said);
        return this.#tell("refused", said);
      case "beat":
        this.#slowness = 1;
    }
    this.#outbox.remove(said.key, said.text);
    this.#tell(said.type, said);
  }

  // The first message of a socket, and again when the log under it has become another.
  #greet(hello) {
    const had = this.epoch;
    // On an open socket a position holds as long as it is of this log; on a new one the server says so.
    const isSame = this.isReady ? hello.epoch === had : hello.resumed === true;
    const isHeld = isSame && this.last < hello.next;
    if (!isHeld) {
      [this.epoch, this.last, this.#at] = [hello.epoch, Math.max(hello.first, hello.next - this.#step) - 1, null];
    }
    this.limits = hello.limits;
    this.isReady = true;
    this.#failures = 0;
    this.#step = ChatConnection.STEP;
    this.#tell("state", { state: "connected" });
    this.#tell("hello", { ...hello, isHeld, wasAnother: !isHeld && had !== null });
    const left = this.#outbox.takeOver();
    if (left.length > 0) this.#tell("left", left);
    this.#sendAll(this.#outbox.items);
  }

  // Each under the name it was written with. Its key keeps what the server has already from being there twice.
  #sendAll(items) {
    for (const { key, text, name, refusal } of items) {
      if (refusal) continue;
      this.#sendName(name ?? "");
      this.#send({ type: "say", key, text });
    }
    this.#sendName(this.name);
  }

  #sendName(name) {
    if (!this.isReady || name === this.#toldName) return;
    this.#toldName = name;
    this.#send({ type: "name", name });
  }

  #send(message) {
    if (this.isReady && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // A link on which one message takes longer than a dead one is waited for would never get over it: it is given more time, and less to do.
  #dropAsSlow() {
    this.#slowness = Math.min(2 * this.#slowness, ChatConnection.SLOWEST);
    this.#step = Math.max(1, this.#step >> 1);
    this.#drop();
  }

  // The link is dead, or never came to life.
  #drop() {
    const socket = this.socket;
    if (!socket) return;
    this.#lose(null);
    socket.close();
  }

  #lose(refusal) {
    this.socket = null;
    this.isReady = false;
    if (ChatConnection.FOR_GOOD.includes(refusal?.status)) return this.#tell("state", { state: "refused", refusal });
    const pause = this.#later(() => this.#open(), refusal?.retryAfter ?? 0);
    this.#tell("state", { state: navigator.onLine ? "waiting" : "offline", pause, refusal });
  }

  // Exponential back-off with full jitter: those who lost the same server do not all come back at once. Returns the pause.
  #later(retry, atLeast) {
    const pause = atLeast + Math.random() * Math.min(ChatConnection.LONGEST_PAUSE, ChatConnection.FIRST_PAUSE * 2 ** this.#failures++);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(retry, pause);
    return pause;
  }

  get #isSilent() {
    return this.socket && this.#quiet.elapsed > this.#slowness * (this.isReady ? ChatConnection.SILENCE : ChatConnection.PATIENCE);
  }

  // There is a network again, or one is back from sleep or from another tab: timers may not have run.
  #wake() {
    if (this.#isSilent) this.#drop();
    this.tryNow();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Why we are not let in: {status, detail, retryAfter: ms}. A browser does not tell why a handshake failed, so an event stream is asked for,
 * which has the same rules. Null when nobody answers, when it would be let in by now, or when the answer is a portal's or a proxy's.
 */
async function askRefusal(address) {
  const abort = new AbortController();
  const patience = setTimeout(() => abort.abort(), ChatConnection.PATIENCE);
  const { signal } = abort;
  try {
    const response = await fetch(address, { signal, cache: "no-store" });
    const isOurs = response.headers.get("Content-Type")?.includes("problem+json");
    if (!isOurs || ![...ChatConnection.FOR_GOOD, 429, 503].includes(response.status)) return null;
    const { detail = "" } = await response.json();
    return { status: response.status, detail, retryAfter: 1000 * response.headers.get("Retry-After") };
  } catch {
    // A refusal may not be readable from another origin; that there is an answer can be noticed.
    const isForeign = new URL(address).origin !== location.origin;
    const answers = isForeign && (await fetch(address, { signal, mode: "no-cors" }).catch(() => null));
    return answers ? { status: 403, detail: "" } : null;
  } finally {
    clearTimeout(patience);
    abort.abort(); // we are not here for the events
  }
}
