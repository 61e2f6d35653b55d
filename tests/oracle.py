"""What lines, files and documents of events mean, by lifeboat-event(5) alone.

The second opinion of damage.py and model.py: it shares no code with lifeboat, and
compares values where lifeboat compares digests. Strictness is Python's own json and
UTF-8, numbers are exact decimals held as digits and exponent.
"""
import functools
import hashlib
import json
import re

TEXTS = (
    "event_id site_id entity_type entity_id actor_id actor_name actor_role device_id hlc "
    "event_type schema_version correlation_id causation_id"
).split()
KNOWN = set(TEXTS) | set(
    "entity_version ts_device payload ts_server synced acknowledged created_at seq".split()
)
ALIASES = {
    "payload_json": "payload",
    "target_type": "entity_type",
    "target_id": "entity_id",
    "timestamp": "ts_device",
    "version": "entity_version",
}
NEEDED = "entity_type entity_id event_type actor_id".split()
DEPTH = 200
MS_END = 1 << 48


class Bad(Exception):
    """No event, or no JSON."""


class Number:
    """An exact decimal: sign and digits without zeros at either end, exponent of ten."""

    def __init__(self, text):
        self.text = text
        sign, whole, part, exp = re.fullmatch(
            r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?", text
        ).groups()
        digits = (whole + (part or "")).lstrip("0")
        self.exp = int(exp or 0) - len(part or "")
        self.exp += len(digits) - len(digits.rstrip("0"))
        self.digits = digits.rstrip("0")
        self.sign = sign if self.digits else ""
        if not self.digits:
            self.exp = 0

    def key(self):
        return f"{self.sign}{self.digits or '0'}e{self.exp}"

    def integer(self):
        """Its value if it is an integer of 64 bits, else None."""
        if self.exp < 0 or len(self.digits) + self.exp > 19:
            return None
        n = int(self.sign + (self.digits or "0")) * 10**self.exp
        return n if -(1 << 63) <= n < 1 << 63 else None


class Object(list):
    """The members of an object as they come: (name, value), repeated ones too."""


def _no_constant(name):
    raise Bad(name)


_reader = json.JSONDecoder(
    object_pairs_hook=Object,
    parse_float=Number,
    parse_int=Number,
    parse_constant=_no_constant,
)


def depth(v):
    if not isinstance(v, list):
        return 0
    return 1 + max((depth(x[1] if isinstance(v, Object) else x) for x in v), default=0)


def text_of(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Bad(str(e)) from e


def parse(data):
    """The value of JSON text in bytes."""
    text = text_of(data).strip(" \t\r\n")
    try:
        v, end = _reader.raw_decode(text)
    except (ValueError, RecursionError) as e:
        raise Bad(str(e)) from e
    if end != len(text):
        raise Bad("something behind the value")
    return v


def key(v):
    """Equal exactly for equal values: members in any order, repeated ones counted."""
    if isinstance(v, Object):
        return "{" + ",".join(sorted(json.dumps(n) + ":" + key(x) for n, x in v)) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(key, v)) + "]"
    return v.key() if isinstance(v, Number) else json.dumps(v)


class Event:
    """One event: its members by name, the unknown ones apart, and its content."""

    def __init__(self, members, unknown):
        self.members = members
        self.unknown = unknown
        self.id = members.get("event_id")
        self.known_content = None

    def settle(self, site):
        """Fills in what is filled in the same on every store."""
        m = self.members
        self.known_content = None
        if "ts_device" in m:
            m.setdefault("hlc", f"{m['ts_device']:012x}.0000")
        m.setdefault("site_id", site)
        m.setdefault("schema_version", "1.0")
        return self

    def parts(self):
        """What is compared: name to key of value."""
        m = self.members
        own = {n: json.dumps(m[n]) for n in TEXTS if n in m}
        own.update({n: str(m[n]) for n in ("entity_version", "ts_device") if n in m})
        own.update({n: key(v) for n, v in self.unknown.items()})
        own["payload"] = key(m["payload"])
        return own

    def content(self):
        """All parts as one text."""
        if self.known_content is None:
            self.known_content = json.dumps(sorted(self.parts().items()))
        return self.known_content


def _text(v):
    if not isinstance(v, str):
        raise Bad("wants a string")
    if len(v.encode("utf-8", "surrogatepass")) > 1024 or "\0" in v:
        raise Bad("too long, or with a NUL")
    return v


def _int(name, v):
    n = v.integer() if isinstance(v, Number) else None
    if n is None or (name != "entity_version" and not 0 <= n < MS_END):
        raise Bad(f"{name}: no such number")
    return n


def _flag(v):
    n = int(v) if isinstance(v, bool) else v.integer() if isinstance(v, Number) else None
    if n not in (0, 1):
        raise Bad("wants 0 or 1")
    return n


def _known(name, v):
    if name in TEXTS:
        return _text(v)
    if name in ("entity_version", "ts_device", "ts_server"):
        return _int(name, v)
    if name in ("synced", "acknowledged"):
        return _flag(v)
    return v


def _alias(name, v):
    """An alias's value as that of its canonical member; None if it is of another kind."""
    if name == "payload_json" and isinstance(v, str):
        try:
            return parse(v.encode("utf-8", "surrogatepass"))
        except Bad:
            return None
    if name == "payload_json":
        return v if isinstance(v, Object) else None
    if name in ("target_type", "target_id"):
        return _text(v) if isinstance(v, str) else None
    if name == "timestamp" and isinstance(v, str):
        raise NotImplementedError("the oracle reads no dates")
    n = v.integer() if isinstance(v, Number) else None
    return n if name == "version" or n is None or 0 <= n < MS_END else None


def _check(m):
    for name in NEEDED:
        if not m.get(name):
            raise Bad(f"{name}: missing")
    if "payload" not in m:
        raise Bad("payload: missing")
    if "event_id" in m and not re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", m["event_id"]):
        raise Bad("event_id")
    if "hlc" in m and not re.fullmatch(r"[0-9a-f]{12}\.[0-9a-f]{4}", m["hlc"]):
        raise Bad("hlc")
    if "hlc" in m and "ts_device" not in m:
        raise Bad("hlc without ts_device")
    if "ts_device" in m and "event_id" not in m:
        raise Bad("ts_device without event_id")


def read_event(data):
    """The event of a line; Bad if it is none."""
    whole = parse(data)
    if not isinstance(whole, Object):
        raise Bad("not an object")
    members, unknown, aliases = {}, {}, {}
    if len({n for n, _ in whole}) < len(whole):
        raise Bad("a member that is there twice")
    for name, v in whole:
        if name in ALIASES:
            aliases[name] = v
        elif name not in KNOWN:
            unknown[name] = v
        elif v is not None or name == "payload":
            members[name] = _known(name, v)
    for name, v in aliases.items():
        canonical = ALIASES[name]
        fits = None if members.get(canonical) is not None else _alias(name, v)
        if fits is not None:
            members[canonical] = fits
        else:
            unknown[name] = v
    if any(n.startswith("lifeboat_") for n in unknown):
        raise Bad("reserved")
    if any(depth(v) > DEPTH for v in [members.get("payload"), *unknown.values()]):
        raise Bad("nested too deeply")
    _check(members)
    return Event(members, unknown)


@functools.lru_cache(maxsize=100000)
def elsewhere(data, site="main"):
    """The settled event of a line as restore and verify take it; None if they do not."""
    try:
        ev = read_event(data)
    except Bad:
        return None
    return ev.settle(site) if "ts_device" in ev.members else None


def lines(data):
    """(raw, text) of each line: text without its ending and a BOM, empty if blank."""
    parts = data.split(b"\n")
    whole = [p + b"\n" for p in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
    for n, raw in enumerate(whole):
        text = raw[:-1] if raw.endswith(b"\n") else raw
        text = text[:-1] if text.endswith(b"\r") else text
        if n == 0 and text.startswith(b"\xef\xbb\xbf"):
            text = text[3:]
        yield raw, text if text.strip(b" \t") else b""


# --- control lines -------------------------------------------------------------------

_control = re.compile(rb'[ \t]*\{[ \t]*"lifeboat_')


def is_control(text):
    return bool(_control.match(text))


def _plain(v, room):
    """A string without escapes that is shorter than room."""
    return isinstance(v, str) and len(v.encode("utf-8", "surrogatepass")) < room


def _what_was(text):
    """What a torn line was, as far as its first member can be read; else perhaps a seal."""
    name = re.match(rb'[ \t]*\{[ \t]*"(lifeboat_[^"\\\x00-\x1f]*)"[ \t\r]*:[ \t\r]*', text)
    try:
        _reader.raw_decode(text_of(text), len(name[0].decode()))
    except (TypeError, ValueError, Bad):
        return "seal"
    return "seal" if name[1] == b"lifeboat_end" else "other"


@functools.lru_cache(maxsize=100000)
def read_control(text):
    """("seal", count, sha256), ("cursor",), ("other",), or ("malformed", what it was)."""
    try:
        whole = parse(text)
    except Bad:
        return ("malformed", _what_was(text))
    name, v = whole[0]
    if name == "lifeboat_cursor":
        good = len(whole) == 1 and _plain(v, 64) and b"\\" not in text
        return ("cursor",) if good else ("malformed", "cursor")
    if name != "lifeboat_end":
        return ("other",)
    if len(whole) > 1 or not isinstance(v, Object):
        return ("malformed", "seal")
    inner = dict(v)
    ours = [n for n, _ in v if n in ("count", "sha256", "from", "to")]
    count = inner.get("count")
    count = count.integer() if isinstance(count, Number) else None
    good = (
        len(ours) == len(set(ours))
        and count is not None
        and count >= 0
        and _plain(inner.get("sha256"), 65)
        and len(inner["sha256"].encode()) == 64
        and all(_plain(inner.get(n, ""), 64) for n in ("from", "to"))
        and b"\\" not in text
    )
    return ("seal", count, inner["sha256"]) if good else ("malformed", "seal")


# --- files -----------------------------------------------------------------------------


class Reading:
    """What a file of lines says: for evstore-verify, and for evstore-restore."""

    def __init__(self, data, site="main"):
        self.events = []  # the good ones, in order
        self.refused = 0  # lines that are no events
        self.odd = 0  # control lines that restore refuses
        self.torn = False  # one of them is malformed,
        self.torn_seal = False  # and it may have been a seal
        self.seals = 0
        self.broken = False  # a seal that does not fit, or is malformed
        self.behind = False  # the last seal is not the last line
        count, seen = 0, hashlib.sha256()
        for raw, text in lines(data):
            control = read_control(text) if is_control(text) else None
            if control and control[0] == "seal":
                self.broken |= control[1:] != (count, seen.hexdigest())
                self.seals += 1
                self.behind = False
                count, seen = 0, hashlib.sha256()
                continue
            self.behind = self.seals > 0
            seen.update(raw)
            if control:
                self.torn |= control[0] == "malformed"
                self.torn_seal |= control == ("malformed", "seal")
                self.odd += control[0] != "cursor"
            elif text:
                count += 1
                ev = elsewhere(text, site)
                if ev:
                    self.events.append(ev)
                else:
                    self.refused += 1

    def whole(self):
        return self.seals == 1 and not (self.broken or self.behind or self.torn)

    def verdict(self):
        if self.refused or self.odd or self.broken or (self.seals and not self.whole()):
            return "bad"
        return "ok" if self.seals else "inconclusive"

    def intake(self, there=()):
        """What a store that holds there, a dict of id to content, makes of it:
        inserted, present, conflicts, and the store afterwards."""
        store = dict(there)
        inserted = present = conflicts = 0
        for ev in self.events:
            content = ev.content()
            first = store.setdefault(ev.id, content)
            inserted += len(store) > len(there) + inserted
            if first != content:
                conflicts += 1
        present = len(self.events) - inserted - conflicts
        return inserted, present, conflicts, store


DOCUMENT_TEXTS = ("restore_session_id", "source_device_id", "source_device_name")


def read_document(data):
    """The elements of the API's document that are events to be judged one by one, as
    bytes; Bad if it is not a whole document."""
    body = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
    whole = parse(body)
    if not isinstance(whole, Object):
        raise Bad("not an object")
    names = [n for n, v in whole if n in ("events", "events_count") or v is not None]
    for n in ("events", "events_count"):
        if names.count(n) != 1:
            raise Bad(n)
    for n, v in whole:
        if n in DOCUMENT_TEXTS and v is not None:
            if not isinstance(v, str) or names.count(n) > 1:
                raise Bad(n)
            if n == "restore_session_id" and not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", v):
                raise Bad(n)
        if n == "more" and not isinstance(v, bool):
            raise Bad(n)
    doc = dict(whole)
    count = doc["events_count"]
    if type(doc["events"]) is not list:
        raise Bad("events: wants an array")
    if not isinstance(count, Number) or count.integer() != len(doc["events"]):
        raise Bad("events_count")
    return elements(text_of(body), len(doc["events"]))


def elements(text, n):
    """The texts of the elements of the member events of a document known to be whole."""
    space = re.compile(r"[ \t\r\n]*")
    at = space.match(text, space.match(text).end() + 1).end()
    while True:
        name, at = _reader.raw_decode(text, at)
        at = space.match(text, space.match(text, at).end() + 1).end()
        if name == "events":
            break
        _, at = _reader.raw_decode(text, at)
        at = space.match(text, space.match(text, at).end() + 1).end()
    found = []
    for _ in range(n):
        start = space.match(text, at + 1).end()
        _, end = _reader.raw_decode(text, start)
        found.append(text[start:end].replace("\n", " ").encode())
        at = space.match(text, end).end()
    return found


class Digests:
    """Digest lines and sets of events: each belongs to one of the other."""

    def __init__(self):
        self.of_set, self.of_line = {}, {}

    def check(self, line, events):
        events = frozenset(events.items())
        if line.split(" ")[1] != str(len(events)):
            return f"{line}: there should be {len(events)} events"
        if self.of_set.setdefault(events, line) != line:
            return f"{line}: the same events had the digest {self.of_set[events]}"
        if self.of_line.setdefault(line, events) != events:
            return f"{line}: other events had the same digest"
        return None
