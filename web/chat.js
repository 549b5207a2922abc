"use strict";

// Introduces the connection and the message log to the form. What a student of the snippet looks for is here:
// connection.socket, #messages with a <p> a message, sendMessage().

const TEXTS = {
  fr: {
    messages: "Messages",
    message: "Message",
    send: "Envoyer",
    name: "Votre nom",
    nameless: "Anonyme",
    empty: "Personne n’a encore rien dit ici. Commencez !",
    connecting: "Connexion…",
    connected: "Connecté",
    waiting: "Reconnexion",
    offline: "Hors ligne",
    retry: (seconds) => ` dans ${seconds} s`,
    online: (count) => `${count} en ligne`,
    others: (count) => `et ${count} sans nom ou non affichés`,
    newer: (count) => (count === 1 ? "1 nouveau message" : `${count} nouveaux messages`),
    typing: (names) => (names.length === 1 ? `${names[0]} écrit…` : `${names.join(", ")} écrivent…`),
    someone: "Quelqu’un",
    today: "Aujourd’hui",
    pending: "en attente",
    edit: "Corriger",
    gap: (count) => (count === 1 ? "1 message n’est plus conservé" : `${count} messages ne sont plus conservés`),
    newLog: "Le salon a recommencé à zéro",
    loading: "Messages antérieurs…",
    failed: "Messages antérieurs indisponibles",
    beginning: "Début du salon",
    trimmed: "Messages antérieurs non conservés",
    badName: "32 caractères au plus, sur une ligne.",
    badRoom: "Ce nom de salon n’est pas valable : 1 à 64 lettres sans accent, chiffres, - ou _.",
    limit: (length, limit) => `${length} / ${limit} octets`,
    refused: { malformed: "Message refusé : le serveur ne l’a pas compris.", empty: "Message refusé : il est vide.", too_long: "Message refusé : il est trop long." },
  },
  en: {
    messages: "Messages",
    message: "Message",
    send: "Send",
    name: "Your name",
    nameless: "Anonymous",
    empty: "Nobody has said anything here yet. Go first!",
    connecting: "Connecting…",
    connected: "Connected",
    waiting: "Reconnecting",
    offline: "Offline",
    retry: (seconds) => ` in ${seconds} s`,
    online: (count) => `${count} online`,
    others: (count) => `and ${count} nameless or not shown`,
    newer: (count) => (count === 1 ? "1 new message" : `${count} new messages`),
    typing: (names) => (names.length === 1 ? `${names[0]} is typing…` : `${names.join(", ")} are typing…`),
    someone: "Someone",
    today: "Today",
    pending: "pending",
    edit: "Edit",
    gap: (count) => (count === 1 ? "1 message is no longer kept" : `${count} messages are no longer kept`),
    newLog: "The room has started afresh",
    loading: "Earlier messages…",
    failed: "Earlier messages are unavailable",
    beginning: "Beginning of the room",
    trimmed: "Earlier messages are no longer kept",
    badName: "32 characters at most, on one line.",
    badRoom: "This is not the name of a room: 1 to 64 letters without accents, digits, - or _.",
    limit: (length, limit) => `${length} / ${limit} bytes`,
    refused: { malformed: "Message refused: the server did not understand it.", empty: "Message refused: it is empty.", too_long: "Message refused: it is too long." },
  },
};

const TYPING_EVERY = 2000; // ms: how often it is told
const TYPING_LASTS = 4000; // ms: how long it is shown
const READ_BACK_PAUSE = 1000; // ms after a failure: who scrolls does so sixty times a second
const LIMIT_SHOWN = 0.8; // of the longest message: from there on its length is of interest

const language = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in TEXTS) ?? "en";
const texts = TEXTS[language];
const page = new URLSearchParams(location.search);
const room = page.get("room") ?? "salon";
const byId = (id) => document.getElementById(id);
const input = byId("input");
const nameField = byId("name");

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = texts[element.dataset.label];
byId("room").textContent = room;
input.placeholder = texts.message;
nameField.placeholder = texts.nameless;
nameField.value = remembered(localStorage, "chatminimal/name") ?? "";
input.value = remembered(sessionStorage, draftKey()) ?? "";

const log = new MessageLog(byId("log"), byId("messages"), { ...texts, waiting: texts.pending }, navigator.language);
const connection = new ChatConnection(serverAddress(), pick({ room, invite: page.get("invite") }), validName());

// ---- Saying

function sendMessage() {
  const text = input.value;
  if (text.trim() === "" || isTooLong(text)) return;
  const key = connection.say(text);
  log.wait(key, text, validName());
  toldTypingAt = 0; // what comes next is another message
  setInput("");
  showEmpty();
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendMessage();
  input.focus();
});

input.addEventListener("keydown", (event) => {
  // 229: Safari ends the composition before it says Enter.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  sendMessage();
});

let toldTypingAt = 0;
input.addEventListener("input", () => {
  setInput(input.value);
  if (input.value.trim() === "" || Date.now() - toldTypingAt < TYPING_EVERY) return;
  toldTypingAt = Date.now();
  connection.tellTyping();
});

nameField.addEventListener("change", () => {
  const isValid = isName(nameField.value);
  byId("name-problem").textContent = isValid ? "" : texts.badName;
  nameField.ariaInvalid = String(!isValid);
  if (!isValid) return;
  remember(localStorage, "chatminimal/name", nameField.value);
  connection.setName(nameField.value);
});

nameField.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault(); // a name is not a message
  input.focus();
});

// ---- Hearing

connection.addEventListener("hello", ({ detail: { first, next, seen, wasAnother } }) => {
  if (wasAnother) log.restart(texts.newLog);
  quietUntil = next - 1;
  setCatchingUp(quietUntil > seen);
  keptFrom = first;
  failedAt = 0;
  showEmpty();
  readBack();
});

let quietUntil = 0; // the last seq of what one begins with: history is not read aloud
let isCatchingUp = true;
function setCatchingUp(isSo) {
  isCatchingUp = isSo;
  byId("log").ariaBusy = String(isSo);
}

connection.addEventListener("message", ({ detail: message }) => {
  log.append(message, connection.isMine(message.key));
  if (isCatchingUp && message.seq >= quietUntil) setCatchingUp(false);
  typists.delete(message.name ?? "");
  showTyping();
  showEmpty();
  if (message.seq > quietUntil && document.hidden) setUnread(unread + 1);
});

connection.addEventListener("logged", ({ detail: { key, isShown } }) => isShown && log.forget(key));
connection.addEventListener("gap", ({ detail: { from, to } }) => log.divide(texts.gap(to - from + 1)));

connection.addEventListener("refused", ({ detail: { key, reason, detail, text } }) => {
  if (reason === "bad_name") {
    byId("name-problem").textContent = texts.badName;
    return;
  }
  log.refuse(key, texts.refused[reason] ?? detail, () => {
    setInput(input.value ? `${text}\n${input.value}` : text);
    input.focus();
  });
});

connection.addEventListener("presence", ({ detail: { online, names } }) => {
  byId("online").textContent = texts.online(online);
  const items = online > names.length ? [...names, texts.others(online - names.length)] : names;
  byId("names").replaceChildren(
    ...items.map((name) => {
      const item = document.createElement("li");
      item.dir = "auto";
      item.textContent = name;
      return item;
    }),
  );
});

const typists = new Map(); // name -> until when
connection.addEventListener("typing", ({ detail: { name } }) => {
  typists.set(name, Date.now() + TYPING_LASTS);
  showTyping();
  setTimeout(showTyping, TYPING_LASTS + 50);
});

function showTyping() {
  for (const [name, until] of typists) if (until < Date.now()) typists.delete(name);
  const names = Array.from(typists.keys(), (name) => name || texts.someone);
  byId("typing").textContent = names.length === 0 ? "" : texts.typing(names.slice(0, 3));
}

// ---- Reading back

let keptFrom = 1; // the oldest seq the server has, as far as it has said
let isReadingBack = false;
let failedAt = 0; // when reading back last failed; 0: it did not

// A page at a time, as long as the reader is near the top. What one begins with comes first; and without a link it is the
// link that is wanted.
async function readBack() {
  const before = log.oldest;
  const mayAsk = connection.isReady && !isCatchingUp && !isReadingBack && Date.now() - failedAt > READ_BACK_PAUSE;
  if (!mayAsk || before <= keptFrom || !log.isNearTop) return showTop();
  isReadingBack = true;
  showTop();
  const page = await connection.older(before);
  isReadingBack = false;
  failedAt = page ? 0 : Date.now();
  if (page) keptFrom = page.first;
  if (page?.messages.length > 0 && log.oldest === before) log.prepend(page.messages, (key) => connection.isMine(key));
  showTop();
}

log.addEventListener("top", readBack);

// What there is above the first message. Its place is always kept, so that nothing moves.
function showTop() {
  const { oldest } = log;
  let state = "";
  if (isReadingBack) state = "loading";
  else if (oldest === 1) state = "beginning";
  else if (oldest > 0 && oldest <= keptFrom) state = "trimmed";
  else if (oldest > 0 && failedAt) state = "failed";
  byId("top").dataset.state = state;
  byId("top").textContent = texts[state] ?? "";
}

// ---- Showing

connection.addEventListener("state", ({ detail: { state, retryAt } }) => {
  byId("status").dataset.state = state;
  if (byId("state").textContent !== texts[state]) byId("state").textContent = texts[state];
  showCountdown(state === "waiting" ? retryAt : 0);
});

let countdown = 0;
function showCountdown(until) {
  clearInterval(countdown);
  const show = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    byId("countdown").textContent = seconds > 0 ? texts.retry(seconds) : "";
  };
  show();
  if (until) countdown = setInterval(show, 250);
}

log.addEventListener("unseen", () => {
  byId("newer").hidden = log.unseen === 0;
  byId("newer").textContent = texts.newer(log.unseen);
});
byId("newer").addEventListener("click", () => {
  log.jumpToEnd();
  input.focus();
});

let unread = 0;
function setUnread(count) {
  unread = count;
  document.title = `${unread ? `(${unread}) ` : ""}${room} · ChatMinimal`;
}
document.addEventListener("visibilitychange", () => document.hidden || setUnread(0));

function showEmpty() {
  byId("empty").hidden = !log.isEmpty;
}

function setInput(text) {
  if (input.value !== text) input.value = text;
  remember(sessionStorage, draftKey(), text);
  input.style.height = "auto"; // as high as the text; the style sheet says how high at most
  input.style.height = `${input.scrollHeight}px`;
  const length = byteLength(text);
  const limit = connection.limits.message;
  byId("limit").textContent = length > LIMIT_SHOWN * limit ? texts.limit(length.toLocaleString(language), limit.toLocaleString(language)) : "";
  input.ariaInvalid = String(length > limit);
}

// ---- Small things

function serverAddress() {
  // Opened from disk there is no server to come from: the course's, or the one that is named.
  if (location.protocol === "file:") return `ws://${page.get("server") ?? "localhost:8765"}/ws`;
  const address = new URL("ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.search = address.hash = "";
  return address.href;
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

function isTooLong(text) {
  return byteLength(text) > connection.limits.message;
}

// The server's rule: 32 characters, no control characters, none that turn the direction of text.
function isName(name) {
  return [...name].length <= 32 && !/[\p{Cc}\p{Bidi_Control}]/u.test(name);
}

function validName() {
  return isName(nameField.value) ? nameField.value : "";
}

function draftKey() {
  return `chatminimal/draft/${room}`;
}

function remembered(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

function remember(storage, key, value) {
  try {
    storage.setItem(key, value);
  } catch {} // forbidden or full: forgotten with the page
}

function pick(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}

// ---- Beginning

setUnread(0);
setInput(input.value);
byId("online").textContent = texts.online(0);
for (const { key, text } of connection.unacknowledged) log.wait(key, text, validName());
if (/^[A-Za-z0-9_-]{1,64}$/.test(room)) {
  connection.connect();
} else {
  log.divide(texts.badRoom);
  byId("status").hidden = true;
  for (const control of byId("composer").elements) control.disabled = true;
}
