"use strict";

/**
 * A connection is a cursor in a room's log that outlives its sockets. It knows the last seq it has seen and what it has
 * said without hearing it back; on every new socket it resumes after the one and says the other again. It knows no DOM.
 *
 * Events, each with the server's words in `detail`: message, gap, refused, presence, typing; and hello {…, seen, wasAnother},
 * logged {key, isShown}, state {state: "connecting" | "connected" | "waiting" | "offline", retryAt}.
 */
class ChatConnection extends EventTarget {
  static SILENCE = 35_000; // ms: two beats of 15 s and some slack; after that the link is dead, whatever the browser says
  static CONNECT_PATIENCE = 10_000; // ms for a socket to open and say hello
  static FIRST_PAUSE = 500; // ms
  static LONGEST_PAUSE = 30_000; // ms
  static HISTORY = 50; // messages to begin with
  static OLDER = 50; // messages a step further back
  static OLDER_PATIENCE = 10_000; // ms for them to come

  limits = { message: 65_536, name: 32 };

  #address;
  #query; // room, invite
  #name;
  #outbox;
  #socket = null;
  #isReady = false; // hello was heard on this socket
  #epoch = null;
  #last = 0;
  #failures = 0;
  #heardAt = 0;
  #retry = 0;
  #isStopped = false;

  /** @param address The URL of `/ws`. @param query What goes with it each time: room, and invite if there is one. */
  constructor(address, query, name) {
    super();
    this.#address = address;
    this.#query = query;
    this.#name = name;
    this.#outbox = new Outbox(query.room);
    addEventListener("online", () => this.#connectNow());
    addEventListener("offline", () => this.#drop());
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake());
    addEventListener("pageshow", (event) => event.persisted && this.#wake());
    setInterval(() => this.#isSilent && this.#drop(), 1000);
  }

  /** The socket of the moment; null between two. */
  get socket() {
    return this.#socket;
  }

  get isReady() {
    return this.#isReady;
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
    if (this.#isReady) this.#send({ type: "say", key, text });
    return key;
  }

  setName(name) {
    this.#name = name;
    if (this.#isReady) this.#send({ type: "name", name });
  }

  tellTyping() {
    if (this.#isReady) this.#send({ type: "typing" });
  }

  /**
   * What the log holds before this seq: {first, messages}, at most OLDER of them, oldest first. Null when it cannot be had
   * now, or when the log is another by then.
   */
  async older(before) {
    const epoch = this.#epoch;
    const address = new URL("messages", this.#address);
    address.protocol = address.protocol.replace("ws", "http");
    address.search = new URLSearchParams({ ...this.#query, before, last: ChatConnection.OLDER });
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(ChatConnection.OLDER_PATIENCE) });
      const page = response.ok ? await response.json() : null;
      return page?.epoch === epoch && epoch === this.#epoch ? page : null;
    } catch {
      return null; // no link, or not our words: whoever asked may ask again
    }
  }

  connect() {
    clearTimeout(this.#retry);
    const query = new URLSearchParams({ ...this.#query, last: ChatConnection.HISTORY });
    if (this.#name) query.set("name", this.#name);
    if (this.#epoch) {
      query.set("epoch", this.#epoch);
      query.set("after", this.#last);
    }
    this.#tellState("connecting");
    const socket = new WebSocket(`${this.#address}?${query}`, "chat.v1");
    this.#socket = socket;
    this.#heardAt = Date.now();
    const impatience = setTimeout(() => socket === this.#socket && !this.#isReady && this.#drop(), ChatConnection.CONNECT_PATIENCE);
    socket.onopen = () => {}; // nothing to do yet: the server speaks first
    socket.onmessage = (event) => socket === this.#socket && this.#hear(JSON.parse(event.data));
    socket.onclose = () => {
      clearTimeout(impatience);
      if (socket === this.#socket) this.#lose();
    };
  }

  #hear(said) {
    this.#heardAt = Date.now();
    switch (said.type) {
      case "hello":
        return this.#greet(said);
      case "message":
        if (said.seq <= this.#last) return;
        this.#last = said.seq;
        if (said.key) this.#outbox.remove(said.key);
        return this.#tell("message", said);
      case "logged":
        this.#outbox.remove(said.key);
        return this.#tell("logged", { ...said, isShown: said.seq <= this.#last }); // else its message is on its way
      case "refused":
        if (said.reason === "store_unavailable") return this.#sayAgainLater();
        return this.#tell("refused", { ...said, text: said.key && this.#outbox.remove(said.key) });
      case "gap":
        this.#last = Math.max(this.#last, said.to);
        return this.#tell("gap", said);
      case "presence":
      case "typing":
        return this.#tell(said.type, said);
    }
  }

  #greet(hello) {
    const isNewLog = hello.epoch !== this.#epoch;
    const wasAnother = isNewLog && this.#epoch !== null;
    if (isNewLog) {
      this.#epoch = hello.epoch;
      this.#last = Math.max(hello.first, hello.next - ChatConnection.HISTORY) - 1;
    }
    this.limits = hello.limits;
    this.#isReady = true;
    this.#failures = 0;
    this.#tellState("connected");
    this.#tell("hello", { ...hello, seen: this.#last, wasAnother });
    this.#sayAll();
  }

  // Keys keep what the server has already from being there twice.
  #sayAll() {
    if (!this.#isReady) return;
    for (const { key, text } of this.#outbox.items) this.#send({ type: "say", key, text });
  }

  #sayAgainLater() {
    const socket = this.#socket;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => socket === this.#socket && this.#sayAll(), this.#pause());
  }

  #send(words) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(words));
  }

  // The link is dead, or never came to life: whatever this socket still says is not heard.
  #drop() {
    const socket = this.#socket;
    if (!socket) return;
    this.#lose();
    socket.close();
  }

  #lose() {
    this.#socket = null;
    this.#isReady = false;
    const pause = this.#pause();
    this.#tellState(navigator.onLine ? "waiting" : "offline", Date.now() + pause);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.connect(), pause);
  }

  // Exponential back-off with full jitter: those who lost the same server do not all come back at once.
  #pause() {
    const longest = Math.min(ChatConnection.LONGEST_PAUSE, ChatConnection.FIRST_PAUSE * 2 ** Math.min(this.#failures++, 10));
    return Math.random() * longest;
  }

  get #isSilent() {
    return this.#isReady && Date.now() - this.#heardAt > ChatConnection.SILENCE;
  }

  // Back from sleep or from another tab: timers may not have run.
  #wake() {
    if (this.#isSilent) this.#drop();
    this.#connectNow();
  }

  #connectNow() {
    if (this.#socket) return;
    this.#failures = 0;
    this.connect();
  }

  #tellState(state, retryAt) {
    this.#tell("state", { state, retryAt });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * An outbox is what was said and not yet heard back: one item of localStorage a message, so that it survives a reload,
 * and two tabs of one room never overwrite each other's. Without localStorage it lives as long as the page.
 */
class Outbox {
  static REMEMBERED = 1000; // keys: one's own words in as much as a page shows

  #prefix;
  #mineKey;
  #items; // key -> {text, at}, oldest first
  #mine;

  constructor(room) {
    this.#prefix = `chatminimal/outbox/${room}/`;
    this.#mineKey = `chatminimal/mine/${room}`;
    this.#mine = this.#read(this.#mineKey) ?? [];
    const left = this.#storedKeys.map((stored) => [stored.slice(this.#prefix.length), this.#read(stored)]);
    const sound = left.filter(([, item]) => typeof item?.text === "string");
    this.#items = new Map(sound.sort(([, a], [, b]) => a.at - b.at));
  }

  get items() {
    return Array.from(this.#items, ([key, { text }]) => ({ key, text }));
  }

  hasSaid(key) {
    return this.#mine.includes(key);
  }

  add(text) {
    const key = Outbox.#newKey();
    const latest = Math.max(0, ...Array.from(this.#items.values(), (item) => item.at));
    const item = { text, at: Math.max(Date.now(), latest + 1) }; // said later is later, even in one millisecond
    this.#items.set(key, item);
    this.#write(this.#prefix + key, item);
    this.#mine = [...this.#mine, key].slice(-Outbox.REMEMBERED);
    this.#write(this.#mineKey, this.#mine);
    return key;
  }

  /** Returns the text that had this key, if there was one. */
  remove(key) {
    const text = this.#items.get(key)?.text;
    if (text === undefined) return undefined;
    this.#items.delete(key);
    try {
      localStorage.removeItem(this.#prefix + key);
    } catch {} // no storage: it was never there
    return text;
  }

  get #storedKeys() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.#prefix));
    } catch {
      return []; // storage is forbidden here
    }
  }

  #read(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null; // no storage, or not our words
    }
  }

  #write(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {} // full or forbidden: kept in memory, as long as the page lives
  }

  // randomUUID exists only in secure contexts; a chat on a LAN is served over plain http.
  static #newKey() {
    if (crypto.randomUUID) return crypto.randomUUID();
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
