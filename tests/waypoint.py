#!/usr/bin/env python3
"""waypoint.py FOLDER PORT: stands between a client and the server on 127.0.0.1:PORT, for
tests of what a network does to requests.

Listens on any free port and writes it to FOLDER/port. What becomes of a request is the
first line of FOLDER/fate, which stays there:

  pass        it goes there and its answer back, as where there is no such file
  late MS     the same, after so many ms
  swallow P   of P in a hundred nothing but the answer is lost: the client waits in vain
  lose P      of P in a hundred the connection is cut before they get there

Chance is seeded by FOLDER, so that it is the same each time.
"""

import asyncio
import os
import random
import sys

folder, server = sys.argv[1], int(sys.argv[2])
chance = random.Random(os.path.basename(folder))


def fate():
    try:
        with open(f"{folder}/fate", encoding="utf-8") as f:
            word, _, number = f.readline().strip().partition(" ")
    except FileNotFoundError:
        return "pass", 0
    return word, int(number or 0)


async def read_message(reader):
    """Its head and body; None at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return None
        head += line
    length = chunked = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        chunked = chunked or line.replace(b" ", b"") == b"transfer-encoding:chunked"
    body = await reader.readexactly(length)
    while chunked:
        size = await reader.readline()
        body += size + await reader.readexactly(int(size, 16) + 2)
        chunked = int(size, 16)
    return head + body


async def one(request, writer):
    """Whether the connection stays."""
    word, number = fate()
    struck = chance.randrange(100) < number
    if word == "lose" and struck:
        return False
    if word == "late":
        await asyncio.sleep(number / 1000)
    there, to = await asyncio.open_connection("127.0.0.1", server)
    try:
        to.write(request)
        answer = await read_message(there)
    finally:
        to.close()
    if word == "swallow" and struck:
        await asyncio.sleep(3600)
    if not answer:
        return False
    writer.write(answer)
    await writer.drain()
    return True


async def serve(reader, writer):
    try:
        while True:
            request = await read_message(reader)
            if not request or not await one(request, writer):
                break
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26)
    with open(f"{folder}/port.new", "w", encoding="utf-8") as f:
        f.write(f"{listening.sockets[0].getsockname()[1]}\n")
    os.rename(f"{folder}/port.new", f"{folder}/port")
    async with listening:
        await listening.serve_forever()


asyncio.run(main())
