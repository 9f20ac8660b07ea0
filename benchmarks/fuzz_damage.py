"""Damage to small valid files, each a function of a seed and a number."""

from __future__ import annotations

import gzip
import random
import struct

__all__ = ["damaged"]

NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    -32768,
    65535,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
)
FLOATS = (0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e308, 1e-45, -1.0)
WORDS = (
    b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 400, b"[" * 2000, b"{" * 2000, b"\"", b"'",
    b"\0", b"\n", b"\r\n", b"\xff\xfe", b"\xed\xb3\xbf", b"!!python/object:os.system", b"&a [*a]",
    b"../../etc/passwd", b"%s%n", b"\x1b[31m", "\u202e".encode(), b",", b":", b"|",
)  # fmt: skip
MOST = 6


def damaged(good: bytes, name: str, number: int, *, is_text: bool) -> bytes:
    """Return `good` with up to six damages, most of them near its beginning.

    name, number: the seed; equal ones give equal bytes
    is_text:      whether words of JSON and YAML are put in too

    A gzip stream is damaged inside in half of the cases, and made a whole stream again.
    """
    rng = random.Random(f"{name} {number}")
    if good[:2] == b"\x1f\x8b" and rng.random() < 0.5:
        inner = _damage(gzip.decompress(good), rng, is_text=is_text)
        return gzip.compress(inner, 1, mtime=0)
    return _damage(good, rng, is_text=is_text)


def _damage(good: bytes, rng: random.Random, *, is_text: bool) -> bytes:
    found = bytearray(good)
    for _ in range(rng.randint(1, MOST)):
        place = _place(len(found), rng)
        kind = rng.choice(("bytes", "number", "float", "bit", "insert", "remove", "repeat", "cut"))
        if is_text and rng.random() < 0.5:
            found[place:place] = rng.choice(WORDS)
        elif kind == "bytes":
            found[place : place + 8] = rng.randbytes(rng.randint(1, 8))
        elif kind == "number":
            width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
            value = rng.choice(NUMBERS) % (1 << 8 * width)
            found[place : place + width] = value.to_bytes(width, order)
        elif kind == "float":
            form = rng.choice(("<f", ">f", "<d", ">d"))
            value = rng.choice(FLOATS)
            if form[1] == "f" and abs(value) > 1e38:
                value = float("inf")
            found[place : place + struct.calcsize(form)] = struct.pack(form, value)
        elif kind == "bit" and found:
            found[min(place, len(found) - 1)] ^= 1 << rng.randrange(8)
        elif kind == "insert":
            found[place:place] = rng.randbytes(rng.randint(1, 64))
        elif kind == "remove":
            del found[place : place + rng.choice((1, 2, 4, 16, 256))]
        elif kind == "repeat":
            found[place:place] = found[place : place + rng.randint(1, 512)]
        elif kind == "cut" and rng.random() < 0.3:
            del found[place:]
    return bytes(found)


def _place(size: int, rng: random.Random) -> int:
    """A place in a file: among the first bytes, the last ones, or anywhere."""
    near = rng.random()
    if near < 0.5:
        return rng.randrange(min(size, 400) + 1)
    if near < 0.6:
        return size - rng.randrange(min(size, 100) + 1)
    return rng.randrange(size + 1)
