"""A laptop sleeps while Ana talks, and wakes up: what a server makes of it. Needs `pip install websockets`.

    python3 server/steps/laptop.py [ws://localhost:8765]
"""
import asyncio, sys, websockets

COUNT = 2000  # messages of 8000 bytes: more than the network holds between a server and a client
PATIENCE = 5  # seconds


async def main(address):
    # The library reads ahead of us, but no more than this: then the laptop's end of the connection is full.
    async with websockets.connect(address) as ana, websockets.connect(address, max_queue=1, ping_interval=None) as laptop:
        number = 0
        try:
            while number < COUNT:
                number += 1
                await ana.send(f"{number} " + "x" * 8000)
                await asyncio.wait_for(ana.recv(), PATIENCE)
            print(f"Ana has sent {COUNT} messages, and each has come back to her.")
        except asyncio.TimeoutError:
            print(f"Ana's message {number} has not come back for {PATIENCE} s. The room is silent.")

        print("The laptop wakes up.")
        read = 0
        try:
            while read < number:
                message = await asyncio.wait_for(laptop.recv(), PATIENCE)
                read += message.startswith("Message d'un client")
        except asyncio.TimeoutError:
            await ana.send("Bonjour !")
            print(f"It has read {read} of {number} messages. The next one it is sent: {(await laptop.recv())[:40]}")
        else:
            print(f"It has read all {read} messages.")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:8765"))
