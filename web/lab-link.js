"use strict";

/**
 * A lab link stands where the page's socket would be. It passes on what comes and goes, tells of each frame, and does to the link what its
 * switches say. It knows no DOM.
 *
 * Events, each with a frame in `detail`: {way: "in" | "out", text, fate?: "swallowed" | "lost"}; and opening and closing, as frames that have
 * a `kind`: "open" | "close". "change" after anything else that is to be shown.
 */
class LabLink extends EventTarget {
  static DELAY = 1000; // ms, each way
  static MOST_KEYS = 1000; // of messages whose acknowledgement is still to come

  /**
   * A WebSocket delivers whatever the page does, and the browser reads on. Only a stream lets the page decide: what it does not read the
   * browser does not either, and TCP pushes back on the server.
   */
  static canStopReading = "WebSocketStream" in globalThis;

  isCut = false;
  isDelayed = false;
  swallowsNext = false; // acknowledgement
  roundTrip = null; // ms from a message to its acknowledgement
  lastSay = null; // as it was sent

  #socket = null;
  #sentAt = new Map(); // key -> when it was sent first, until it is acknowledged
  #reading = Promise.resolve();
  #readOn = null; // while reading is stopped: what lets it go on

  /** In place of `new WebSocket`. */
  open(address) {
    this.#socket = new LabSocket(this, address);
    return this.#socket;
  }

  /** Nothing passes any more, and a new socket gets nowhere, until the link is mended. */
  cut() {
    this.isCut = true;
    this.#socket?.break();
    this.#tell("change");
  }

  mend() {
    this.isCut = false;
    this.#tell("change");
  }

  delay(isDelayed) {
    this.isDelayed = isDelayed;
    this.#tell("change");
  }

  /** The link breaks just before the next acknowledgement would arrive: TCP loses no frame and goes on with the next. */
  swallow(isNext) {
    this.swallowsNext = isNext;
    this.#tell("change");
  }

  get isReading() {
    return this.#readOn === null;
  }

  stopReading() {
    this.#reading = new Promise((resolve) => {
      this.#readOn = resolve;
    });
    this.#tell("change");
  }

  readOn() {
    this.#readOn?.();
    this.#readOn = null;
    this.#tell("change");
  }

  /** Resolves as soon as one may read. */
  get reading() {
    return this.#reading;
  }

  /** Sends the last message once more, byte for byte. */
  repeat() {
    if (this.lastSay) this.#socket?.send(this.lastSay);
  }

  // ---- By the sockets

  tell(frame) {
    this.#tell("frame", frame);
  }

  passOut(text) {
    const { type, key } = JSON.parse(text);
    if (type === "say") {
      this.lastSay = text;
      if (!this.#sentAt.has(key)) this.#sentAt.set(key, performance.now());
      if (this.#sentAt.size > LabLink.MOST_KEYS) this.#sentAt.delete(this.#sentAt.keys().next().value);
    }
    this.tell({ way: "out", text });
  }

  /** False: it was swallowed, and the link with it. */
  passIn(text) {
    const { key } = JSON.parse(text);
    const sentAt = this.#sentAt.get(key);
    const isSwallowed = sentAt !== undefined && this.swallowsNext;
    this.tell({ way: "in", text, ...(isSwallowed && { fate: "swallowed" }) });
    if (isSwallowed) this.swallow(false);
    else if (sentAt !== undefined) this.#acknowledge(key, sentAt);
    return !isSwallowed;
  }

  #acknowledge(key, sentAt) {
    this.#sentAt.delete(key);
    this.roundTrip = performance.now() - sentAt;
    this.#tell("change");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** One socket of a lab link: what the page uses of a WebSocket, and no more. */
class LabSocket {
  readyState = WebSocket.CONNECTING;
  onopen = null;
  onmessage = null;
  onclose = null;

  #link;
  #line = null; // the real one: {send, close}
  #turns = { in: Promise.resolve(), out: Promise.resolve() }; // what is delayed stays in order

  constructor(link, address) {
    this.#link = link;
    link.tell({ way: "out", kind: "open", text: address });
    if (link.isCut) this.#pass("in", () => this.#end(1006, ""));
    else this.#line = LabLink.canStopReading ? this.#stream(address) : this.#socket(address);
  }

  send(text) {
    this.#pass("out", () => {
      this.#link.passOut(text);
      this.#line.send(text);
    }, text);
  }

  close() {
    this.readyState = WebSocket.CLOSING;
    this.#line?.close();
  }

  /** The link is gone, and neither side has said so: what is on its way is lost. */
  break() {
    this.#end(1006, "");
    this.#line?.close(); // a page cannot pull the plug: the server is told
  }

  #socket(address) {
    const socket = new WebSocket(address, "chat.v1");
    socket.onopen = () => this.#pass("in", () => this.#begin());
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#pass("in", () => this.#end(code, reason));
    return socket;
  }

  #stream(address) {
    const stream = new WebSocketStream(address, { protocols: ["chat.v1"] });
    const closed = stream.closed.catch((error) => error); // either has a code and a reason
    let writer = null;
    this.#read(stream, (opened) => {
      writer = opened.writable.getWriter();
    }).finally(async () => {
      const { closeCode = 1006, reason = "" } = await closed;
      this.#pass("in", () => this.#end(closeCode, reason));
    });
    return {
      send: (text) => writer.write(text).catch(() => {}), // its end is told by `closed`
      close: () => stream.close(),
    };
  }

  // At most one message is read and not passed on while reading is stopped.
  async #read(stream, begin) {
    try {
      const opened = await stream.opened;
      begin(opened);
      this.#pass("in", () => this.#begin());
      for await (const text of opened.readable) {
        await this.#link.reading;
        this.#hear(text);
      }
    } catch {} // likewise
  }

  #hear(text) {
    this.#pass("in", () => {
      if (this.#link.passIn(text)) this.onmessage?.({ data: text });
      else this.break();
    }, text);
  }

  #begin() {
    this.readyState = WebSocket.OPEN;
    this.onopen?.();
  }

  #end(code, reason) {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.#link.tell({ way: "in", kind: "close", text: `${code} ${reason}`.trim() });
    this.onclose?.({ code, reason });
  }

  // Does what is to be done, now or when its time has come; what the link did not survive is lost.
  #pass(way, work, text) {
    const due = performance.now() + (this.#link.isDelayed ? LabLink.DELAY : 0);
    this.#turns[way] = this.#turns[way].then(async () => {
      const left = due - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
      if (this.readyState !== WebSocket.CLOSED) work();
      else if (text) this.#link.tell({ way, text, fate: "lost" });
    });
  }
}
