#!/usr/bin/env python3
"""standin.py PAGE: a host that can be told to misbehave, for the tests of the page.

Serves the folder PAGE and, as lifeboat-http(7) says, the routes that the page asks.
Prints its URL, and ends when its standard input does. What is below /_/ is the tests':

    POST /_/set     {"dead": true, ...}: sets what Host has; see there
    POST /_/host    {"store_id", "device_id", "site_id", "key"}: another host, blank
    POST /_/events  JSONL: events that happened
    POST /_/push    text: goes out to all open streams as it is
    GET  /_/digest  {"count", "sha256"} of all events, in the order of their ids
    GET  /_/log     [[method, path, status], ...]
    GET  /_/token?role=dr&exp=SECONDS
"""
import base64
import hashlib
import hmac
import json
import os
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
       "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'")
TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript",
         "svg": "image/svg+xml", "png": "image/png", "webmanifest": "application/manifest+json"}
OWN = re.compile(r'(,"(ts_server|synced|acknowledged|created_at|seq)":("[^"]*"|\d+))+\}$')


class Host:
    """One box: its store, its key, and how it misbehaves."""

    def __init__(self, **named):
        self.store_id, self.device_id, self.site_id = "a" * 16, "pi-0001", "main"
        self.key = "first"           # '' : no key file, no token needed
        self.dead = False            # answers nothing
        self.code, self.tries = "123456", 5
        self.busy = 0                # so many restore requests get 409
        self.overloaded = 0          # so many restore requests get 503
        self.die_after = -1          # dead once so many parts are in, the last one unanswered
        self.cut = 0                 # so many exports lose their last bytes
        self.forget = 0              # so many parts from now on, it forgets the session's counts
        self.delay = 0.0             # seconds, before each part is answered
        self.refuse = ""             # ids that begin so are refused
        self.choke = ""              # a part with an id that begins so is 400
        self.extra = {}              # members for /api/dr/health
        self.per_minute = [0] * 60
        self.__dict__.update(named)
        self.lines, self.at, self.sessions, self.owner = [], {}, {}, None

    def add(self, line):
        """1 stored, 0 was there, -1 conflict."""
        core = OWN.sub("}", line)
        name = json.loads(line)["event_id"]
        if name in self.at:
            return 0 if self.lines[self.at[name]] == core else -1
        self.at[name] = len(self.lines)
        self.lines.append(core)
        return 1

    def full(self, n):
        return (self.lines[n][:-1] + ',"ts_server":1795000000000,"synced":0,"acknowledged":0,'
                f'"created_at":"2026-11-20 10:00:00","seq":{n + 1}}}')

    def cursor(self, n):
        check = hashlib.sha256(self.lines[n - 1].encode()).hexdigest()[:8] if n else "0" * 8
        return f"{self.store_id}:{n}:{check}"


host = Host()
lock = threading.RLock()
log = []
streams = []


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(role, exp):
    text = ".".join(b64(json.dumps(part).encode()) for part in
                    ({"alg": "HS256", "typ": "JWT"}, {"user_id": "paired-1", "role": role, "exp": exp}))
    return text + "." + b64(hmac.new(host.key.encode(), text.encode(), "sha256").digest())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", **headers):
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        log.append([self.command, self.path, status])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status, title, type_="about:blank", retry=None, **members):
        headers = {"Retry-After": retry} if retry is not None else {}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        self.answer(status, {"type": type_, "title": title, "status": status, "detail": title, **members},
                    "application/problem+json", Cache_Control="no-store", **headers)

    def hang_up(self):
        log.append([self.command, self.path, 0])
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def do_GET(self):
        self.route()

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.route()

    def route(self):
        url = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(url.query).items()}
        if url.path.startswith("/_/"):
            return self.control(url.path[3:])
        if host.dead:
            return self.hang_up()
        if not url.path.startswith("/api/"):
            return self.static(url.path)
        if url.path not in ("/api/health", "/api/dr/pair") and not self.allowed():
            return None
        handler = getattr(self, "api_" + re.sub(r"\W", "_", url.path[5:]), None)
        if handler is None:
            return self.problem(404, "Not Found")
        return handler()

    def allowed(self):
        if host.key == "":
            return True
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            text, _, signature = token.rpartition(".")
            claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
            good = signature == b64(hmac.new(host.key.encode(), text.encode(), "sha256").digest())
        except (ValueError, IndexError):
            good = False
        if not good or claims["exp"] < time.time():
            self.problem(401, "Unauthorized")
            return False
        if claims["role"] not in ("dr", "admin"):
            self.problem(403, "Forbidden")
            return False
        return True

    def static(self, path):
        name = os.path.join(sys.argv[1], "index.html" if path == "/" else path[1:])
        if ".." in path or not os.path.isfile(name):
            return self.problem(404, "Not Found")
        with open(name, "rb") as f:
            return self.answer(200, f.read(), TYPES[name.rsplit(".", 1)[-1]], Content_Security_Policy=CSP)

    def json(self, body):
        self.answer(200, body, Cache_Control="no-store")

    def who(self):
        store = host.store_id
        return {"status": "healthy" if store else "degraded", "version": "0.1.0", "site_id": host.site_id,
                "device_id": host.device_id if store else None, "store_id": store}

    def api_health(self):
        self.json(self.who())

    def api_dr_health(self):
        self.json({**self.who(), "events_count": len(host.lines), "conflicts": 0,
                   "last_event_at": int(time.time() * 1000) - 42000 if host.lines else None,
                   "restore_in_progress": host.owner is not None, "last_restore": None,
                   "licence": {"state": "FULL", "expires_at": None, "expired": False}, "hlc_ahead_ms": 0,
                   "queue": {"pending": 0, "running": 0, "failed": 0, "dead_letters": 0, "destinations": []},
                   "mirror": None, "bytes": 4096 + 900 * len(host.lines), "free_bytes": 21_500_000_000, **host.extra})

    def api_dr_stats(self):
        times = [json.loads(x)["ts_device"] for x in (host.lines[:1] + host.lines[-1:])]
        self.json({"events_count": len(host.lines), "oldest_ts": times[0] if times else None,
                   "newest_ts": times[-1] if times else None, "per_minute": host.per_minute,
                   "bytes": 4096 + 900 * len(host.lines)})

    def api_events(self):
        n = int(self.query.get("limit", 100))
        lines = [host.full(i) for i in range(len(host.lines))][-n:][::-1]
        self.answer(200, '{"events":[\n' + ",\n".join(lines) + f'\n],"events_count":{len(lines)},"has_more":false}}')

    def api_events_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        log.append([self.command, self.path, 200])
        self.close_connection = True
        self.wfile.write(b"retry: 3000\n\n")
        self.wfile.flush()
        gone = threading.Event()
        streams.append((self, gone))
        gone.wait()

    def api_dr_export(self):
        with lock:
            after, limit = self.query.get("after", "start"), int(self.query.get("limit", 10000))
            start = 0
            if after != "start":
                _, seq, _ = after.split(":")
                start = int(seq)
                if start > len(host.lines) or host.cursor(start) != after:
                    return self.problem(409, "the cursor does not fit this store", "/problems/cursor")
            if host.store_id is None:
                return self.problem(503, "there is no store", retry=1)
            end = min(len(host.lines), start + limit)
            body = "".join(host.full(i) + "\n" for i in range(start, end)).encode()
            seal = {"count": end - start, "sha256": hashlib.sha256(body).hexdigest(), "from": after, "to": host.cursor(end)}
            body += (json.dumps({"lifeboat_end": seal}, separators=(",", ":")) + "\n").encode()
            if host.cut:
                host.cut -= 1
                body = body[:-len(body) // 3]
        return self.answer(200, body, "application/jsonl", Cache_Control="no-store")

    def api_dr_pair(self):
        if host.tries <= 0:
            return self.problem(410, "no pairing is open")
        if json.loads(self.body)["code"] != host.code:
            host.tries -= 1
            return self.problem(403, "wrong code", tries_left=host.tries)
        exp = int(time.time()) + 90 * 86400
        return self.json({"token": make_token("dr", exp), "role": "dr", "user_id": "paired-1", "expires_at": exp * 1000})

    def api_dr_restore(self):
        document = json.loads(self.body)
        session = document["restore_session_id"]
        with lock:
            if host.busy or host.owner not in (None, session):
                host.busy = max(0, host.busy - 1)
                return self.problem(409, "another restore is running", retry=1, restore_session_id=host.owner)
            if host.overloaded:
                host.overloaded -= 1
                return self.problem(503, "too much to do", retry=1)
            if host.choke and any(e["event_id"].startswith(host.choke) for e in document["events"]):
                return self.problem(400, "no JSON document")
            if document["events_count"] != len(document["events"]):
                return self.problem(422, "events_count is wrong")
            host.owner = session
            if host.store_id is None:
                host.store_id, host.device_id = "f" * 16, "pi-made"
            answer = self.take(session, document)
        time.sleep(host.delay)
        with lock:
            if host.die_after > 0:
                host.die_after -= 1
            if host.die_after == 0:
                host.dead = True
                return self.hang_up()
        return self.json(answer)

    def take(self, session, document):
        text, reader = self.body.decode(), json.JSONDecoder()
        at = re.search(r'"events":\[\s*', text).end()
        if host.forget:
            host.forget -= 1
            if not host.forget:
                host.sessions.clear()
        counts = host.sessions.setdefault(session, {"received": 0, "inserted": 0, "already_present": 0, "rejected": 0})
        conflicts = 0
        for event in document["events"]:
            _, end = reader.raw_decode(text, at)
            result = -2 if host.refuse and event["event_id"].startswith(host.refuse) else host.add(text[at:end])
            at = re.compile(r"[\s,]*").match(text, end).end()
            conflicts += result == -1
            counts["received"] += 1
            counts[{1: "inserted", 0: "already_present"}.get(result, "rejected")] += 1
        counts["conflicts"] = counts.get("conflicts", 0) + conflicts
        status = "IN_PROGRESS"
        if not document["more"]:
            host.owner = None
            status = "PARTIAL" if counts["rejected"] else "COMPLETED"
        return {"status": status, "restore_session_id": session, "projections_rebuilt": [], "message": "",
                "conflicts": counts["conflicts"], "projections_failed": [],
                **{f"events_{k}": counts[k] for k in ("received", "inserted", "already_present", "rejected")}}

    def control(self, what):
        global host
        with lock:
            if what == "set":
                host.__dict__.update(json.loads(self.body))
            elif what == "host":
                host = Host(**json.loads(self.body))
            elif what == "events":
                for line in self.body.decode().splitlines():
                    host.add(line)
            elif what == "push":
                for handler, gone in streams:
                    try:
                        handler.wfile.write(self.body)
                        handler.wfile.flush()
                    except OSError:
                        gone.set()
            elif what == "digest":
                body = "".join(x + "\n" for x in sorted(host.lines))
                return self.answer(200, {"count": len(host.lines), "sha256": hashlib.sha256(body.encode()).hexdigest()})
            elif what == "log":
                return self.answer(200, log)
            elif what == "token":
                return self.answer(200, json.dumps(make_token(self.query["role"], int(time.time()) + int(self.query["exp"]))))
            elif what == "cut-streams":
                for handler, gone in streams:
                    handler.hang_up()
                    gone.set()
                streams.clear()
        return self.answer(200, {})


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # pages hang up when they are closed
            super().handle_error(request, client_address)


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    sys.stdin.read()


main()
