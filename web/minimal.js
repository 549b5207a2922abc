"use strict";

// The server is the one this page came from, or, when the page was opened from disk, one on this machine.
const fromDisk = location.protocol === "file:";
const server = fromDisk ? new URLSearchParams(location.search).get("server") ?? "localhost:8765" : location.host;
const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${server}/ws`);

socket.onopen = () => console.log("Connecté au serveur WebSocket");

socket.onmessage = (event) => {
  console.log("Message reçu : " + event.data);
  show(event.data);
};

function show(text) {
  const message = document.createElement("p");
  message.textContent = text; // never innerHTML: what others say is text, not a part of this page
  document.getElementById("messages").append(message);
}

socket.onclose = () => console.log("Déconnecté du serveur WebSocket");

// A browser does not tell a page why a socket was refused; the same question over HTTP has the answer.
socket.onerror = async () => {
  const answer = await fetch(`${location.protocol === "https:" ? "https" : "http"}://${server}/messages?last=0`).catch(() => null);
  if (answer && !answer.ok) show((await answer.json()).detail);
};

function sendMessage() {
  const input = document.getElementById("input");
  if (socket.readyState !== WebSocket.OPEN) return; // what was typed stays where it is
  socket.send(input.value);
  input.value = "";
}

document.getElementById("form").onsubmit = (event) => {
  event.preventDefault(); // stay on this page
  sendMessage();
};
