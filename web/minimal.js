"use strict";

// The server that this page came from; opened from disk, the course's on this machine.
const address = location.host ? location.origin.replace("http", "ws") : "ws://localhost:8765";
const socket = new WebSocket(address);

const show = (state) => (document.getElementById("state").textContent = state);

socket.onopen = () => show("Connecté au serveur WebSocket");

socket.onmessage = (event) => {
  const message = document.createElement("p");
  message.textContent = event.data; // never innerHTML: what others write is text, not a part of this page
  document.getElementById("messages").append(message);
};

// A browser does not tell why it could not connect. The same server says so over HTTP, to whoever may read it.
socket.onclose = async () => {
  show("Déconnecté du serveur WebSocket");
  try {
    const answer = await fetch(`${address.replace("ws", "http")}/messages?last=0`);
    if (!answer.ok) show(`Refusé : ${(await answer.json()).detail}`);
  } catch {
    show("Pas de connexion. Le serveur tourne-t-il ? S’il refuse les pages ouvertes depuis le disque, ouvrez celle qu’il sert : /minimal.html");
  }
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
