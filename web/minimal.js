"use strict";

// The server is the one this page came from, or, when the page was opened from disk, one on this machine.
const fromDisk = location.protocol === "file:";
const server = fromDisk ? new URLSearchParams(location.search).get("server") ?? "localhost:8765" : location.host;
const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${server}/ws`);

socket.onopen = () => console.log("Connecté au serveur WebSocket");

socket.onmessage = (event) => {
  console.log("Message reçu : " + event.data);
  const message = document.createElement("p");
  message.textContent = event.data; // never innerHTML: what others say is text, not a part of this page
  document.getElementById("messages").append(message);
};

socket.onclose = () => console.log("Déconnecté du serveur WebSocket");

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
