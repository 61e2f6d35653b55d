#!/usr/bin/env python3
"""hostile.py PORT GROUP: what no honest client sends, to the front on 127.0.0.1:PORT.

Each case is bytes on a connection of its own, and what must come back: the status
of every answer in turn; "-" where the connection is closed without one; "open" at
the end where it still stands after SECONDS. Several outcomes may be right ("400 |
404"). Of each answer of 400 or more that the CGI gave, the body must be a problem
with that status, and no answer may have a header that the case put there.
Prints what went otherwise, then how many cases there were; ends with 1 if any did.
HOSTILE_TOKEN is a bearer token of an admin, HOSTILE_USER one of the user "u1",
HOSTILE_KEY the key file.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import sys
import threading
import time

SECONDS = 8
port = int(sys.argv[1])
admin = os.environ.get("HOSTILE_TOKEN", "")
user = os.environ.get("HOSTILE_USER", "")
wrong = []


# --- a connection ---------------------------------------------------------------


def send_all(s, parts):
    """Bytes are sent, numbers are seconds to wait, None ends our side."""
    try:
        for p in parts:
            if p is None:
                s.shutdown(socket.SHUT_WR)
            elif isinstance(p, bytes):
                s.sendall(p)
            else:
                time.sleep(p)
    except OSError:
        pass  # it would not have more of it


def talk(parts):
    """All that came back, whether the other side closed, and after how long."""
    began = time.monotonic()
    got = b""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(SECONDS)
        threading.Thread(target=send_all, args=(s, parts), daemon=True).start()
        closed = False
        while not closed and time.monotonic() - began < SECONDS:
            try:
                block = s.recv(65536)
            except ConnectionResetError:
                block = b""
            except TimeoutError:
                break
            got += block
            closed = not block
    return got, closed, time.monotonic() - began


def unchunk(data):
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        n = int(size.split(b";")[0] or b"0", 16)
        if n == 0:
            return body, data[2:]
        body, data = body + data[:n], data[n + 2 :]


def answers(data):
    """[(status, {header: value}, body)] of what came back."""
    found = []
    while data:
        if not data.startswith(b"HTTP/1."):
            return found + [("raw", {}, data)]
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        names = dict((n.lower(), v) for n, _, v in (x.partition(": ") for x in lines[1:]))
        status = lines[0].split(" ")[1]
        if status[0] == "1":
            body = b""
        elif names.get("transfer-encoding") == "chunked":
            body, data = unchunk(data)
        else:
            n = int(names.get("content-length", len(data)))
            body, data = data[:n], data[n:]
        found.append((status, names, body))
    return found


def look_at(status, names, body):
    """What is wrong with an answer of the CGI's, or None."""
    evil = [n for n in names if n.startswith(("x-evil", "set-cookie", "x-injected"))]
    if evil:
        return f"has the header {evil[0]}"
    if b"root:" in body:
        return "has a file of this machine in it"
    if "x-correlation-id" not in names:
        return None  # lighttpd's own
    if names.get("cache-control") != "no-store" or names.get("x-content-type-options") != "nosniff":
        return "may be kept or guessed at"
    if status in ("401",) and names.get("www-authenticate") != "Bearer":
        return "does not say how to come back"
    if status >= "400":
        problem = json.loads(body)
        if problem["status"] != int(status) or problem["correlation_id"] != names["x-correlation-id"]:
            return "is not the problem it says"
        if names["content-type"] != "application/problem+json":
            return "is a problem that does not say so"
    return None


def one(name, wanted, *parts, within=None):
    got, closed, took = talk(parts)
    try:
        all_of_them = answers(got)
        faults = [f for f in (look_at(*a) for a in all_of_them) if f]
    except (ValueError, KeyError, IndexError) as e:
        all_of_them, faults = [("garbled", {}, b"")], [repr(e)]
    outcome = " ".join([a[0] for a in all_of_them] or ["-"]) + ("" if closed else " open")
    if within and took > within:
        faults.append(f"took {took:.1f} s")
    if outcome not in wanted.split(" | ") or faults:
        wrong.append(f"{name}: wanted {wanted}, got {outcome} {' '.join(faults)} {got[:300]!r}")
    cases.append(name)
    return all_of_them


case = one
cases = []
CRLF = b"\r\n"


def head(target, method="GET", *lines, token=None, host="127.0.0.1", version="HTTP/1.1", close=True):
    """A request's head; target and lines may be text or bytes."""

    def raw(x):
        return x if isinstance(x, bytes) else x.encode()

    token = admin if token is None else token
    out = raw(method) + b" " + raw(target) + b" " + raw(version) + CRLF
    if host is not None:
        out += b"Host: " + raw(host) + CRLF
    if token:
        out += b"Authorization: Bearer " + raw(token) + CRLF
    for x in lines:
        out += raw(x) + CRLF
    if close:
        out += b"Connection: close" + CRLF
    return out + CRLF


def get(target, *lines, **how):
    return head(target, "GET", *lines, **how)


def post(target, body, *lines, kind="application/json", length=None, **how):
    n = len(body) if length is None else length
    said = [f"Content-Length: {n}"]
    if kind is not None:
        said.append(f"Content-Type: {kind}")
    return head(target, "POST", *said, *lines, **how) + body


EVENT = (
    b'{"event_id":"evil","entity_type":"case","entity_id":"1","actor_id":"a",'
    b'"event_type":"E","ts_device":1,"payload":{}}'
)


# --- the groups -----------------------------------------------------------------


def paths():
    case("an honest one", "200", get("/api/health"))
    for up in ("..", "%2e%2e", "%2e.", ".%2E", ".", "%2e"):
        case(f"{up} in the API", "400", get(f"/api/{up}/health"))
        case(f"{up} at its end", "400", get(f"/api/dr/{up}"))
        case(f"{up} in the page", "400", get(f"/{up}/{up}/{up}/{up}/etc/passwd"))
    for way in (
        "/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/api/..%2f..%2f..%2fetc/passwd",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/..%5c..%5cetc/passwd",
        "/\\..\\..\\etc\\passwd",
        "/api\\..\\health",
        "/api/..;/health",
        "/%252e%252e/etc/passwd",
        "/....//....//etc/passwd",
        "/.git/config",
        "/lifeboat.db",
        "/api.cgi/health",
        "/apihealth",
        "/api/health/",
        "/api//health",
        "/api%2fhealth",
        "/api/health%2f",
        "/api/Health",
        "/api",
        "/api/",
        "/metrics/",
        "/metrics/../api/health",
        "/metricsx",
        "/api/dr/export/entity/case",
        "/api/dr/export/entity/case/1/2",
        "/api/dr/export/entity//",
        "/api/a/b/c/d/e/f/g/h/i/j",
    ):
        case(way, "400 | 404 | 403", get(way))
    case("// before it", "400 | 404", get("//api/health"))
    for name in ("%00", "%0d%0a", "%0a", "%7f", "%1b", "%ff", "%c0%ae", "%c0%af", "%ed%a0%80",
                 "%f5%80%80%80", "%zz", "%2", "%", "%u002e", "%e4%b8"):  # fmt: skip
        case(f"{name} in a segment", "400", get(f"/api/dr/export/entity/case/{name}"))
        case(f"{name} in a value", "400", get(f"/api/events?entity_type={name}"))
        case(f"{name} in a name", "400", get(f"/api/events?{name}=1"))
        case(f"{name} in the page", "400 | 404", get(f"/{name}"))
    for raw in (b"\0", b"\r", b"\t", b"\x7f", b"\xff", b"\x01", b"\xc3"):
        case(f"{raw!r} as it is", "400", get(b"/api/events?entity_type=" + raw + b"x"))
        case(f"{raw!r} in a segment", "400", get(b"/api/dr/export/entity/case/" + raw + b"x"))
    case("a line end as it is", "400", get(b"/api/health\r\nX-Evil: 1"))
    case("an emoji", "404", get("/api/dr/export/entity/case/%F0%9F%98%80"))
    for who in ("u%2f1", "..%2fu1", "u1%2f", "u1%20", "u%2E1", "u%00", "u" * 65, "%75%31%2f..", "u1;x", ""):
        case(f"user {who[:12]}", "400 | 403 | 404", get(f"/api/cloud/data_sync/settings/{who}"))
        case(f"user {who[:12]}, his own token", "400 | 403 | 404",
             get(f"/api/cloud/data_sync/settings/{who}", token=user))  # fmt: skip
    case("another user", "403", get("/api/cloud/data_sync/settings/u2", token=user))
    case("8 KB of path", "404 | 414", get("/api/" + "a" * 8190))
    case("8 KB of query", "414", get("/api/events?entity_type=" + "a" * 8190))
    case("64 KB of path", "414 | 431", get("/api/" + "a" * 65536))
    case("1 MB of path", "414 | 431", get("/api/" + "a" * (1 << 20)))


def queries():
    for q, wanted in (
        ("", "200"),
        ("&&&", "200"),
        ("limit=%31", "200"),
        ("limit=1&limit=1", "400"),
        ("limit=1&%6cimit=2", "400"),
        ("limit[]=1", "400"),
        ("limit=1;limit=2", "400"),
        ("limit=-1", "400"),
        ("limit=", "400"),
        ("limit=+1", "400"),
        ("limit=0x1", "400"),
        ("limit=1e3", "400"),
        ("limit=%0a1", "400"),
        ("limit=99999999999999999999", "400"),
        ("since_ts=-1", "400"),
        ("since_ts=9223372036854775808", "400"),
        ("order=sideways", "400"),
        ("nothing=1", "400"),
        ("Limit=1", "400"),
        ("entity_id=1", "400"),
        ("entity_type=a/b&entity_id=1", "400"),
        ("entity_type=--help", "200"),
        ("entity_type=-d%20/etc/passwd", "200"),
        ("actor_id='%20OR%201=1--", "200"),
        ("correlation_id=%24(id)", "200"),
        ("after=--help", "400"),
        ("after=../../etc", "400"),
        ("after=0000000000000000:1:00000000", "409"),
        ("&".join(f"p{i}=1" for i in range(17)), "400"),
        ("&" * 8000, "200"),
    ):
        found = case(f"?{q[:40]}", wanted, get(f"/api/events?{q}"))
        if wanted == "200" and q.startswith(("entity_type", "actor", "corr")):
            if json.loads(found[0][2])["events"]:
                wrong.append(f"?{q}: gives events")


def absent():
    """What is asked of things that are not there."""
    for way in ("cloud/commands/123", "cloud/commands/abc", "cloud/commands/99999999999999999999999",
                "cloud/commands/-1", "cloud/data_sync/settings/u9", "dr/restore/none/status", "dr/restore/..x/status",
                "dr/export/entity/none/none", "dr/export/entity/case/%27%20OR%201=1"):  # fmt: skip
        case(f"GET {way}", "404", get(f"/api/{way}"))
    for way in ("nodes/none/restore", "nodes/none/restore?entity_type=case", "nodes/a%2Fb/restore"):
        case(f"POST {way}", "404", post(f"/api/{way}", b""))
    case("DELETE of nothing", "404", head("/api/nodes/none/purge", "DELETE"))
    case("a node that is not in the trash", "409", head("/api/nodes/E-1/purge?entity_type=case", "DELETE"))
    case("a rating of nothing", "404", post("/api/cloud/commands/123/rating", b'{"rating":3}'))
    case("a rating of nonsense", "404", post("/api/cloud/commands/x/rating", b'{"rating":3}'))
    for way in ("cloud/commands", "cloud/data_sync/history/u9", "trash"):
        case(f"GET {way}", "200", get(f"/api/{way}"))


def headers():
    def h(name, wanted, *lines, **how):
        case(name, wanted, get("/api/dr/health", *lines, **how))

    h("an honest one", "200", "X-Correlation-ID: abc")
    h("two tokens", "400 | 401", f"Authorization: Bearer {user}")
    h("two tokens, the same", "400 | 401", f"Authorization: Bearer {admin}")
    h("a token after another scheme's", "400 | 401", "Authorization: Basic YTpi")
    h("a token with a comma", "401", f"Authorization: Bearer {admin}, Bearer {user}", token="")
    h("a token with an underscore's name", "401", f"Authorization_: Bearer {admin}", token="")
    h("Proxy-Authorization", "401", f"Proxy-Authorization: Bearer {admin}", token="")
    h("a folded token", "200 | 400", "Authorization: Bearer", f" {admin}", token="")
    h("a space before the colon", "400", f"Authorization : Bearer {admin}", token="")
    h("no scheme", "401", f"Authorization: {admin}", token="")
    h("an empty token", "401", "Authorization: Bearer ", token="")
    h("a token of 9 KB", "401 | 431", "Authorization: Bearer " + "a" * 9000, token="")
    h("Proxy", "200", "Proxy: http://evil.example/")
    h("two hosts", "400", "Host: evil.example")
    h("no host", "400", host=None)
    h("a host with a slash", "400", host="a/b")
    h("a host with a blank", "400", host="a b")
    h("a host with a NUL", "400", host=b"a\0b")
    h("a header without a colon", "400", "Nonsense")
    h("a header with a blank in its name", "400", "X Evil: 1")
    h("a name that is none", "400", b"X-\xff: 1")
    h("a NUL in a value", "400", b"X-Other: a\0b")
    h("a CR in a value", "400", b"X-Other: a\rX-Evil: 1")
    h("a header of 17 KB", "431", "X-Other: " + "a" * 17000)
    h("1 MB of headers", "431", *[f"X-{i}: {'a' * 1000}" for i in range(1000)])
    h("10,000 headers", "431", *[f"X-{i}: a" for i in range(10000)])
    for name in ("X-Correlation-ID", "Idempotency-Key", "X-Idempotency-Key", "Last-Event-ID", "Accept",
                 "Origin"):  # fmt: skip
        h(f"{name}: not UTF-8", "400", name.encode() + b": \xff\xfe")
        h(f"{name}: a control character", "400", name.encode() + b": a\x01b")
        h(f"{name}: 9 KB", "400 | 431", f"{name}: " + "a" * 9000)
    for evil in ("a b", "a%0d%0aX-Evil:1", "a\\r\\nX-Evil: 1", "a\"b", "ä", "a" * 129, "<script>", "a,b",
                 "a;b", "a=b", "/", "{}"):  # fmt: skip
        h(f"correlation id {evil[:20]}", "400", f"X-Correlation-ID: {evil}")
    h("two correlation ids", "400", "X-Correlation-ID: a", "X-Correlation-ID: b")
    h("two spellings of it", "200 | 400", "X-Correlation-ID: a", "X_Correlation_ID: b")
    h("an underscore's spelling", "200 | 400", "X_Correlation_ID: b")
    for trace in ("00-" + "0" * 32 + "-" + "1" * 16 + "-01", "01-x", "00-" + "A" * 32 + "-1-01", "\"",
                  "00-" + "a" * 32 + "-" + "b" * 16 + "-01-x"):  # fmt: skip
        h(f"traceparent {trace[:10]}", "200", f"traceparent: {trace}")
    h("two idempotency keys", "400", "Idempotency-Key: a", "X-Idempotency-Key: b")
    h("an idempotency key of 256", "400", "Idempotency-Key: " + "a" * 256)
    h("an empty idempotency key", "200 | 400", "Idempotency-Key:")
    h("Range", "200", "Range: bytes=0-1")
    h("Range of nonsense", "200", "Range: bytes=9-1,,-")
    h("If-None-Match", "200", "If-None-Match: *")
    h("Upgrade", "200", "Upgrade: websocket", "Connection: Upgrade", close=False)
    h("X-HTTP-Method-Override", "200", "X-HTTP-Method-Override: DELETE")
    h("X-Original-URL", "200", "X-Original-URL: /api/dr/restore", "X-Rewrite-URL: /metrics")
    h("a foreign origin and a token", "200", "Origin: https://evil.example")
    case("Range on the page", "206 | 416", get("/index.html", "Range: bytes=0-1"))
    case("many ranges on the page", "200 | 206 | 416",
         get("/index.html", "Range: bytes=" + ",".join(f"{i}-" for i in range(500))))  # fmt: skip


def targets():
    for method in ("TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get", "Post", "PRI", "BREW"):
        case(f"{method} of health", "405 | 400 | 501", head("/api/health", method))
        case(f"{method} of the page", "405 | 400 | 501 | 200", head("/", method))
    for method in (b"", b"G\0T", b"GET\t", b"G" * 5000, b"\xff\xfe", b"(GET)"):
        case(f"method {method[:9]!r}", "400 | 405 | 501 | 414 | 431", head("/api/health", method))
    case("DELETE of health", "405", head("/api/health", "DELETE"))
    case("POST of health", "405", post("/api/health", b"{}"))
    case("HEAD of health", "200", head("/api/health", "HEAD"))
    case("absolute", "200 | 400", get("http://127.0.0.1/api/health"))
    case("absolute, another host", "200 | 400 | 404", get("http://evil.example/api/health"))
    case("another scheme", "400 | 404", get("gopher://x/api/health"))
    case("*", "400 | 404", get("*"))
    case("OPTIONS *", "200 | 400 | 405", head("*", "OPTIONS"))
    case("CONNECT a host", "400 | 405 | 501", head("evil.example:443", "CONNECT"))
    case("no slash", "400", get("api/health"))
    case("a fragment", "200 | 400 | 404", get("/api/health#x"))
    case("no target", "400", b"GET HTTP/1.1\r\nHost: x\r\n\r\n")
    case("two blanks", "400", b"GET  /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    case("HTTP/0.9", "400", b"GET /api/health\r\n\r\n")
    case("HTTP/1.0", "200", get("/api/health", version="HTTP/1.0"))
    case("HTTP/1.0 without a host", "200", get("/api/health", version="HTTP/1.0", host=None))
    for v in ("HTTP/2.0", "HTTP/1.2", "HTTP/1.", "HTTP/11", "http/1.1", "HTTQ/1.1", "HTTP/1.1 x", "HTTP/1.1\0"):
        case(v, "400 | 505 | 200", get("/api/health", version=v))
    case("an HTTP/2 preface", "400 | 405 | 501 | 505", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    case("TLS", "400", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + CRLF + CRLF)
    case("a megabyte of zeros", "400 | 431 | 414", bytes(1 << 20))
    case("bare line feeds", "400 | 200", b"GET /api/health HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
    case("bare carriage returns", "400 | -", b"GET /api/health HTTP/1.1\rHost: 127.0.0.1\r\r", None)
    case("nothing", "-", None)


def framing():
    def p(name, wanted, *lines, body=EVENT, **how):
        kind = ["Content-Type: application/json"]
        case(name, wanted, head("/api/events", "POST", *kind, *lines, **how) + body)

    smuggled = b"DELETE /api/nodes/E-1/purge?entity_type=case HTTP/1.1\r\nHost: 127.0.0.1\r\n" + \
        b"Authorization: Bearer " + admin.encode() + b"\r\n\r\n"  # fmt: skip
    n = len(EVENT)
    p("two lengths", "400", f"Content-Length: {n}", f"Content-Length: {n + 1}")
    p("two lengths, the same", "400", f"Content-Length: {n}", f"Content-Length: {n}")
    p("two in one", "400", f"Content-Length: {n}, {n}")
    for length in ("-1", "+1", "1x", "0x10", "", " ", "1 2", "99999999999999999999999", "1e2", "\x0b5"):
        p(f"Content-Length: {length!r}", "400 | 411 | 413", f"Content-Length: {length}")
    p("length and chunks", "400", f"Content-Length: {n}", "Transfer-Encoding: chunked",
      body=b"0\r\n\r\n" + smuggled)  # fmt: skip
    p("chunks and length", "400", "Transfer-Encoding: chunked", "Content-Length: 5",
      body=b"0\r\n\r\n" + smuggled)  # fmt: skip
    for coding in ("xchunked", "gzip, chunked", "chunked, identity", "identity", "chunked, chunked", "\x0bchunked",
                   "chunk", "gzip"):  # fmt: skip
        p(f"Transfer-Encoding: {coding!r}", "400 | 501", f"Transfer-Encoding: {coding}",
          body=b"0\r\n\r\n" + smuggled)  # fmt: skip
    p("two codings", "400 | 501", "Transfer-Encoding: chunked", "Transfer-Encoding: identity",
      body=b"0\r\n\r\n" + smuggled)  # fmt: skip
    p("a coding with a blank before the colon", "400", "Transfer-Encoding : chunked", body=b"0\r\n\r\n" + smuggled)
    p("a coding in HTTP/1.0", "400 | 501", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + smuggled,
      version="HTTP/1.0")  # fmt: skip
    p("an underscore's coding", "400 | 422", "Transfer_Encoding: chunked", "Content-Length: 1", body=b"{")
    p("an underscore's length", "400 | 411", f"Content_Length: {n}", body=b"")
    p("Content-Encoding: gzip", "400 | 415", "Content-Encoding: gzip", "Content-Length: 5", body=b"\x1f\x8b\x08\0\0")
    chunked = "Transfer-Encoding: chunked"
    for name, body in (
        ("a size that is none", b"zz\r\n{}\r\n0\r\n\r\n"),
        ("a negative size", b"-2\r\n{}\r\n0\r\n\r\n"),
        ("an empty size", b"\r\n{}\r\n0\r\n\r\n"),
        ("a size with 0x", b"0x2\r\n{}\r\n0\r\n\r\n"),
        ("a size of 2^64", b"10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ("a size of 2^63", b"8000000000000000\r\n{}\r\n0\r\n\r\n"),
        ("no line end behind a chunk", b"2\r\n{}0\r\n\r\n"),
        ("a size that is too small", b"1\r\n{}\r\n0\r\n\r\n"),
        ("a line of 10 KB as a size", b"2;" + b"a" * 10000 + b"\r\n{}\r\n0\r\n\r\n"),
    ):
        p(name, "400 | 413", chunked, body=body)
    case("chunks that are cut", "- | 400", head("/api/events", "POST", chunked), b"%x\r\n" % n + EVENT, None)
    case("chunks without an end", "- | 400", head("/api/events", "POST", chunked),
         b"%x\r\n" % n + EVENT + CRLF, None)  # fmt: skip
    case("a body that is cut", "- | 400", post("/api/events", EVENT, length=n + 1), None)
    case("half of it", "- | 400", post("/api/events", EVENT[: n // 2], length=n), None)
    case("a restore that is cut", "- | 400", post("/api/dr/restore", b'{"events":[],"events_count":0}', length=99), None)
    # What stands behind a body is a request of its own, and not one of that body's sender.
    case("more than its length", "422 400 | 422 | 400 | 400 400",
         post("/api/events", EVENT + b"\r\nX-Evil: 1\r\n\r\n", length=2, close=False))  # fmt: skip
    case("an answer for each", "200 200 404", get("/api/health", close=False) + get("/api/health", close=False) +
         get("/api/nothing"))  # fmt: skip
    case("a GET with a body", "200 | 400 | 413", head("/api/health", "GET", "Content-Length: 2") + b"{}")
    case("a GET with chunks", "200 | 400 | 411", head("/api/health", "GET", chunked) + b"2\r\n{}\r\n0\r\n\r\n")
    case("a body nobody asked for", "400 | 404 | 413",
         head("/api/nodes/E-1/purge?entity_type=nothing", "DELETE", "Content-Length: 2") + b"{}")  # fmt: skip
    case("10 GB", "413", post("/api/dr/restore", b"x", length=10 << 30), within=2)
    case("10 GB, expected", "413 | 417", post("/api/dr/restore", b"", "Expect: 100-continue", length=10 << 30), within=2)
    case("chunks beyond the limit", "413", head("/api/dr/restore", "POST", chunked),
         *[b"100000\r\n" + b" " * (1 << 20) + CRLF] * 40)  # fmt: skip
    case("a small route's 2 MB", "413", post("/api/v1/scans", b" " * (2 << 20)))
    case("Expect: nonsense", "400 | 417", post("/api/events", b"[1", "Expect: the-moon"))


def slow():
    """All at once. The server's limits are 2 s to read, 3 s to write, 1 s between requests."""
    at_work = []

    def case(*what, **how):
        at_work.append(threading.Thread(target=one, args=what, kwargs=how))
        at_work[-1].start()

    case("nothing at all", "-", 4, within=6)
    case("half a head", "- | 408", b"GET /api/health HT", 4, within=6)
    case("a head without an end", "- | 408", head("/api/health")[:-2], 4, within=6)
    case("a body that does not come", "- | 408", post("/api/events", b"", length=100), 4, within=6)
    case("half a body", "- | 408", post("/api/events", EVENT, length=1000), 4, within=6)
    case("a chunk that does not come", "- | 408", head("/api/events", "POST", "Transfer-Encoding: chunked") + b"ff\r\n", 4,
         within=6)  # fmt: skip
    case("who stays after an answer", "200", get("/api/health", close=False), 3, within=5)
    case("an expected body that does not come", "100", post("/api/events", b"", "Expect: 100-continue", length=99), 4,
         within=6)  # fmt: skip
    for t in at_work:
        t.join()


def bodies():
    def b(name, wanted, body, target="/api/events", kind="application/json"):
        return case(name, wanted, post(target, body, kind=kind))

    def event(payload=b"{}", more=b""):
        return (b'{"entity_type":"case","entity_id":"1","actor_id":"a","event_type":"E",'
                b'"payload":' + payload + more + b"}")  # fmt: skip

    deep = 100000
    for name, bad in (
        ("deep arrays", event(b"[" * deep + b"]" * deep)),
        ("deep objects", event(b'{"a":' * deep + b"1" + b"}" * deep)),
        ("deep and open", b"[" * (1 << 20)),
        ("not UTF-8", event(b'{"a":"\xff"}')),
        ("overlong UTF-8", event(b'{"a":"\xc0\xae"}')),
        ("a surrogate in UTF-8", event(b'{"a":"\xed\xa0\x80"}')),
        ("a lone surrogate", event(more=b',"entity_version":"\\ud800"')),
        ("a NUL", event(b'{"a":"\0"}')),
        ("a NUL behind it", event() + b"\0"),
        ("more behind it", event() + b"x"),
        ("two of them", event() + event()),
        ("a member twice", event(more=b',"entity_id":"2"')),
        ("a member twice, escaped", event(more=b',"entity_\\u0069d":"2"')),
        ("NaN", event(b'{"a":NaN}')),
        ("Infinity", event(b'{"a":-Infinity}')),
        ("a comment", event(b"{/**/}")),
        ("single quotes", event().replace(b'"', b"'")),
        ("a comma too many", event(more=b",")),
        ("a member that is reserved", event(more=b',"lifeboat_end":{}')),
        ("an id of 129", event(more=b',"event_id":"' + b"a" * 129 + b'"')),
        ("an id with a line end", event(more=b',"event_id":"a\\nb"')),
        ("an id with a NUL", event(more=b',"event_id":"a\\u0000"')),
        ("an empty body", b""),
        ("a blank", b" "),
        ("a number", b"1"),
        ("null", b"null"),
        ("a string", b'"' + b"a" * (1 << 20) + b'"'),
        ("no event", b"{}"),
        ("a form", b"entity_type=case&entity_id=1"),
        ("XML", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0"),
        ("UTF-16", event().decode().encode("utf-16")),
        ("17 MB", b"[" + b" " * (17 << 20) + b"]"),
    ):
        b(name, "400 | 413 | 422", bad)
        b(f"{name}, as settings", "400 | 413 | 422", bad, "/api/cloud/data_sync/settings/u1")
        b(f"{name}, as a restore", "400 | 413 | 422", bad, "/api/dr/restore")
        b(f"{name}, as a code", "400 | 403 | 410 | 413", bad, "/api/dr/pair")
    for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x", "application/jsonx", "/", ";",
                 "application/octet-stream", "application/json\tx"):  # fmt: skip
        b(f"as {kind}", "415 | 400", event(), kind=kind)
    b("lines that are none", "200", b"x\n" * 100000, kind="application/jsonl")
    b("a line without an end", "200", b"[" * (1 << 20), kind="application/jsonl")
    b("a restore of nothing", "400 | 422", b"{}", "/api/dr/restore")
    b("a restore with a wrong count", "400 | 422", b'{"events":[],"events_count":1}', "/api/dr/restore")
    b("a restore with a wild session", "400 | 422", b'{"restore_session_id":"../../x","events":[],"events_count":0}',
      "/api/dr/restore")  # fmt: skip


def fair():
    """What is unusual and yet right: it is taken, and the payload stays as it was."""

    def taken(name, payload, answer="201", send=post, more=b""):
        text = (b'{"event_id":"fair%d","entity_type":"fair","entity_id":"1","actor_id":"a",' % len(cases) +
                b'"event_type":"E","ts_device":1,"payload":' + payload + more + b"}")  # fmt: skip
        found = case(name, answer, *send(text))
        if found and payload not in found[-1][2]:
            wrong.append(f"{name}: not kept: {found[-1][2][:200]!r}")

    def whole(*lines, **how):
        return lambda text: (post("/api/events", text, *lines, **how),)

    def in_chunks(text):
        said = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        parts = [text[i : i + 7] for i in range(0, len(text), 7)]
        return [head("/api/events", "POST", *said)] + [b"%x;a=b\r\n" % len(x) + x + CRLF for x in parts] + [b"0\r\nX-Evil: 1\r\n\r\n"]

    def in_pieces(text):
        return [x for b in post("/api/events", text) for x in (bytes([b]), 0.0001)]

    def expected(text):
        said = post("/api/events", text, "Expect: 100-continue")
        return said[: -len(text)], 0.2, text

    taken("as it should be", b'{"a":1}', send=whole())
    taken("HTTP/1.0", b'{"a":2}', send=whole(version="HTTP/1.0"))
    taken("in chunks", b'{"a":[3,4,5]}', send=in_chunks)
    taken("byte by byte", b'{"a":4}', send=in_pieces)
    taken("expected", b'{"a":5}', "100 201 | 201", send=expected)
    taken("without a type", b'{"a":6}', send=whole(kind=None))
    taken("as a form, as curl says", b'{"a":7}', send=whole(kind="application/x-www-form-urlencoded"))
    taken("with a charset", b'{"a":8}', send=whole(kind="Application/JSON; charset=utf-8"))
    taken("a lone surrogate in escapes", b'{"a":"\\ud800"}', send=whole())
    taken("a NUL in an escape", b'{"a":"\\u0000"}', send=whole())
    taken("huge numbers", b'[1e400,-0,' + b"9" * 10000 + b",1e-9999999]", send=whole())
    taken("names twice in the payload", b'{"a":1,"a":2}', send=whole())
    taken("a million names", b"{" + b",".join(b'"k%d":0' % i for i in range(1000000)) + b"}", send=whole())
    taken("deep, but not too deep", b"[" * 150 + b"]" * 150, send=whole())
    taken("member names that look like ours", b"{}", send=whole(), more=b',"__proto__":{},"rowid":1,"digest":""')


def signed(secret, claims, header=None, digest=hashlib.sha256, signature=None):
    """A JWT; claims and header may be JSON text."""

    def part(x):
        x = x if isinstance(x, bytes) else json.dumps(x).encode()
        return base64.urlsafe_b64encode(x).rstrip(b"=")

    said = part(header if header is not None else {"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    if signature is None:
        signature = hmac.new(secret, said, digest).digest()
    return (said + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def tokens():
    with open(os.environ["HOSTILE_KEY"], encoding="ascii") as f:
        kid, text = f.readline().split()[:2]
    secret, now = bytes.fromhex(text), int(time.time())
    claims = {"user_id": "root1", "role": "admin", "exp": now + 60}

    def t(name, token, wanted="401"):
        case(name, wanted, get("/api/dr/health", token=token))
        if wanted == "401":
            case(f"{name}, a write", "401", post("/api/events", EVENT, token=token))

    good = signed(secret, claims)
    t("a good one", good, "200")
    t("a good one with its key's name", signed(secret, claims, {"alg": "HS256", "kid": kid}), "200")
    for alg in ("none", "None", "NONE", "", None, "hs256", "HS384", "RS256", "ES256", 1, ["HS256"]):
        t(f"alg {alg}", signed(secret, claims, {"alg": alg}))
        t(f"alg {alg}, no signature", signed(secret, claims, {"alg": alg}, signature=b""))
    t("HS512, as it says", signed(secret, claims, {"alg": "HS512"}, hashlib.sha512))
    t("no alg", signed(secret, claims, {}))
    t("alg twice", signed(secret, claims, b'{"alg":"HS256","alg":"none"}'))
    t("a key of its own", signed(b"k" * 32, claims, {"alg": "HS256", "jwk": {"kty": "oct", "k": "a2tr"}}))
    t("another secret", signed(b"k" * 32, claims))
    t("no secret", signed(b"", claims))
    t("the secret's text", signed(text.encode(), claims))
    t("an unknown kid", signed(secret, claims, {"alg": "HS256", "kid": "00000000"}))
    t("a kid that is a path", signed(b"", claims, {"alg": "HS256", "kid": "../../../dev/null"}))
    t("a header that must be understood", signed(secret, claims, {"alg": "HS256", "crit": ["x"], "x": 1}))
    t("no signature", good.rsplit(".", 1)[0] + ".")
    t("two parts", good.rsplit(".", 1)[0])
    t("four parts", good + ".e30")
    t("half a signature", good[:-20])
    t("a longer signature", good + "AAAA")
    t("other claims", good.split(".")[0] + "." + signed(b"", {**claims, "user_id": "u2"}).split(".")[1] + "." + good.split(".")[2])
    t("padding", good + "=")
    flipped = good[:-3] + ("A" if good[-3] != "A" else "B") + good[-2:]
    t("a bit of it", flipped)
    for exp in (now - 1, now - 86400 * 400, 0, -1, None, str(now + 60), True, {}, 1e300):
        t(f"exp {exp}", signed(secret, {**claims, "exp": exp}))
    t("no exp", signed(secret, {"user_id": "root1", "role": "admin"}))
    t("exp 1e999", signed(secret, b'{"user_id":"root1","role":"admin","exp":1e999}'))
    t("exp twice", signed(secret, b'{"user_id":"root1","role":"admin","exp":1,"exp":%d}' % (now + 60)))
    t("nbf to come", signed(secret, {**claims, "nbf": now + 3600}))
    for who in ("", "a/b", "a b", "../x", "u" * 65, 1, None, ["root1"], "root1\0", "\u00fc", "a\r\nX-Evil: 1"):
        t(f"user {who!r}", signed(secret, {**claims, "user_id": who}))
    for role in ("", "root", "Admin", "admin ", 1, None, ["admin"], "user,admin"):
        t(f"role {role!r}", signed(secret, {**claims, "role": role}))
    t("role twice", signed(secret, b'{"user_id":"u","role":"user","role":"admin","exp":%d}' % (now + 60)))
    t("claims that are no object", signed(secret, b"[]"))
    t("claims that are no JSON", signed(secret, b"{"))
    t("claims that are not UTF-8", signed(secret, b'{"user_id":"\xff"}'))
    t("deep claims", signed(secret, b'{"a":' + b"[" * 3000))
    for nonsense in (".", "..", "...", "a.b.c", "e30.e30.", "=.=.=", "-", "null"):
        t(f"token {nonsense}", nonsense)


def loopback():
    """Where there is no key, whoever seems to come from elsewhere stays out."""

    def h(name, wanted, *lines, target="/api/dr/health", **how):
        case(name, wanted, get(target, *lines, token="", **how))

    for host in ("127.0.0.1", "localhost", f"localhost:{port}", f"127.0.0.1:{port}", "[::1]", "LOCALHOST"):
        h(f"host {host}", "200", host=host)
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2", "0.0.0.0",
                 "[::ffff:127.0.0.1]", "127.1", "2130706433", "localhost:80:80", "localhost:x"):  # fmt: skip
        h(f"host {host}", "400 | 401", host=host)
        case(f"host {host}, a write", "400 | 401", post("/api/events", EVENT, token="", host=host))
    h("HTTP/1.0 without a host", "401", host=None, version="HTTP/1.0")
    case("another host in the target", "400 | 401", get("http://evil.example/api/dr/health", token="", host="localhost"))
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
                 "X-Forwarded-Server", "X-Real-IP", "Via", "True-Client-IP", "X-Client-IP", "CF-Connecting-IP",
                 "X-Forwarded-Ssl", "Fastly-Client-IP", "X-Forwarded", "Forwarded-For", "X-Cluster-Client-IP",
                 "X-Original-Forwarded-For", "X-Envoy-External-Address", "X-ProxyUser-Ip", "Client-IP",
                 "X_Forwarded_For", "x-forwarded-for"):  # fmt: skip
        for value in ("127.0.0.1", "203.0.113.9"):
            h(f"{name}: {value}", "401", f"{name}: {value}")
        case(f"{name}, a write", "401", post("/api/events", EVENT, f"{name}: 127.0.0.1", token=""))
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "http://localhost:1",
                   "file://", "http://127.0.0.1@evil.example", f"http://127.0.0.1:{port}/"):  # fmt: skip
        h(f"Origin: {origin}", "401", f"Origin: {origin}", host=f"127.0.0.1:{port}")
    h("its own origin", "200", f"Origin: http://127.0.0.1:{port}", host=f"127.0.0.1:{port}")
    for site in ("cross-site", "same-site", "x", "same-origin, cross-site"):
        h(f"Sec-Fetch-Site: {site}", "401", f"Sec-Fetch-Site: {site}")
    h("a token for no key", "200 | 401", "Authorization: Bearer a.b.c")
    h("HTTP_HOST in a header", "401", "HTTP-Host: localhost", "HTTP_HOST: localhost", host="evil.example")
    h("REMOTE_ADDR in a header", "401", "Remote-Addr: 127.0.0.1", host="evil.example")


def roles():
    """A good token of somebody who may not."""
    for way in ("dr/health", "dr/stats", "dr/export", "dr/export/entity/case/E-1", "dr/restore/s/status"):
        case(f"a user: GET {way}", "403", get(f"/api/{way}", token=user))
    case("a user: GET /metrics", "403", get("/metrics", token=user))
    case("a user: a restore", "403", post("/api/dr/restore", b'{"events":[],"events_count":0}', token=user))
    case("a user: a scan", "403", post("/api/v1/scans", b'{"tag_id":"1","order_id":"2"}', token=user))
    case("a user: another's event", "403", post("/api/events", EVENT, token=user))
    case("a user: among lines", "200", post("/api/events", EVENT, kind="application/jsonl", token=user))
    case("a user: another's events", "403", get("/api/events?actor_id=nurse-1", token=user))
    found = case("a user: all events", "200", get("/api/events?limit=1000", token=user))
    if json.loads(found[0][2])["events"]:
        wrong.append("a user sees what is not his")
    case("a user: another's node", "403", head("/api/nodes/E-1/purge?entity_type=case", "DELETE", token=user))
    case("a user: another's settings", "403", post("/api/cloud/data_sync/settings/u2", b'{"settings":{}}', token=user))
    case("a user: another's history", "403", post("/api/cloud/data_sync/history/u2", b'{"records":[]}', token=user))


def settle():
    """Whether it still answers."""
    case("an honest one at the end", "200", get("/api/health"))


groups = {f.__name__: f for f in (paths, queries, absent, headers, targets, framing, slow, bodies, fair, tokens, roles, loopback)}
groups[sys.argv[2]]()
settle()
for w in wrong:
    print(w)
print(f"{len(cases)} cases, {len(wrong)} otherwise")
sys.exit(1 if wrong else 0)
