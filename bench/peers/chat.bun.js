// Bun's own way: native publish/subscribe, one topic a room.
"use strict";

const port = Number(process.argv[2]);

Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    const room = new URL(request.url).searchParams.get("room") ?? "salon";
    return server.upgrade(request, { data: { room } }) ? undefined : new Response("a WebSocket, please", { status: 426 });
  },
  websocket: {
    publishToSelf: true,
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe(socket.data.room);
    },
    message(socket, text) {
      socket.publish(socket.data.room, `Message d'un client : ${text}`);
    },
  },
});
