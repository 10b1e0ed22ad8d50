"""The script of _websocket_script.ts, played by Python's websockets.

    python3 tests/system/_websocket_python.py server|client none|deflate [url]
"""

import asyncio
import http
import sys

import websockets

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]


def text_of(size):
    return "é☃" * (size // 5) + "x" * (size % 5)


def bytes_of(size):
    return bytes(i * 7 % 256 for i in range(size))


def say(line):
    print(line, flush=True)


async def serve(compression):
    async def handle(ws, path):
        if path.endswith("/close"):
            await ws.close(4001, "enough")
            return
        async for message in ws:
            await ws.send(message)

    async def refuse(path, _headers):
        return (http.HTTPStatus.FORBIDDEN, [], b"") if path.endswith("/no") else None

    options = {
        "compression": compression,
        "subprotocols": ["chat"],
        "process_request": refuse,
    }
    async with websockets.serve(handle, "127.0.0.1", 0, **options) as server:
        say(f"port {server.sockets[0].getsockname()[1]}")
        await asyncio.Future()


async def play(url, compression):
    options = {"compression": compression, "max_size": None}
    async with websockets.connect(url, subprotocols=["x", "chat"], **options) as ws:
        say(f"protocol {ws.subprotocol}")
        for size in SIZES:
            await ws.send(text_of(size))
            assert await ws.recv() == text_of(size), size
            await ws.send(bytes_of(size))
            assert await ws.recv() == bytes_of(size), size
            say(f"echo {size}")
        # An iterable is sent in fragments.
        await ws.send(["frag", "ment", "ed"])
        say(await ws.recv())
        await asyncio.wait_for(await ws.ping(), 10)
        say("pong")
        for i in range(1000):
            await ws.send(str(i))
        for i in range(1000):
            assert await ws.recv() == str(i), i
        say("many")
        await ws.close(4000, "bye")
        say(f"closed {ws.close_code}")

    async with websockets.connect(url + "close", subprotocols=["chat"], **options) as ws:
        await ws.wait_closed()
        say(f"closed {ws.close_code} {ws.close_reason}")
    try:
        await websockets.connect(url + "no", **options)
    except websockets.InvalidStatusCode as error:
        say(f"refused {error.status_code}")


role, wanted = sys.argv[1:3]
compression = "deflate" if wanted == "deflate" else None
if role == "server":
    asyncio.run(serve(compression))
else:
    asyncio.run(play(sys.argv[3], compression))
