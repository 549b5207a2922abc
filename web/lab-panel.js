"use strict";

// The laboratory beside the talk: what passes over the link, what the page knows, what the server's threads do, and switches to disturb it all.

/** A list of what happened, newest last: bounded, and filled once a frame, however fast things happen. */
class LabList {
  static MOST = 200; // entries

  element;
  #render;
  #waiting = [];

  constructor(label, render) {
    this.#render = render;
    this.element = make("ol", { tabIndex: 0, ariaLabel: label });
  }

  add(entry) {
    if (this.#waiting.length === 0) requestAnimationFrame(() => this.#show());
    this.#waiting.push(entry);
    if (this.#waiting.length > LabList.MOST) this.#waiting.shift();
  }

  #show() {
    const list = this.element;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40; // px
    list.append(...this.#waiting.splice(0).map(this.#render));
    while (list.children.length > LabList.MOST) list.firstChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }
}

// ---- Frames

const MOST_SHOWN = 4096; // bytes of a frame as JSON
const MOST_DUMPED = 256; // and as bytes
const FRAME_TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" };

function frameEntry({ way, kind, text, gist, fate, at, size, type }) {
  const summary = make(
    "summary",
    {},
    make("span", { className: "way", role: "img", ariaLabel: labWords[way], textContent: way === "in" ? "←" : "→" }),
    make("time", { textContent: at }),
    make("b", { textContent: type }),
    make("span", { className: "size", textContent: kind ? "" : fill(labWords.bytes, size) }),
    make("span", { className: "fate", textContent: labWords[fate] ?? "" }),
    make("span", { className: "gist", textContent: gist }),
  );
  const details = make("details", { className: fate ?? way }, summary);
  const open = () => {
    details.append(...frameContent(text, size, kind));
    details.scrollIntoView({ block: "nearest" });
  };
  details.addEventListener("toggle", open, { once: true });
  return make("li", {}, details);
}

// What a frame carries. Its header the browser keeps to itself.
function frameContent(text, size, kind) {
  if (kind) return [make("pre", { tabIndex: 0, textContent: text })];
  const isWhole = text.length === size || byteLength(text) === size;
  const json = isWhole ? JSON.stringify(JSON.parse(text), null, 2) : text;
  const bytes = new TextEncoder().encode(text).subarray(0, MOST_DUMPED);
  return [
    make("pre", { tabIndex: 0, textContent: isWhole ? json : `${json}\n${fill(labWords.more, size - byteLength(text))}` }),
    make("pre", { tabIndex: 0, textContent: dump(bytes) + (size > bytes.length ? `\n${fill(labWords.more, size - bytes.length)}` : "") }),
  ];
}

// As hexadecimal editors show them: where, which, and what they are in ASCII.
function dump(bytes) {
  const WIDTH = 8; // fits on a phone
  return Array.from({ length: Math.ceil(bytes.length / WIDTH) }, (_, row) => {
    const part = Array.from(bytes.subarray(row * WIDTH, (row + 1) * WIDTH));
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = part.map((byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    return `${(row * WIDTH).toString(16).padStart(4, "0")}  ${hex.padEnd(3 * WIDTH)} ${ascii}`;
  }).join("\n");
}

// What it says, on one line, without what every one of its type has.
function gistOf({ type, key, invite, at, room, limits, resumed, epoch, ...rest }) {
  const said = { ...(resumed && { resumed }), ...rest, ...(epoch && { epoch: epoch.slice(0, 8) }) };
  return Object.entries(said).map(([name, value]) => `${name} ${value}`).join(" · ");
}

function withoutInvitation(address) {
  const url = new URL(address);
  if (url.searchParams.has("invite")) url.searchParams.set("invite", "…"); // a projector shows it to all
  return url.pathname + url.search;
}

// ---- The server's steps

const THREADS = {
  pump: { hue: 150, name: "pump" },
  loop: { hue: 280, name: labWords.loop },
  "a worker of the pool": { hue: 50, name: labWords.worker },
};

function stepEntry({ what, thread, at, seq, messages, bytes, clients, skipped, took, missed }) {
  if (missed) return make("li", { className: "aside", textContent: fill(labWords.missed, missed) });
  const said = [fill(labWords[`${what}_`], { received: bytes, sent: clients }[what] ?? seq)];
  if (messages > 1) said.push(fill(labWords.together, messages));
  if (what === "sent" && seq > 0) said.push(fill(labWords.upTo, seq));
  if (took > 0) said.push(fill(labWords.ms, took));
  const entry = make(
    "li",
    { className: "step" },
    make("time", { textContent: (at / 1000).toFixed(3) }),
    make("b", { className: "author", textContent: THREADS[thread]?.name ?? thread }),
    make("span", { textContent: said.join(" · ") }),
  );
  if (skipped) entry.append(make("span", { className: "fate", textContent: fill(labWords.skipped_, skipped) }));
  entry.style.setProperty("--hue", THREADS[thread]?.hue ?? 330);
  entry.style.setProperty("--tone", 0);
  return entry;
}

/** Follows what the server tells; says calmly that it does not, where it does not. */
class LabSteps {
  #list;
  #remark;
  #source = null;
  #wasTold = false;
  #isRefused = false;

  constructor(list, remark) {
    [this.#list, this.#remark] = [list, remark];
    this.open();
    // An event stream is one of the six connections that a browser has for a server: a tab in the background leaves it to others.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#source.close() : this.open()));
  }

  /** Again, when it has ended and is to be had. */
  open() {
    if (this.#isRefused || this.#source?.readyState < EventSource.CLOSED) return;
    this.#source = new EventSource(connection.addressOf("lab/events", {}));
    this.#source.onopen = () => {
      this.#wasTold = true;
      tell(this.#remark, labWords.noSteps);
    };
    this.#source.onmessage = ({ data }) => this.#add(JSON.parse(data));
    this.#source.addEventListener("missed", ({ data }) => this.#add({ missed: JSON.parse(data).steps }));
    this.#source.onerror = () => this.#source.readyState === EventSource.CLOSED && !this.#wasTold && this.#giveUp();
  }

  #giveUp() {
    this.#isRefused = true;
    tell(this.#remark, labWords.notTold);
  }

  #add(step) {
    tell(this.#remark, "");
    this.#list.add(step);
  }
}

// ---- The order, as a number that two people can compare

const ORDERED = 20; // messages
let ordered = []; // the last of them

function addToOrder({ seq, at, text }) {
  if (ordered.push(`${seq} ${at} ${text}`) > ORDERED) ordered.shift();
}

// FNV-1a
function orderMark() {
  if (ordered.length < ORDERED) return labWords.none;
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(ordered.join("\n"))) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0").toUpperCase();
}

// ---- The panel

class Laboratory {
  static SAID = 20;
  static FLOOD = 300; // messages
  static FLOOD_BYTES = 32 << 10; // each

  #link = new LabLink();
  #state = "connecting";
  #facts = {};
  #switches = {};
  #isShowing = false;
  #remark = make("p", { className: "remark", role: "status" });

  constructor() {
    const frames = new LabList(labWords.frames, frameEntry);
    const steps = new LabList(labWords.server, stepEntry);
    const stepsRemark = make("p", { className: "aside" });
    document.body.append(this.#panel(frames, steps, stepsRemark));
    document.documentElement.classList.add("with-lab");

    ChatConnection.openSocket = (address) => this.#link.open(address);
    this.#link.addEventListener("frame", ({ detail }) => {
      frames.add(this.#toShow(detail));
      this.#show();
    });
    this.#link.addEventListener("change", () => this.#show());
    const told = new LabSteps(steps, stepsRemark);
    connection.addEventListener("state", ({ detail }) => {
      this.#state = detail.state;
      if (detail.state === "connected") told.open();
      this.#show();
    });
    connection.addEventListener("hello", ({ detail }) => {
      if (!detail.isHeld) ordered = [];
    });
    connection.addEventListener("message", ({ detail }) => addToOrder(detail));
    this.#show();
  }

  #panel(frames, steps, stepsRemark) {
    const away = new URL(location.href);
    away.searchParams.delete("lab");
    return make(
      "aside",
      { id: "lab", ariaLabel: words.lab },
      make("div", { className: "head" }, make("h2", { textContent: words.lab }), make("a", { href: away.href, textContent: labWords.close })),
      this.#factList(),
      this.#switchGroup(),
      this.#remark,
      make("section", {}, make("h3", { textContent: labWords.frames }), frames.element),
      make("section", {}, make("h3", { textContent: labWords.server }), stepsRemark, steps.element),
    );
  }

  #factList() {
    const list = make("dl", {});
    for (const name of ["socket", "epoch", "position", "outbox", "roundTrip", "order"]) {
      this.#facts[name] = make("dd", { className: name });
      const title = name === "order" ? labWords.sameOrder : "";
      list.append(make("div", { title }, make("dt", { textContent: fill(labWords[name], ORDERED) }), this.#facts[name]));
    }
    return list;
  }

  #switchGroup() {
    const link = this.#link;
    const works = {
      cut: () => (link.isCut ? this.#mend() : link.cut()),
      delay: () => link.delay(!link.isDelayed),
      stop: () => (link.isReading ? link.stopReading() : link.readOn()),
      swallow: () => link.swallow(!link.swallowsNext),
      repeat: () => link.repeat(),
      say20: () => this.#say20(),
      flood: () => this.#flood(),
    };
    const group = make("div", { className: "switches", role: "group", ariaLabel: labWords.switches });
    for (const [name, work] of Object.entries(works)) {
      this.#switches[name] = make("button", { type: "button", textContent: labWords[name] });
      this.#switches[name].addEventListener("click", work);
      group.append(this.#switches[name]);
    }
    if (!LabLink.canStopReading) tell(this.#remark, labWords.cannotStop);
    return group;
  }

  #mend() {
    this.#link.mend();
    connection.tryNow();
  }

  #say20() {
    for (let i = 1; i <= Laboratory.SAID; i++) sendMessage(`${i}/${Laboratory.SAID}`);
  }

  // A client of its own, of the plain dialect: the page's outbox is for what a person writes.
  #flood() {
    const socket = new WebSocket(connection.addressOf("ws", { name: labWords.flood }).replace("http", "ws"));
    const padding = " ".repeat(Laboratory.FLOOD_BYTES); // nothing to draw: the server is to be seen, and not the page
    socket.onopen = () => {
      for (let i = 1; i <= Laboratory.FLOOD; i++) socket.send(`${i}/${Laboratory.FLOOD} ${padding}`);
      socket.close(); // after what is to be sent
    };
    tell(this.#remark, fill(labWords.flooding, Laboratory.FLOOD));
  }

  // Bounded: of a long frame only its beginning is remembered.
  #toShow(frame) {
    const text = frame.kind === "open" ? withoutInvitation(frame.text) : frame.text;
    const message = frame.kind ? null : JSON.parse(text);
    const gist = frame.kind === "close" ? text : gistOf(message ?? Object.fromEntries(new URL(frame.text).searchParams));
    const at = new Date().toLocaleTimeString(locale, FRAME_TIME);
    return { ...frame, type: message?.type ?? frame.kind, at, size: byteLength(text), gist: gist.slice(0, 160), text: text.slice(0, MOST_SHOWN) };
  }

  #show() {
    if (this.#isShowing) return;
    this.#isShowing = true;
    requestAnimationFrame(() => {
      this.#isShowing = false;
      this.#showFacts();
      this.#showSwitches();
    });
  }

  #showFacts() {
    const { isCut, isReading, roundTrip } = this.#link;
    const facts = {
      socket: isCut ? labWords.isCut : isReading ? words[this.#state] : labWords.isHeld,
      epoch: connection.epoch?.slice(0, 8) ?? labWords.none,
      position: connection.last.toLocaleString(locale),
      outbox: connection.unsettled.length.toLocaleString(locale),
      roundTrip: roundTrip === null ? labWords.none : fill(labWords.ms, Math.round(10 * roundTrip) / 10),
      order: orderMark(),
    };
    for (const [name, fact] of Object.entries(facts)) tell(this.#facts[name], fact);
  }

  #showSwitches() {
    const { isCut, isDelayed, isReading, swallowsNext, lastSay } = this.#link;
    const { cut, delay, stop, swallow, repeat } = this.#switches;
    tell(cut, isCut ? labWords.mend : labWords.cut);
    tell(delay, isDelayed ? labWords.undelay : labWords.delay);
    tell(stop, isReading ? labWords.stop : labWords.read);
    const isOn = new Map([[cut, isCut], [delay, isDelayed], [stop, !isReading], [swallow, swallowsNext]]);
    for (const [button, is] of isOn) button.classList.toggle("on", is);
    swallow.ariaPressed = String(swallowsNext);
    stop.disabled = !LabLink.canStopReading;
    repeat.disabled = !lastSay || isCut;
  }
}

new Laboratory();
