"use strict";

/**
 * A connection is a cursor in a room's log that outlives its sockets. It knows the last seq it has seen and what it has
 * said without hearing it back; on every new socket it resumes after the one and says the other again. It knows no DOM.
 *
 * Events, each with the server's words in `detail`: message, gap, presence, typing; and hello {…, wasAnother}, refused {…, text},
 * logged {…, isShown}, state {state: "connecting" | "connected" | "waiting" | "offline", retryAt}.
 */
class ChatConnection extends EventTarget {
  static SILENCE = 35_000; // ms: two beats of 15 s and some slack; after that the link is dead, whatever the browser says
  static PATIENCE = 10_000; // ms for an answer: hello, or older messages
  static FIRST_PAUSE = 500; // ms
  static LONGEST_PAUSE = 30_000; // ms
  static STEP = 50; // messages to begin with, and each step further back

  socket = null; // of the moment; null between two
  isReady = false; // hello was heard on this socket
  last = 0; // the seq seen last
  limits = { message: 65_536 };
  name; // in force

  #home;
  #query;
  #outbox;
  #epoch = null;
  #failures = 0;
  #heardAt = 0;
  #retry = 0;

  /** @param home The URL that `ws` and `messages` are beside. @param query What goes with each: room, and invite if there is one. */
  constructor(home, query, name) {
    super();
    this.#home = home;
    this.#query = query;
    this.name = name;
    this.#outbox = new Outbox(query.room);
  }

  /** What was said and not yet heard back, oldest first: {key, text}. */
  get unacknowledged() {
    return this.#outbox.items;
  }

  /** Whether a message of this key was said from here. */
  isMine(key) {
    return this.#outbox.hasSaid(key);
  }

  /** Says a text now, or as soon as there is a link. Returns the message's key. */
  say(text) {
    const key = this.#outbox.add(text);
    this.#send({ type: "say", key, text });
    return key;
  }

  setName(name) {
    this.name = name;
    this.#send({ type: "name", name });
  }

  tellTyping() {
    this.#send({ type: "typing" });
  }

  /** What the log holds before this seq: {first, messages}, a step of them, oldest first. Null when it cannot be had now. */
  async older(before) {
    try {
      const address = this.#addressOf("messages", { before, last: ChatConnection.STEP });
      const response = await fetch(address, { signal: AbortSignal.timeout(ChatConnection.PATIENCE) });
      const page = await response.json();
      return page.epoch === this.#epoch ? page : null; // another log's, or a refusal
    } catch {
      return null; // no link, or not our words: whoever asked may ask again
    }
  }

  /** Connects, and from then on does so again whenever the link is lost. */
  connect() {
    addEventListener("online", () => this.#wake());
    addEventListener("offline", () => this.#drop());
    addEventListener("pageshow", () => this.#wake());
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake());
    setInterval(() => this.#isSilent && this.#drop(), 1000);
    this.#open();
  }

  #open() {
    clearTimeout(this.#retry);
    this.#tell("state", { state: "connecting" });
    const query = { last: ChatConnection.STEP };
    if (this.name) query.name = this.name;
    if (this.#epoch) Object.assign(query, { epoch: this.#epoch, after: this.last });
    const socket = new WebSocket(this.#addressOf("ws", query).replace("http", "ws"), "chat.v1");
    this.socket = socket;
    this.#heardAt = Date.now();
    // The server speaks first. What a socket says that was given up is not heard.
    socket.onmessage = (event) => socket === this.socket && this.#hear(JSON.parse(event.data));
    socket.onclose = () => socket === this.socket && this.#lose();
  }

  #addressOf(path, query) {
    return new URL(`${path}?${new URLSearchParams({ ...this.#query, ...query })}`, this.#home).href;
  }

  #hear(said) {
    this.#heardAt = Date.now();
    switch (said.type) {
      case "hello":
        return this.#greet(said);
      case "message":
        if (said.seq <= this.last) return;
        this.last = said.seq;
        break;
      case "gap":
        this.last = Math.max(this.last, said.to);
        break;
      case "logged":
        said.isShown = said.seq <= this.last; // else its message is on its way
        break;
      case "refused":
        if (said.reason === "store_unavailable") return this.#later(() => this.#sayAll());
    }
    this.#tell(said.type, { text: this.#outbox.remove(said.key), ...said });
  }

  #greet(hello) {
    const isNewLog = hello.epoch !== this.#epoch;
    const wasAnother = isNewLog && this.#epoch !== null;
    if (isNewLog) {
      this.#epoch = hello.epoch;
      this.last = Math.max(hello.first, hello.next - ChatConnection.STEP) - 1;
    }
    this.limits = hello.limits;
    this.isReady = true;
    this.#failures = 0;
    this.#tell("state", { state: "connected" });
    this.#tell("hello", { ...hello, wasAnother });
    this.#sayAll();
  }

  // Keys keep what the server has already from being there twice.
  #sayAll() {
    for (const { key, text } of this.#outbox.items) this.#send({ type: "say", key, text });
  }

  #send(words) {
    if (this.isReady && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(words));
  }

  // The link is dead, or never came to life.
  #drop() {
    const socket = this.socket;
    if (!socket) return;
    this.#lose();
    socket.close();
  }

  #lose() {
    this.socket = null;
    this.isReady = false;
    const retryAt = this.#later(() => this.#open());
    this.#tell("state", { state: navigator.onLine ? "waiting" : "offline", retryAt });
  }

  // Exponential back-off with full jitter: those who lost the same server do not all come back at once. Returns when.
  #later(retry) {
    const pause = Math.random() * Math.min(ChatConnection.LONGEST_PAUSE, ChatConnection.FIRST_PAUSE * 2 ** this.#failures++);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(retry, pause);
    return Date.now() + pause;
  }

  get #isSilent() {
    return Date.now() - this.#heardAt > (this.isReady ? ChatConnection.SILENCE : ChatConnection.PATIENCE);
  }

  // There is a network again, or one is back from sleep or from another tab: timers may not have run.
  #wake() {
    if (this.#isSilent) this.#drop();
    if (this.socket) return;
    this.#failures = 0;
    this.#open();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * An outbox is what was said and not yet heard back: one item of localStorage a message, so that it survives a reload,
 * and two tabs of one room never overwrite each other's.
 */
class Outbox {
  static REMEMBERED = 1000; // keys: one's own words in as much as a page shows

  items; // {key, text, at}, oldest first
  #prefix;
  #mineKey;
  #mine;

  constructor(room) {
    this.#prefix = `chatminimal/outbox/${room}/`;
    this.#mineKey = `chatminimal/mine/${room}`;
    this.#mine = this.#read(this.#mineKey) ?? [];
    const stored = ifStored(() => Object.keys(localStorage)) ?? [];
    const left = stored.filter((key) => key.startsWith(this.#prefix)).map((key) => this.#read(key));
    this.items = left.filter((item) => typeof item?.text === "string").sort((a, b) => a.at - b.at);
  }

  hasSaid(key) {
    return this.#mine.includes(key);
  }

  add(text) {
    // Not randomUUID: it exists only in secure contexts, and a chat on a LAN is served over plain http.
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const latest = this.items.at(-1)?.at ?? 0;
    const item = { key, text, at: Math.max(Date.now(), latest + 1) }; // said later is later, even in one millisecond
    this.items.push(item);
    this.#write(this.#prefix + key, item);
    this.#mine = [...this.#mine, key].slice(-Outbox.REMEMBERED);
    this.#write(this.#mineKey, this.#mine);
    return key;
  }

  /** Returns the text that had this key, if there was one. */
  remove(key) {
    const item = this.items.find((item) => item.key === key);
    if (!item) return undefined;
    this.items = this.items.filter((other) => other !== item);
    ifStored(() => localStorage.removeItem(this.#prefix + key));
    return item.text;
  }

  #read(key) {
    return ifStored(() => JSON.parse(localStorage.getItem(key)));
  }

  #write(key, value) {
    ifStored(() => localStorage.setItem(key, JSON.stringify(value)));
  }
}

/** Reads or writes what the browser stores. Where that is forbidden, full or not our words: null, and all lives as long as the page. */
function ifStored(work) {
  try {
    return work();
  } catch {
    return null;
  }
}
