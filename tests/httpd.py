#!/usr/bin/env python3
"""httpd.py FOLDER [PORT]: the other side of an outbox, for tests.

Listens on 127.0.0.1 (any free port unless one is given) and writes the port to
FOLDER/port. Every request is read whole and appended to FOLDER/log, as JSON on
one line: n, connection, method, path, headers (names in lower case), body,
action. Then comes what is to be done with it:

  FOLDER/script  its first line, which is then gone; a line "ACTION xN" N times
  FOLDER/rules   else the first line "REGEX<tab>ACTION" whose REGEX is in the path or body
  200            else

  NNN [Name: value|...] [= TEXT]  answer with that status, headers and body
  hang       no answer        drip   200, part of the body, then nothing
  close      no answer, closed    cut   200, part of the body, closed
  reset      the connection is reset
  endless    NNN 422 with a body without end
  wait       200, when FOLDER/go is there
"""

import asyncio
import json
import os
import re
import socket
import struct
import sys

folder = sys.argv[1]
log = open(f"{folder}/log", "a", encoding="utf-8")
count = connections = 0


def scripted():
    try:
        with open(f"{folder}/script", encoding="utf-8") as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        return None
    if not lines:
        return None
    action = lines.pop(0)
    times = re.fullmatch(r"(.*) x(\d+)", action)
    if times:
        action = times[1]
        if int(times[2]) > 1:
            lines.insert(0, f"{action} x{int(times[2]) - 1}")
    with open(f"{folder}/script.new", "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))
    os.rename(f"{folder}/script.new", f"{folder}/script")
    return action


def ruled(path, body):
    try:
        with open(f"{folder}/rules", encoding="utf-8") as f:
            rules = [line.split("\t") for line in f.read().splitlines()]
    except FileNotFoundError:
        return None
    for pattern, action in rules:
        if re.search(pattern, path) or re.search(pattern, body):
            return action
    return None


async def read_request(reader):
    """None at the end of the connection."""
    first = await reader.readline()
    if not first:
        return None
    method, path, _ = first.decode("latin-1").split()
    headers = {}
    while True:
        line = (await reader.readline()).decode("latin-1").rstrip("\r\n")
        if not line:
            break
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return method, path, headers, body.decode("utf-8", "backslashreplace")


async def answer(writer, action):
    """Whether the connection stays."""
    if action == "hang":
        await asyncio.sleep(3600)
    if action in ("drip", "cut"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(3600 if action == "drip" else 0)
    if action == "endless":
        writer.write(b"HTTP/1.1 422 No\r\n\r\nthe beginning of much\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
    if action in ("hang", "drip", "cut", "close"):
        return False
    if action == "reset":
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        return False
    if action == "wait":
        while not os.path.exists(f"{folder}/go"):
            await asyncio.sleep(0.01)
        action = "200"
    head, _, text = action.partition(" = ")
    status, _, extra = head.partition(" ")
    body = (text or '{"success":true}').encode()
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}"]
    lines += [h for h in extra.split("|") if h]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()
    return True


async def serve(reader, writer):
    global count, connections
    connections += 1
    connection = connections
    try:
        while True:
            request = await read_request(reader)
            if not request:
                break
            method, path, headers, body = request
            action = scripted() or ruled(path, body) or "200"
            count += 1
            entry = {"n": count, "connection": connection, "method": method, "path": path}
            entry |= {"headers": headers, "body": body, "action": action}
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")
            log.flush()
            if not await answer(writer, action):
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 26)
    with open(f"{folder}/port.new", "w", encoding="utf-8") as f:
        f.write(f"{server.sockets[0].getsockname()[1]}\n")
    os.rename(f"{folder}/port.new", f"{folder}/port")
    async with server:
        await server.serve_forever()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
