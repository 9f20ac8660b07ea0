"""Damaged files: bytes of good ones, changed, cut, repeated or filled at random places."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["damaged"]


def damaged(good: bytes, *, header: int) -> st.SearchStrategy[bytes]:
    """Up to six damages of `good`, most of them among its first `header` bytes."""
    place = st.one_of(
        st.integers(0, min(header, len(good)) - 1),
        st.integers(0, min(header, len(good)) - 1),
        st.integers(0, len(good) - 1),
    )
    change = st.one_of(
        st.tuples(st.just("write"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("write"), place, st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff"])),
        st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=16)),
        st.tuples(st.just("cut"), place, st.just(b"")),
    )
    return st.lists(change, min_size=1, max_size=6).map(lambda changes: _apply(good, changes))


def _apply(good: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    found = bytearray(good)
    for kind, place, new in changes:
        if kind == "write":
            found[place : place + len(new)] = new
        elif kind == "insert":
            found[place:place] = new
        else:
            del found[place:]
    return bytes(found)
