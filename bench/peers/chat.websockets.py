"""Python's websockets, in two ways: 'loop', the course's (await each send in turn), and 'broadcast', the library's own."""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import websockets

try:
    from websockets import broadcast
except ImportError:
    from websockets.legacy.server import broadcast

rooms = {}


def room_of(socket):
    path = socket.path if hasattr(socket, "path") else socket.request.path
    name = parse_qs(urlsplit(path).query).get("room", ["salon"])[0]
    return rooms.setdefault(name, set())


async def send_to_each(clients, message):
    for client in list(clients):
        try:
            await client.send(message)
        except websockets.ConnectionClosed:
            clients.discard(client)


async def serve(port, way):
    async def chat(socket, *_):
        clients = room_of(socket)
        clients.add(socket)
        try:
            async for text in socket:
                message = f"Message d'un client : {text}"
                if way == "loop":
                    await send_to_each(clients, message)
                else:
                    broadcast(clients, message)
        except websockets.ConnectionClosed:
            pass
        finally:
            clients.discard(socket)

    async with websockets.serve(chat, "127.0.0.1", port, compression=None, backlog=4096):
        await asyncio.Future()


asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
