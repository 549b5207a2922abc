"use strict";

// Introduces the connection, the message log and the composer to each other. What a student of the snippet looks for is here:
// connection.socket, #messages with a <p> a message, sendMessage().

const TYPING_LASTS = 4000; // ms: how long it is shown

// As an installed application it opens where one was last.
if (location.search === "?installed") history.replaceState(null, "", new Stored([location.host, "settings"]).get("last") ?? "./");

const query = new URLSearchParams(location.search);
const room = query.get("room") ?? "salon";
const invite = query.get("invite");

// Opened from disk there is no server to come from: the course's, or the one that is named.
const isFromDisk = location.protocol === "file:";
const home = isFromDisk ? `http://${query.get("server") ?? "localhost:8765"}/` : location.href;
const server = new URL(home).host;
const place = [server, "room", room]; // of what is stored
const settings = new Stored([server, "settings"]);
const visits = new Stored([server, "visited"]);

const connection = new ChatConnection(home, invite === null ? { room } : { room, invite }, settings.get("name") ?? "");
const log = new MessageLog(byId("log"), byId("messages"), byId("top"));
const reader = new Reader(connection, log, byId("top"));
const news = new News(connection, log, reader, new Notifications(byId("notify"), settings, room), place, `${room} · ChatMinimal`);
const composer = new Composer(byId("composer"), byId("input"), place);
const input = byId("input");

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

let pointed = seqOf(location.hash); // the message that the address asks for, until it has been shown

on("hello", ({ first, next, online, isHeld, wasAnother, limits }) => {
  composer.limit = limits.message;
  settings.set("last", `./${location.search}`);
  showOnline(online, []);
  if (wasAnother) log.restart(words.newLog);
  if (!isHeld) {
    reader.historyEnd = next - 1;
    news.resume();
  }
  showCaughtUp();
  reader.resume(first);
});

on("message", (message) => {
  const isNews = message.seq > reader.historyEnd;
  const isMine = connection.isMine(message.key);
  log.append(message, isMine, isNews);
  if (typists.delete(message.name ?? "")) showTyping();
  if (isNews && !isMine) news.count(message);
  if (isNews) showEmpty();
  else showCaughtUp();
});

function showCaughtUp() {
  byId("log").ariaBusy = String(reader.isCatchingUp);
  showEmpty();
  if (!reader.isCatchingUp && pointed) goTo(pointed);
}

async function goTo(seq) {
  pointed = 0;
  if (!(await reader.goTo(seq))) composer.tellProblem(words.notThere);
}

addEventListener("hashchange", () => seqOf(location.hash) && goTo(seqOf(location.hash)));

function seqOf(hash) {
  return Number(/^#m([1-9]\d{0,15})$/.exec(hash)?.[1] ?? 0);
}

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

// ---- The state of the link

let retry = null; // {since, pause} while waiting, and while the attempt lasts that was waited for
let wasConnected = false;

on("state", ({ state, pause, refusal }) => {
  wasConnected ||= state === "connected";
  // Attempts are not told one by one: the words change when something has changed.
  const shown = state === "connecting" && (wasConnected || retry) ? "waiting" : state;
  byId("status").dataset.state = shown;
  tell(byId("state"), words[shown]);
  if (state !== "connecting") retry = state === "waiting" ? { since: new Stopwatch(), pause } : null;
  else if (retry) retry.pause = 0; // it is now
  byId("retry").hidden = shown !== "waiting" && shown !== "refused";
  if (state !== "connecting") showRefusal(refusal);
  showCountdown();
});

let notice = ""; // what is to be told whatever the link does

function showRefusal(refusal) {
  const reason = refusal ? fill(words[refusal.status], home) : notice || (wasConnected ? "" : words.notThereNow);
  tell(byId("notice"), refusal?.detail ? `${reason} (${refusal.detail})` : reason);
}

function notify(text) {
  notice = text;
  tell(byId("notice"), text);
}

function showCountdown() {
  const seconds = retry && Math.max(0, Math.ceil((retry.pause - retry.since.elapsed) / 1000));
  tell(byId("countdown"), retry ? fill(words.retryIn, seconds) : "");
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
  address.searchParams.delete("lab");
  return address.href;
}

// How to bring others in: needed only while nobody has said anything, and in the menu. Nothing where its files are not to be had.
async function invitations() {
  const files = load("qr-code.js", "invitation.js");
  return files.then(
    () => [invitation(addressToGive(), connection)],
    () => [],
  );
}

const isRoomEmpty = () => connection.isReady && !reader.isCatchingUp && log.isEmpty;

// An empty room says how to bring others in; as soon as something is shown, only its menu does.
async function showEmpty() {
  if (isRoomEmpty() === !byId("empty").hidden) return;
  const ways = isRoomEmpty() ? await invitations() : [];
  const isEmpty = isRoomEmpty(); // still
  byId("empty").hidden = !isEmpty;
  byId("empty").replaceChildren(...(isEmpty ? [make("p", { textContent: words.noOne }), ...ways] : []));
}

byId("menu").addEventListener("beforetoggle", ({ newState }) => {
  if (newState !== "open") return;
  byId("take-lines").href = connection.addressOf("export", {});
  byId("take-text").href = connection.addressOf("export", { format: "text" });
  invitations().then((ways) => byId("invite").replaceChildren(...ways));
  const others = visits.keys.filter((name) => name !== room).sort((a, b) => visits.get(b) - visits.get(a));
  byId("rooms").replaceChildren(...others.slice(0, 12).map((name) => make("a", { href: addressOfRoom(name), textContent: name })));
});

byId("jump").addEventListener("submit", (event) => {
  event.preventDefault();
  const day = byId("date").valueAsDate; // midnight, UTC
  byId("menu").hidePopover();
  reader.goToDay(new Date(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate()));
});

byId("visit").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = addressOfRoom(byId("other").value);
});

// ---- The laboratory: nothing of it is here until it is asked for

byId("lab-link").href = `${addressOfRoom(room)}&lab`;

// ---- Searching

function find() {
  byId("menu").hidePopover();
  load("search.css", "search.js").then(
    () => Search.open(connection, goTo),
    () => composer.tellProblem(words.notFoundNow),
  );
}

byId("find").addEventListener("click", find);

// ---- Keys that mean the talk, wherever the focus is

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return find();
  }
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

byId("newer").addEventListener("click", () => input.focus());

document.addEventListener("paste", ({ target, clipboardData }) => {
  if (target.closest("input, textarea, [popover]")) return;
  const text = clipboardData.getData("text/plain");
  if (text === "") return;
  composer.text += text;
  input.focus();
});

// ---- Beginning

const connect = () => connection.connect();

// Once the page is there: from then on it opens while its server is away, too.
const keepPage = () => navigator.serviceWorker.register(codeBeside.createScriptURL("service-worker.js")).catch(() => {}); // the browser may forbid it
if (isInstallable) addEventListener("load", keepPage);

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = words[element.dataset.text];
for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = words[element.dataset.label];
byId("room").firstChild.textContent = room;
byId("room").title = fill(words.menu, room);
nameField.placeholder = words.nameless;
byId("send").disabled = false;
showName();
showOnline(0, []);
connection.unsettled.forEach(showUnsettled);
if (/^[A-Za-z0-9_-]{1,64}$/.test(room)) {
  visits.set(room, Date.now());
  if (query.has("lab")) load("lab.js").catch(connect); // it connects itself
  else connect();
} else {
  notify(words.badRoom);
  byId("status").hidden = true;
  for (const control of byId("composer").elements) control.disabled = true;
}
