"use strict";

// A chat that loses nothing while this page is open, whatever happens to the link: it resumes after the last message that it has seen, and
// sends again what has not come back. A reload forgets both; index.html does not, and notices a dead link by missing heartbeats.

const fromDisk = location.protocol === "file:";
const server = fromDisk ? new URLSearchParams(location.search).get("server") ?? "localhost:8765" : location.host;
const address = `${location.protocol === "https:" ? "wss" : "ws"}://${server}/ws`;

let socket;
let failures = 0; // in a row
let epoch; // which log this is
let position; // of the last message seen: {epoch, after, at}. None: the server begins with a little history
const outbox = new Map(); // key -> text, of what was sent and has not come back

const byId = (id) => document.getElementById(id);

function connect() {
  byId("state").textContent = "Connexion…";
  socket = new WebSocket(`${address}?${new URLSearchParams(position)}`, "chat.v1");
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = () => {
    byId("state").textContent = "Déconnecté";
    // Up to twice as long after each failure, and at random: after a restart of the server not everyone comes back at once.
    setTimeout(connect, Math.random() * Math.min(30_000, 500 * 2 ** failures++)); // ms
  };
}

function receive(message) {
  if (message.type === "hello") return begin(message);
  if (message.reason === "store_unavailable") return socket.close(); // not now: all that is in the outbox is sent on the next connection
  outbox.delete(message.key); // it has come back, or it was in the log already, or it never will be
  if (message.type === "message") {
    position = { epoch, after: message.seq, at: message.at };
    show(message.name ? `${message.name} : ${message.text}` : message.text);
  } else if (message.type === "gap") {
    position = { epoch, after: message.to };
    show(`(messages ${message.from} à ${message.to} : plus conservés)`);
  } else if (message.type === "refused") {
    show(`(message refusé : ${message.detail})`);
  }
}

// What comes first on each connection, and again when the log is lost. Without `resumed` what is shown here belongs to another log.
function begin(hello) {
  if (!hello.resumed) byId("messages").replaceChildren();
  if (!hello.resumed) position = undefined;
  epoch = hello.epoch;
  failures = 0;
  byId("state").textContent = "Connecté";
  outbox.forEach(send);
}

// The key makes it safe to send a message again: the log takes each key once.
function send(text, key) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "say", key, text }));
}

function show(text) {
  const message = document.createElement("p");
  message.textContent = text; // never innerHTML: what others say is text, not a part of this page
  byId("messages").append(message);
}

byId("form").onsubmit = (event) => {
  event.preventDefault(); // stay on this page
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  outbox.set(key, byId("input").value);
  send(byId("input").value, key);
  byId("input").value = "";
};

connect();
