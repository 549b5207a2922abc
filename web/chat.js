"use strict";

// Introduces the connection and the message log to the form. What a student of the snippet looks for is here:
// connection.socket, #messages with a <p> a message, sendMessage().

const LANGUAGES = ["fr", "en"];

// In each of them. # stands for a number or a name; what is before | is said of one.
const TEXTS = {
  send: ["Envoyer", "Send"],
  name: ["Votre nom", "Your name"],
  nameless: ["Anonyme", "Anonymous"],
  silence: ["Personne n’a encore rien dit ici. Commencez !", "Nobody has said anything here yet. Go first!"],
  connecting: ["Connexion…", "Connecting…"],
  connected: ["Connecté", "Connected"],
  waiting: ["Reconnexion", "Reconnecting"],
  offline: ["Hors ligne", "Offline"],
  retry: [" dans # s", " in # s"],
  online: ["# en ligne", "# online"],
  others: ["et # sans nom ou non affichés", "and # nameless or not shown"],
  newer: ["# nouveau message|# nouveaux messages", "# new message|# new messages"],
  typing: ["# écrit…|# écrivent…", "# is typing…|# are typing…"],
  someone: ["Quelqu’un", "Someone"],
  today: ["Aujourd’hui", "Today"],
  pending: ["en attente", "pending"],
  edit: ["Corriger", "Edit"],
  gap: ["# message n’est plus conservé|# messages ne sont plus conservés", "# message is no longer kept|# messages are no longer kept"],
  newLog: ["Le salon a recommencé à zéro", "The room has started afresh"],
  loading: ["Messages antérieurs…", "Earlier messages…"],
  failed: ["Messages antérieurs indisponibles", "Earlier messages are unavailable"],
  beginning: ["Début du salon", "Beginning of the room"],
  trimmed: ["Messages antérieurs non conservés", "Earlier messages are no longer kept"],
  badName: ["32 caractères au plus, sur une ligne.", "32 characters at most, on one line."],
  badRoom: [
    "Ce nom de salon n’est pas valable : 1 à 64 lettres sans accent, chiffres, - ou _.",
    "This is not the name of a room: 1 to 64 letters without accents, digits, - or _.",
  ],
  limit: ["# octets", "# bytes"],
  too_long: ["Message refusé : il est trop long.", "Message refused: it is too long."],
};

const TYPING_EVERY = 2000; // ms: how often it is told
const TYPING_LASTS = 4000; // ms: how long it is shown
const READ_BACK_PAUSE = 1000; // ms after a failure: who scrolls does so sixty times a second
const LIMIT_SHOWN = 0.8; // of the longest message: from there on its length is of interest

const language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag)) ?? "en";
const texts = Object.fromEntries(Object.entries(TEXTS).map(([key, all]) => [key, all[LANGUAGES.indexOf(language)]]));
const query = new URLSearchParams(location.search);
const room = query.get("room") ?? "salon";
const invite = query.get("invite");
const byId = (id) => document.getElementById(id);
const input = byId("input");
const nameField = byId("name");
const draftKey = `chatminimal/draft/${room}`;

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
byId("room").textContent = room;
nameField.placeholder = texts.nameless;
nameField.value = ifStored(() => localStorage.getItem("chatminimal/name"));
input.value = ifStored(() => sessionStorage.getItem(draftKey));

// Opened from disk there is no server to come from: the course's, or the one that is named.
const home = location.protocol === "file:" ? `http://${query.get("server") ?? "localhost:8765"}/` : location.href;
const connection = new ChatConnection(home, invite === null ? { room } : { room, invite }, nameField.value);
const log = new MessageLog(byId("log"), byId("messages"), texts, navigator.language);

// ---- Saying

function sendMessage() {
  const text = input.value;
  if (text.trim() === "" || byteLength(text) > connection.limits.message) return;
  log.wait(connection.say(text), text, connection.name);
  toldTypingAt = 0; // what comes next is another message
  setInput("");
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendMessage();
  input.focus();
});

// 229: Safari ends the composition before it says Enter.
const isEnter = (event) => event.key === "Enter" && !event.isComposing && event.keyCode !== 229;

input.addEventListener("keydown", (event) => {
  if (!isEnter(event) || event.shiftKey) return;
  event.preventDefault();
  sendMessage();
});

nameField.addEventListener("keydown", (event) => {
  if (!isEnter(event)) return;
  event.preventDefault(); // a name is not a message
  input.focus();
});

let toldTypingAt = 0;
input.addEventListener("input", () => {
  setInput(input.value);
  if (input.value.trim() === "" || Date.now() - toldTypingAt < TYPING_EVERY) return;
  toldTypingAt = Date.now();
  connection.tellTyping();
});

nameField.addEventListener("change", () => {
  const name = nameField.value;
  // The server's rule: 32 characters, no control characters, none that turn the direction of text.
  const isValid = [...name].length <= 32 && !/[\p{Cc}\p{Bidi_Control}]/u.test(name);
  judgeName(isValid);
  if (!isValid) return;
  ifStored(() => localStorage.setItem("chatminimal/name", name));
  connection.setName(name);
});

function judgeName(isValid) {
  byId("name-problem").textContent = isValid ? "" : texts.badName;
  nameField.ariaInvalid = String(!isValid);
}

// ---- Hearing

const on = (type, hear) => connection.addEventListener(type, ({ detail }) => hear(detail));

let quietUntil = 0; // the last seq of what one begins with: history is not read aloud
const isCatchingUp = () => connection.last < quietUntil;
const showBusy = () => byId("log").setAttribute("aria-busy", isCatchingUp());

on("hello", ({ first, next, online, wasAnother }) => {
  byId("online").textContent = fill(texts.online, online);
  if (wasAnother) log.restart(texts.newLog);
  quietUntil = next - 1;
  showBusy();
  keptFrom = first;
  failedAt = 0;
  readBack();
});

on("message", (message) => {
  log.append(message, connection.isMine(message.key));
  showBusy();
  typists.delete(message.name ?? "");
  showTyping();
  if (message.seq > quietUntil && document.hidden) setUnread(unread + 1);
});

on("logged", ({ key, isShown }) => isShown && log.forget(key));
on("gap", ({ from, to }) => log.divide(fill(texts.gap, to - from + 1)));

on("refused", ({ key, reason, detail, text }) => {
  if (reason === "bad_name") return judgeName(false);
  log.refuse(key, texts[reason] ?? detail, () => {
    setInput(input.value ? `${text}\n${input.value}` : text);
    input.focus();
  });
});

on("presence", ({ online, names }) => {
  byId("online").textContent = fill(texts.online, online);
  if (online > names.length) names.push(fill(texts.others, online - names.length));
  byId("names").replaceChildren(...names.map((name) => make("li", { dir: "auto", textContent: name })));
});

const typists = new Map(); // name -> until when
on("typing", ({ name }) => {
  typists.set(name, Date.now() + TYPING_LASTS);
  showTyping();
});

function showTyping() {
  for (const [name, until] of typists) if (until < Date.now()) typists.delete(name);
  const names = Array.from(typists.keys(), (name) => name || texts.someone).slice(0, 3);
  byId("typing").textContent = names.length === 0 ? "" : fill(texts.typing, names.join(", "), names.length);
}

// ---- Reading back

let keptFrom = 1; // the oldest seq the server has, as far as it has said
let isReadingBack = false;
let failedAt = 0; // when reading back last failed; 0: it did not

// A page at a time, as long as the reader is near the top; what one begins with comes first.
async function readBack() {
  const before = log.oldest;
  const mayAsk = connection.isReady && !isCatchingUp() && !isReadingBack && Date.now() - failedAt > READ_BACK_PAUSE;
  if (mayAsk && before > keptFrom && log.isNearTop) {
    isReadingBack = true;
    showTop();
    const page = await connection.older(before);
    isReadingBack = false;
    failedAt = page ? 0 : Date.now();
    if (page) keptFrom = page.first;
    if (page?.messages.length > 0 && log.oldest === before) log.prepend(page.messages, (key) => connection.isMine(key));
  }
  showTop();
}

log.addEventListener("top", readBack);

// What there is above the first message.
function showTop() {
  const { oldest } = log;
  let state = "";
  if (isReadingBack) state = "loading";
  else if (oldest === 1) state = "beginning";
  else if (oldest > 0 && oldest <= keptFrom) state = "trimmed";
  else if (failedAt) state = "failed";
  byId("top").dataset.state = state;
  byId("top").textContent = texts[state] ?? "";
}

// ---- Showing

let retryAt = 0;
on("state", (detail) => {
  byId("status").dataset.state = detail.state;
  byId("state").textContent = texts[detail.state];
  retryAt = detail.state === "waiting" ? detail.retryAt : 0;
  showCountdown();
});

function showCountdown() {
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  byId("countdown").textContent = seconds > 0 ? fill(texts.retry, seconds) : "";
}

// What time alone changes.
setInterval(() => {
  showCountdown();
  showTyping();
}, 250);

log.addEventListener("unseen", () => {
  byId("newer").hidden = log.unseen === 0;
  byId("newer").textContent = fill(texts.newer, log.unseen);
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

function setInput(text) {
  if (input.value !== text) input.value = text;
  ifStored(() => sessionStorage.setItem(draftKey, text));
  input.style.height = "auto"; // as high as the text; the style sheet says how high at most
  input.style.height = `${input.scrollHeight}px`;
  const [length, limit] = [byteLength(text), connection.limits.message];
  const isOfInterest = length > LIMIT_SHOWN * limit;
  byId("limit").textContent = isOfInterest ? fill(texts.limit, `${length.toLocaleString(language)} / ${limit.toLocaleString(language)}`) : "";
  input.ariaInvalid = String(length > limit);
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

function fill(text, value, count = value) {
  const [one, many = one] = text.split("|");
  return (count === 1 ? one : many).replace("#", () => value);
}

// ---- Beginning

setUnread(0);
setInput(input.value);
byId("online").textContent = fill(texts.online, 0);
for (const { key, text } of connection.unacknowledged) log.wait(key, text, connection.name);
if (/^[A-Za-z0-9_-]{1,64}$/.test(room)) {
  connection.connect();
} else {
  log.divide(texts.badRoom);
  byId("status").hidden = true;
  for (const control of byId("composer").elements) control.disabled = true;
}
