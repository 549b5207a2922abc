// The way of ws's own documentation: for each client, client.send.
"use strict";

const { WebSocketServer, WebSocket } = require("ws");

const port = Number(process.argv[2]);
const rooms = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false, backlog: 4096 });

server.on("connection", (socket, request) => {
  const name = new URL(request.url, "http://localhost").searchParams.get("room") ?? "salon";
  if (!rooms.has(name)) rooms.set(name, new Set());
  const room = rooms.get(name);
  room.add(socket);

  socket.on("message", (text) => {
    const message = `Message d'un client : ${text}`;
    for (const client of room) {
      if (client.readyState === WebSocket.OPEN) client.send(message);
    }
  });
  socket.on("close", () => room.delete(socket));
  socket.on("error", () => room.delete(socket));
});
