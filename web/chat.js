"use strict";

// Introduces the connection, the message log and the composer to each other. What a student of the snippet looks for is here:
// connection.socket, #messages with a <p> a message, sendMessage().

const TYPING_LASTS = 4000; // ms: how long it is shown
const READ_PAUSE = 1000; // ms after a failure: someone who scrolls does so sixty times a second

const query = new URLSearchParams(location.search);
const room = query.get("room") ?? "salon";
const invite = query.get("invite");

// Opened from disk there is no server to come from: the course's, or the one that is named.
const isFromDisk = location.protocol === "file:";
const home = isFromDisk ? `http://${query.get("server") ?? "localhost:8765"}/` : location.href;
const place = [new URL(home).host];
const settings = new Stored([...place, "settings"]);
const visits = new Stored([...place, "visited"]);

const connection = new ChatConnection(home, invite === null ? { room } : { room, invite }, settings.get("name") ?? "");
const scrollback = new Scrollback(connection);
const log = new MessageLog(byId("log"), byId("messages"), byId("top"));
const composer = new Composer(byId("composer"), byId("input"), [...place, room]);
const input = byId("input");
const isMine = (key) => connection.isMine(key);

// ---- Writing

function sendMessage(text) {
  if (settings.get("name") === null) takeName(); // it was asked for once
  log.wait(connection.say(text));
  showEmpty();
  log.jumpToEnd();
}

composer.addEventListener("say", ({ detail }) => sendMessage(detail));
composer.addEventListener("typing", () => connection.tellTyping());
composer.addEventListener("scroll", ({ detail }) => log.scrollBy(detail));
composer.addEventListener("recall", (event) => {
  const text = log.lastOfMine;
  if (text === undefined) return;
  event.preventDefault();
  composer.text = text;
});

function showUnsettled(item) {
  log.wait(item);
  if (item.refusal) showRefused(item);
}

function showRefused({ key, text, refusal: { reason, detail } }) {
  const reasons = { too_long: words.too_long, empty: words.empty, key_taken: words.key_taken };
  const edit = () => {
    composer.putBefore(text); // first: then it is stored there
    connection.discard(key);
    showEmpty();
  };
  log.refuse(key, reasons[reason] ?? detail, edit, () => {
    connection.discard(key);
    showEmpty();
  });
}

// ---- A name

const nameField = byId("name");

function showName(isAsking = settings.get("name") === null) {
  tell(byId("me"), connection.name || words.nameless);
  for (const element of [byId("me"), byId("rename")]) element.hidden = isAsking;
  for (const element of [nameField, ...nameField.labels]) element.hidden = !isAsking;
}

byId("rename").addEventListener("click", () => {
  showName(true);
  nameField.value = connection.name;
  nameField.select();
});

nameField.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    nameField.value = connection.name;
    judgeName(true);
  } else if (!isEnter(event)) return;
  event.preventDefault(); // a name is not a message
  if (takeName()) input.focus();
});
nameField.addEventListener("change", takeName);

// The server's rule: 32 characters that show something, on one line, none that turns the direction of text or piles up.
function isName(name) {
  const isVisible = name === "" || /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u.test(name);
  return isVisible && [...name].length <= 32 && !/[\p{Cc}\p{Bidi_Control}]|\p{M}{5}/u.test(name);
}

function takeName() {
  const name = nameField.value.trim();
  judgeName(isName(name));
  if (!isName(name)) return false;
  settings.set("name", name);
  if (name !== connection.name) connection.setName(name);
  showName(false);
  return true;
}

function judgeName(isValid) {
  tell(byId("name-problem"), isValid ? "" : words.badName);
  nameField.ariaInvalid = String(!isValid);
}

// ---- What the server says

const on = (type, hear) => connection.addEventListener(type, ({ detail }) => hear(detail));

let historyEnd = 0; // the last seq of what one begins with; what comes later is news
let pointed = seqOf(location.hash); // the message that the address asks for, until it has been shown

on("hello", ({ first, next, online, isHeld, wasAnother, limits }) => {
  composer.limit = limits.message;
  showOnline(online, []);
  if (wasAnother) log.restart(words.newLog);
  if (!isHeld) {
    historyEnd = next - 1;
    resumeReading();
  }
  [firstKept, failedAt] = [first, null];
  showCaughtUp();
  readBack();
});

on("message", (message) => {
  const isNews = message.seq > historyEnd;
  log.append(message, isMine(message.key), isNews);
  if (typists.delete(message.name ?? "")) showTyping();
  if (isNews && document.hidden && !isMine(message.key)) setUnread(unread + 1);
  if (!isNews) showCaughtUp();
  else showEmpty();
});

on("logged", ({ key, isShown }) => isShown && log.forget(key));
on("gone", ({ key }) => log.forget(key));
on("left", (items) => items.forEach(showUnsettled));
on("gap", ({ to }) => log.skipTo(to));

on("refused", (refusal) => {
  if (refusal.reason === "bad_name") {
    settings.remove("name");
    showName(true);
    judgeName(false);
  }
  const item = connection.unsettled.find(({ key }) => key === refusal.key);
  if (item) showRefused(item);
});

on("presence", ({ online, names }) => showOnline(online, names));

function showOnline(online, names) {
  tell(byId("online"), fill(words.online, online));
  const entries = names.map((name) => make("li", { dir: "auto", textContent: name }));
  const self = connection.name ? names.indexOf(connection.name) : -1;
  if (self >= 0) entries[self].textContent = fill(words.you, names[self]);
  if (online > names.length && names.length > 0) entries.push(make("li", { textContent: fill(words.others, online - names.length) }));
  byId("names").replaceChildren(...entries);
}

const typists = new Map(); // name -> since
on("typing", ({ name, names = [name] }) => {
  for (const one of names) typists.set(one, new Stopwatch());
  showTyping();
});

function showTyping() {
  for (const [name, since] of typists) if (since.elapsed > TYPING_LASTS) typists.delete(name);
  const names = Array.from(typists.keys(), (name) => name || words.someone).slice(0, 3);
  tell(byId("typing"), names.length === 0 ? "" : fill(words.typing, names.join(", "), names.length));
}

// ---- Reading back, and on

let firstKept = 1; // the oldest seq the server has, as far as it has said
let isReading = false;
let failedAt = null; // a stopwatch since reading last failed

const isCatchingUp = () => connection.last < historyEnd;
const mayRead = () => connection.isReady && !isCatchingUp() && !isReading && !(failedAt?.elapsed < READ_PAUSE);

function showCaughtUp() {
  byId("log").ariaBusy = String(isCatchingUp());
  showEmpty();
  if (!isCatchingUp() && pointed) goTo(pointed);
}

/** One read at a time. Shows what it brings, when it is of the log that it was asked of. */
async function read(ask, show) {
  const { epoch } = connection;
  isReading = true;
  showTop();
  const page = await ask();
  isReading = false;
  failedAt = page ? null : new Stopwatch();
  if (page) firstKept = page.first;
  if (page && connection.epoch === epoch) show(page.messages);
  showTop();
}

async function readBack() {
  const before = log.oldest;
  if (mayRead() && before > firstKept && log.isNearTop) {
    await read(
      () => scrollback.older(before),
      (messages) => messages.length > 0 && log.oldest === before && log.prepend(messages, isMine),
    );
  }
  showTop();
}

async function readOn() {
  const after = log.newest;
  if (!mayRead()) return;
  await read(
    () => scrollback.newer(after),
    (messages) => log.newest === after && log.extend(messages, isMine),
  );
}

log.addEventListener("top", readBack);
log.addEventListener("bottom", readOn);
log.addEventListener("end", () =>
  read(
    () => scrollback.newest(),
    (messages) => log.replace(messages, isMine),
  ),
);

// What there is above the first message.
function showTop() {
  const { oldest } = log;
  let state = "";
  if (isReading && log.isNearTop) state = "loading";
  else if (oldest === 1) state = "beginning";
  else if (oldest > 0 && oldest <= firstKept) state = "trimmed";
  else if (failedAt) state = "failed";
  byId("top").dataset.state = state;
  tell(byId("top"), words[state] ?? "");
}

function seqOf(hash) {
  return Number(/^#m([1-9]\d{0,15})$/.exec(hash)?.[1] ?? 0);
}

/** Brings a message into view, with what surrounds it. */
async function goTo(seq) {
  pointed = 0;
  if (log.point(seq)) return;
  await read(
    () => scrollback.around(seq),
    (messages) => {
      const nearest = messages.find((message) => message.seq >= seq) ?? messages.at(-1);
      if (messages.length > 0) log.replace(messages, isMine);
      if (nearest) log.point(nearest.seq);
      if (nearest?.seq !== seq) composer.tellProblem(words.notThere);
    },
  );
}

addEventListener("hashchange", () => seqOf(location.hash) && goTo(seqOf(location.hash)));

byId("jump").addEventListener("submit", async (event) => {
  event.preventDefault();
  const day = byId("date").valueAsDate; // midnight, UTC
  const seq = await scrollback.seqAt(new Date(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate()).getTime());
  byId("menu").hidePopover();
  if (seq !== null) goTo(Math.min(seq, connection.last));
});

// ---- The state of the link

let retry = null; // {since, pause} while waiting
let wasConnected = false;

on("state", ({ state, pause, refusal }) => {
  wasConnected ||= state === "connected";
  // Attempts are not told one by one: the words change when something has changed.
  const shown = state === "connecting" && wasConnected ? "waiting" : state;
  byId("status").dataset.state = shown;
  tell(byId("state"), words[shown]);
  retry = state === "waiting" ? { since: new Stopwatch(), pause } : null;
  byId("retry").hidden = !retry && state !== "refused";
  if (state !== "connecting") showRefusal(refusal);
  showCountdown();
});

function showRefusal(refusal) {
  const reason = refusal ? fill(words[refusal.status], home) : "";
  notify(refusal?.detail ? `${reason} (${refusal.detail})` : reason);
}

function notify(text) {
  tell(byId("notice"), text);
}

function showCountdown() {
  const seconds = retry ? Math.ceil((retry.pause - retry.since.elapsed) / 1000) : 0;
  tell(byId("countdown"), seconds > 0 ? fill(words.retryIn, seconds) : "");
}

byId("retry").addEventListener("click", () => {
  connection.tryNow();
  input.focus();
});
Stored.onFull = () => notify(words.full);

// What time alone changes.
let today = new Date().toDateString();
setInterval(() => {
  showCountdown();
  showTyping();
  if (today === new Date().toDateString()) return;
  today = new Date().toDateString();
  log.redress();
}, 250);

// ---- What is new

let unread = 0;

function setUnread(count) {
  unread = count;
  document.title = `${unread ? `(${unread}) ` : ""}${room} · ChatMinimal`;
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="#c62f1d"/><text x="16" y="23" font-family="sans-serif" font-weight="700" font-size="20" text-anchor="middle" fill="#fff">${Math.min(unread, 99)}</text></svg>`;
  byId("icon").href = unread ? `data:image/svg+xml,${encodeURIComponent(icon)}` : "favicon.svg";
}

// What this reader has seen, so that the next visit, or the next look at this tab, knows what is new.
const reading = new Stored([...place, room]);

function leave() {
  if (!log.isAtEnd || connection.last === 0) return;
  log.newAfter = connection.last;
  reading.set("seen", { epoch: connection.epoch, seq: connection.last });
}

function comeBack() {
  setUnread(0);
  if (connection.last === log.newAfter) log.newAfter = Infinity; // nothing came
  log.redress();
  showAway();
}

document.addEventListener("visibilitychange", () => (document.hidden ? leave() : comeBack()));
addEventListener("pagehide", () => document.hidden || leave());

function resumeReading() {
  const seen = reading.get("seen");
  log.newAfter = seen?.epoch === connection.epoch && seen.seq < historyEnd ? seen.seq : Infinity;
}

// When the first of what is new is further back than the page begins.
function showAway() {
  const count = connection.last - log.newAfter;
  byId("away").hidden = isCatchingUp() || log.oldest <= log.newAfter + 1 || !(count > 0);
  tell(byId("away"), byId("away").hidden ? "" : fill(words.away, count));
}

byId("away").addEventListener("click", () => goTo(log.newAfter + 1));
log.addEventListener("place", showAway);
log.addEventListener("place", showNewer);
log.addEventListener("unseen", showNewer);

function showNewer() {
  byId("newer").hidden = log.unseen === 0 && log.isAttached;
  tell(byId("newer"), log.unseen ? fill(words.newer, log.unseen) : words.toEnd);
}

byId("newer").addEventListener("click", () => {
  log.jumpToEnd();
  input.focus();
});

// ---- The room, others, and how to come in

function addressOfRoom(name) {
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("room", name);
  return address.href;
}

function addressToGive() {
  const address = isFromDisk ? new URL(home) : new URL(addressOfRoom(room));
  if (isFromDisk && invite !== null) address.searchParams.set("invite", invite);
  if (room === "salon") address.searchParams.delete("room");
  else address.searchParams.set("room", room);
  return address.href;
}

// An empty room says how to bring others in; as soon as something is shown, only its menu does.
function showEmpty() {
  const isEmpty = connection.isReady && !isCatchingUp() && log.isEmpty;
  if (isEmpty === !byId("empty").hidden) return;
  byId("empty").hidden = !isEmpty;
  byId("empty").replaceChildren(...(isEmpty ? [make("p", { textContent: words.noOne }), invitation(addressToGive(), connection)] : []));
}

byId("menu").addEventListener("beforetoggle", ({ newState }) => {
  if (newState !== "open") return;
  byId("invite").replaceChildren(invitation(addressToGive(), connection));
  const others = visits.keys.filter((name) => name !== room).sort((a, b) => visits.get(b) - visits.get(a));
  byId("rooms").replaceChildren(...others.slice(0, 12).map((name) => make("a", { href: addressOfRoom(name), textContent: name })));
});

byId("visit").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = addressOfRoom(byId("other").value);
});

// ---- Keys that mean the talk, wherever the focus is

document.addEventListener("keydown", (event) => {
  const isElsewhere = event.target.closest("input, textarea, [popover]") || document.querySelector(":popover-open");
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    log.move(event.key === "ArrowUp" ? -1 : 1);
  } else if (event.key === "Escape" && !isElsewhere) {
    input.focus();
  } else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey && !isElsewhere) {
    input.focus(); // what is typed goes there
  }
});

document.addEventListener("paste", ({ target, clipboardData }) => {
  if (target.closest("input, textarea, [popover]")) return;
  const text = clipboardData.getData("text/plain");
  if (text === "") return;
  composer.text += text;
  input.focus();
});

// ---- Beginning

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = words[element.dataset.text];
for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = words[element.dataset.label];
byId("room").firstChild.textContent = room;
byId("room").title = fill(words.menu, room);
nameField.placeholder = words.nameless;
byId("send").disabled = false;
showName();
setUnread(0);
showOnline(0, []);
connection.unsettled.forEach(showUnsettled);
if (/^[A-Za-z0-9_-]{1,64}$/.test(room)) {
  visits.set(room, Date.now());
  connection.connect();
} else {
  notify(words.badRoom);
  byId("status").hidden = true;
  for (const control of byId("composer").elements) control.disabled = true;
}
