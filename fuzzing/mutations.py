"""Damage for files: bytes at random, and for some formats their own parts.

Bytes at random seldom come past a checksum or a length. What knows a format takes a file apart,
damages what is inside, and puts it together again so that the outside is right.
"""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[bytes, random.Random], bytes]

EDGES = (0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 127, 128, 255, 256, 1000, 1024, 4096, 32767, 32768, 65535)
EDGES += (65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**63 - 1, 2**64 - 1)
"""Numbers at which readers go wrong."""

WORDS = ("0", "-1", "1", "2147483647", "2147483648", "-2147483649", "18446744073709551616", "nan")
WORDS += ("inf", "-inf", "1e400", "-0.0", "1e-320", "0x10", "007", "9" * 5000, "", " ", "\t", "\0")
WORDS += (
    "true",
    "null",
    '"',
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "&",
    "&amp;",
    "<!DOCTYPE x>",
)
WORDS += (
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    "\ufeff",
    "\u202e",
    "\ud800",
    "é",
    "%s",
    "\r",
    "\x1b[2J",
)
"""Words at which readers of text go wrong."""


def damaged(data: bytes, others: Sequence[bytes], mutator: Mutator, source: random.Random) -> bytes:
    """Return a file damaged one to four times, by a format's own mutator or by bytes.

    Parameters
    ----------
    data : bytes
        A sound file.
    others : sequence of bytes
        Further ones, of which parts may be put in.
    mutator : callable
        The format's own.
    source : random.Random
        Chance.
    """
    for _ in range(source.choice((1, 1, 1, 2, 3, 4))):
        if source.random() < 0.6:
            data = mutator(data, source)
        elif source.random() < 0.05:
            data = _spliced(data, source.choice(others), source)
        else:
            data = any_bytes(data, source)
    return data


def any_bytes(data: bytes, source: random.Random) -> bytes:
    """Change some bytes, whatever they mean."""
    changed = bytearray(data or b"\0")
    at = source.randrange(len(changed))
    length = source.choice((1, 2, 4, 8, source.randrange(1, 65)))
    match source.randrange(8):
        case 0:
            changed[at] ^= 1 << source.randrange(8)
        case 1:
            changed[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
        case 2:
            changed[at : at + length] = _number(source, source.choice((1, 2, 4, 8)))
        case 3:
            del changed[at : at + length]
        case 4:
            changed[at:at] = source.randbytes(length)
        case 5:
            changed[at:at] = changed[at : at + length] * source.choice((1, 2, 50))
        case 6:
            changed[at : at + length] = bytes([source.choice((0, 0xFF))]) * length
        case _:
            del changed[at:]
    return bytes(changed)


def _number(source: random.Random, width: int) -> bytes:
    value = source.choice(EDGES) + source.choice((0, 0, 0, -1, 1))
    order = source.choice(("little", "big"))
    return (value % 256**width).to_bytes(width, order)  # type: ignore[arg-type]


def _spliced(data: bytes, other: bytes, source: random.Random) -> bytes:
    return data[: source.randrange(len(data) + 1)] + other[source.randrange(len(other) + 1) :]


_TOKEN = re.compile(r"[\w.+-]+|\s+|.", re.DOTALL)


def text(data: bytes, source: random.Random) -> bytes:
    """Change a word or a line of a text."""
    content = data.decode("utf-8", "surrogateescape")
    if source.random() < 0.4:
        lines = content.splitlines(keepends=True) or [""]
        return _encoded("".join(_shuffled(lines, source)))
    tokens = _TOKEN.findall(content) or [""]
    at = source.randrange(len(tokens))
    if source.random() < 0.7:
        tokens[at] = source.choice((*WORDS, str(source.choice(EDGES))))
    else:
        tokens = _shuffled(tokens, source)
    return _encoded("".join(tokens))


def _encoded(content: str) -> bytes:
    return content.encode("utf-8", "surrogatepass" if "\ud800" in content else "surrogateescape")


def _shuffled(parts: list[Any], source: random.Random) -> list[Any]:
    """Leave one part out, double it, or exchange it with another."""
    parts = list(parts)
    first, second = source.randrange(len(parts)), source.randrange(len(parts))
    match source.randrange(4):
        case 0:
            del parts[first]
        case 1:
            parts.insert(second, parts[first])
        case 2:
            parts[first:first] = [parts[first]] * source.choice((2, 30))
        case _:
            parts[first], parts[second] = parts[second], parts[first]
    return parts


def json_text(data: bytes, source: random.Random) -> bytes:
    """Change one value of a JSON text, or of one line of JSON lines."""
    lines = data.split(b"\n") if data.count(b"\n{") else [data]
    at = source.randrange(len(lines))
    try:
        lines[at] = json.dumps(_changed_value(json.loads(lines[at]), source)).encode()
    except (ValueError, RecursionError):
        return text(data, source)
    return b"\n".join(lines)


_JSON_VALUES = (None, True, 0, -1, 2**31, 2**63, 10**400, 1.5, 1e308, float("nan"), float("inf"))
_JSON_VALUES += ("", "x", "\0", "../../x", "\ud800", "9" * 5000, [], {}, [[[]]], {"": None})


def _changed_value(value: Any, source: random.Random) -> Any:
    if isinstance(value, dict) and value and source.random() < 0.9:
        key = source.choice(list(value))
        if source.random() < 0.15:
            return {other: one for other, one in value.items() if other != key}
        return {**value, key: _changed_value(value[key], source)}
    if isinstance(value, list) and value and source.random() < 0.8:
        if source.random() < 0.3:
            return _shuffled(value, source)
        at = source.randrange(len(value))
        return [*value[:at], _changed_value(value[at], source), *value[at + 1 :]]
    return source.choice(_JSON_VALUES)


def protobuf(data: bytes, source: random.Random) -> bytes:
    """Change one field of a message in protobuf's binary format, at any depth."""
    fields = _fields(data)
    if not fields:
        return any_bytes(data, source)
    # Short ones more often: in a long one there are mostly weights.
    at = min(source.randrange(len(fields)), source.randrange(len(fields)))
    number, kind, value = fields[at]
    choice = source.random()
    if choice < 0.1:
        return b"".join(_field(*one) for one in _shuffled(fields, source))
    if choice < 0.2:
        number = source.choice((number + 1, source.choice(EDGES[:12])))
    elif choice < 0.25:
        kind = source.randrange(8)
    elif isinstance(value, int):
        value = source.choice(EDGES)
    elif choice < 0.8 and _fields(value):
        value = protobuf(value, source)
    else:
        value = any_bytes(value, source)
    fields[at] = (number, kind, value)
    return b"".join(_field(*one) for one in fields)


def _fields(data: bytes) -> list[tuple[int, int, Any]]:
    """Return number, wire type and value of each field; none if it is no message."""
    found: list[tuple[int, int, Any]] = []
    at = 0
    while at < len(data):
        key, at = _varint_at(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint_at(data, at)
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, at = data[at : at + width], at + width
        elif kind == 2:
            length, at = _varint_at(data, at)
            value, at = data[at : at + length], at + length
        else:
            return []
        if at > len(data) or not key >> 3:
            return []
        found.append((key >> 3, kind, value))
    return found


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    return 0, len(data) + 1


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _field(number: int, kind: int, value: Any) -> bytes:
    content = _varint(value) if isinstance(value, int) else value
    length = _varint(len(content)) if kind == 2 else b""
    return _varint(number << 3 | kind) + length + content


def mat5(data: bytes, source: random.Random) -> bytes:
    """Change an element of one variable of a MATLAB file, inside its compression if it has any."""
    at, parts = 128, []
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        parts.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length
    if not parts:
        return any_bytes(data, source)
    chosen = source.randrange(len(parts))
    kind, content = parts[chosen]
    if kind == 15:
        try:
            inside = zlib.decompress(content)
        except zlib.error:
            return any_bytes(data, source)
        content = zlib.compress(_changed_element(inside, source), 1)
    else:
        content = _changed_element(content, source)
    parts[chosen] = (kind, content)
    if source.random() < 0.05:
        parts = _shuffled(parts, source)
    return data[:128] + b"".join(struct.pack("<II", k, len(c)) + c for k, c in parts)


def _changed_element(content: bytes, source: random.Random) -> bytes:
    """Change a word of four bytes: they are kinds, lengths, axes, flags and numbers."""
    if len(content) < 8 or source.random() < 0.2:
        return any_bytes(content, source)
    # The first hundred bytes describe; elements of cells and structs begin further on.
    words = len(content) // 4
    place = 4 * source.randrange(min(words, 32) if source.random() < 0.6 else words)
    changed = bytearray(content)
    value = source.choice((source.randrange(20), source.choice(EDGES), 1 << source.randrange(32)))
    changed[place : place + 4] = (value % 2**32).to_bytes(4, "little")
    return bytes(changed)


def archive(data: bytes, source: random.Random) -> bytes:
    """Change one member of a zip file, so that its checksum is right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as found:
            members = {name: found.read(name) for name in found.namelist()}
    # What is damaged already is damaged as bytes.
    except Exception:
        return any_bytes(data, source)
    if not members:
        return any_bytes(data, source)
    name = source.choice(list(members))
    if source.random() < 0.1:
        del members[name]
    elif source.random() < 0.5:
        # NumPy's header: its text is within the first 128 bytes.
        members[name] = text(members[name][:128], source) + members[name][128:]
    else:
        members[name] = any_bytes(members[name], source)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", source.choice((0, 8))) as made:
        for member, content in members.items():
            made.writestr(member, content)
    return target.getvalue()


def tar(data: bytes, source: random.Random) -> bytes:
    """Change a field of a header of a tar file, so that its checksum is right."""
    changed = bytearray(data)
    headers = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return any_bytes(data, source)
    at = source.choice(headers)
    start, end = source.choice(
        ((0, 100), (124, 136), (124, 136), (156, 157), (257, 265), (345, 500))
    )
    values = [b"../../x", b"%o" % source.choice(EDGES), b"-1", b"\x80" + b"\xff" * 11, b"\xff" * 12]
    values += [
        b"1 size=9\n",
        source.randbytes(end - start),
        b"LKxgSVD01256"[source.randrange(12) :],
    ]
    changed[at + start : at + end] = source.choice(values)[: end - start].ljust(end - start, b"\0")
    changed[at + 148 : at + 156] = b" " * 8
    changed[at + 148 : at + 156] = b"%06o\0 " % (sum(changed[at : at + 512]) % 2**18)
    return bytes(changed)


def png(data: bytes, source: random.Random) -> bytes:
    """Change a chunk of a PNG, so that its checksum is right; bytes of any other picture."""
    at, chunks = 8, []
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        # Headers are at the front.
        head = any_bytes(data[:64], source) if source.random() < 0.5 else data[:64]
        return head + (any_bytes(data[64:], source) if head == data[:64] else data[64:])
    if source.random() < 0.2:
        chunks = _shuffled(chunks, source)
    else:
        chosen = source.randrange(len(chunks))
        chunks[chosen] = (chunks[chosen][0], any_bytes(chunks[chosen][1], source))
    return data[:8] + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
