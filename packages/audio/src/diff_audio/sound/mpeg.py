"""The frames of an MPEG audio file (MP3; ISO/IEC 11172-3 and 13818-3), counted.

An MP3 has no length but for what its first frame may promise (Xing, Info, VBRI), which is wrong
for files joined one behind another, files cut short, and files that were edited. So its frames are
walked through, from header to header, without decoding.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

from diff_audio.sound.spliced import Piece

__all__ = ["Frames", "Header", "header_at", "holds_its_length", "scan", "table"]

_KBPS = {  # by version is 1, layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_SEARCHED = 1 << 20  # bytes of rubbish after which a first frame is no longer looked for


@dataclass(frozen=True)
class Header:
    """The header of a frame: its layer (1 to 3), rate in Hz, channels, kb/s, length in bytes and
    samples per channel. first: whether it is of MPEG-1.
    """

    first: bool
    layer: int
    rate: int
    channels: int
    kbps: int
    length: int
    samples: int

    @property
    def kind(self) -> tuple[int, int, int]:
        """Return what all frames of a recording have in common."""
        return self.layer, self.rate, self.channels


@dataclass(frozen=True)
class Frames:
    """The sound in an MPEG audio file.

    kind:     layer, rate in Hz, channels; `kinds` counts those that follow each other
    count:    frames with sound; samples: per channel in each of them
    promised: frames that the first header promises; None without one
    parts:    recordings that stand one behind another, each with a header of its own
    missing:  frames that a header promises beyond the end of the file
    rubbish:  bytes in between that are neither frames nor tags
    torn:     whether the last frame is cut off
    bit_rate: mean, bit/s
    pieces:   the tags, one header that is right, and the frames
    """

    kind: tuple[int, int, int]
    kinds: int
    count: int
    samples: int
    promised: int | None
    parts: int
    missing: int
    rubbish: int
    torn: bool
    bit_rate: float
    pieces: tuple[Piece, ...]


def header_at(data: bytes | mmap.mmap, at: int) -> Header | None:
    """The frame header at a position; None if there is none, or it has no fixed length."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate_index == 3 or index in (0, 15):
        return None
    first = version == 3
    rate, kbps = _RATES[version][rate_index], _KBPS[first, layer][index - 1]
    if layer == 1:
        samples, length = 384, (12_000 * kbps // rate + padding) * 4
    else:
        samples = 576 if layer == 3 and not first else 1152
        length = samples * 125 * kbps // rate + padding
    return Header(first, layer, rate, 1 if head[3] >> 6 == 3 else 2, kbps, length, samples)


def table(rate: int) -> tuple[int, ...]:
    """Return the bit rates that Layer III has at a sample rate, kb/s, from low to high."""
    return _KBPS[rate >= 32_000, 3]


def holds_its_length(rate: int, channels: int, kbps: int) -> bool:
    """Return whether a frame of Layer III has room for a header that promises a length and the
    silence at both ends (LAME's tag, 156 bytes).
    """
    first = rate >= 32_000
    header = Header(first, 3, rate, channels, kbps, 0, 0)
    return (1152 if first else 576) * 125 * kbps // rate >= _xing_place(header) + 156


def scan(path: str | os.PathLike[str]) -> Frames | None:
    """Return the frames of a file; None if it is no MPEG audio. Raises OSError."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < 4:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _scanned(data)


@dataclass(frozen=True)
class _Part:
    """One recording: the frames before it, its first bytes (a header that promises), and that
    promise.
    """

    before: int
    frame: bytes
    promised: int


def _scanned(data: mmap.mmap) -> Frames | None:
    runs: list[list[int]] = []  # of frames that follow each other: start and end
    parts: list[_Part] = []
    sound = first = None
    count = size = rubbish = kinds = 0
    at, torn = 0, False
    end = _end(data)
    while at < end:
        tag = _tag(data, at)
        if tag:
            at += tag
            continue
        header = header_at(data, at)
        known = sound is not None and header is not None and header.kind == sound.kind
        if header is None or not (known or _is_followed(data, at, header)):
            if sound is None and at > _SEARCHED + (_tag(data, 0) or 0):
                return None
            further = data.find(b"\xff", at + 1)
            further = len(data) if further < 0 else further
            further = _next_tag(data, at + 1, further)
            rubbish += (further - at) * (sound is not None)
            at = further
            continue
        if at + header.length > end:
            torn = sound is not None
            break
        if sound is None or header.kind != sound.kind:
            kinds += 1
        sound, first = header, first or header
        promise = _promise(data, at, header)
        if promise is None:
            count, size = count + 1, size + header.length
            if runs and runs[-1][1] == at:
                runs[-1][1] = at + header.length
            else:
                runs.append([at, at + header.length])
        else:
            parts.append(_Part(count, data[at : at + header.length], promise))
        at += header.length
    if first is None or count == 0:
        return None
    missing = max((part.promised - (count - part.before) for part in parts), default=0)
    seconds = count * first.samples / first.rate
    starts = {part.before for part in parts} | {0}
    return Frames(
        first.kind, kinds, count, first.samples,
        (parts[0].promised or None) if parts and parts[0].before == 0 else None,
        len(starts), max(0, missing), rubbish, torn, 8 * size / seconds,
        (*_tags(data, front=True), _right_header(first, count, parts), *((a, b) for a, b in runs),
         *_tags(data, front=False)),
    )  # fmt: skip


def _is_followed(data: mmap.mmap, at: int, header: Header) -> bool:
    """Return whether a frame of the same kind, a tag or the end comes next: chance is unlikely."""
    after = at + header.length
    if after >= len(data):
        return after == len(data) and at > 0
    following = header_at(data, after)
    return _tag(data, after) > 0 or following is not None and following.kind == header.kind


def _tag(data: mmap.mmap, at: int) -> int:
    """Return the length of the tag at a position (ID3, APE, Lyrics3); 0 if there is none."""
    head = data[at : at + 32]
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + 10 * bool(head[5] & 0x10)
    if head[:3] == b"TAG" and head[:4] != b"TAG+":
        return 128
    if head[:4] == b"TAG+":
        return 227
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = (int.from_bytes(head[i : i + 4], "little") for i in (12, 20))
        return 32 + (size if flags >> 29 & 1 else 0)  # at its head, or its foot
    if head[:11] == b"LYRICSBEGIN":
        end = data.find(b"LYRICS200", at)
        return end + 9 - at if end > 0 else 0
    return 0


def _tags(data: mmap.mmap, *, front: bool) -> Iterator[Piece]:
    """Yield the tag in front of the sound, or the oldest kind of tag behind it."""
    if front and data[:3] == b"ID3" and _tag(data, 0) <= len(data):
        yield 0, _tag(data, 0)
    if not front and data[-128:-125] == b"TAG":
        yield len(data) - 128, len(data)


def _end(data: mmap.mmap) -> int:
    """Return where the tags at the end of a file begin (ID3v1, and APE in front of it)."""
    end = len(data)
    if data[max(0, end - 128) : end][:3] == b"TAG":
        end -= 128
    foot = data[max(0, end - 32) : end]
    if foot[:8] == b"APETAGEX":
        size, flags = (int.from_bytes(foot[i : i + 4], "little") for i in (12, 20))
        end -= size + 32 * (flags >> 31)
    return max(0, end)


def _next_tag(data: mmap.mmap, start: int, stop: int) -> int:
    found = (data.find(name, start, stop) for name in (b"ID3", b"TAG", b"APETAGEX"))
    return min((at for at in found if at >= 0 and _tag(data, at)), default=stop)


def _promise(data: mmap.mmap, at: int, header: Header) -> int | None:
    """Return the frames that a first frame promises (Xing, Info, VBRI); None if it holds sound."""
    if header.layer != 3:
        return None
    place = at + _xing_place(header)
    if data[place : place + 4] in (b"Xing", b"Info"):
        has_count = data[place + 7] & 1
        return int.from_bytes(data[place + 8 : place + 12], "big") if has_count else 0
    if data[at + 36 : at + 40] == b"VBRI":
        return int.from_bytes(data[at + 50 : at + 54], "big")
    return None


def _xing_place(header: Header) -> int:
    wide = header.channels == 2
    return 4 + ((32 if wide else 17) if header.first else (17 if wide else 9))


def _right_header(header: Header, count: int, parts: list[_Part]) -> bytes:
    """A frame without sound that promises `count` frames, and the silence that the encoders put
    before the first part and behind the last, where they say so.
    """
    if header.layer != 3:
        return b""
    place = _xing_place(header)
    kbps = _KBPS[header.first, 3]
    # large enough for the tag, whatever the bit rate of the sound
    index = kbps.index(128 if header.first else 80)
    version = {44_100: 3, 48_000: 3, 32_000: 3, 22_050: 2, 24_000: 2, 16_000: 2}
    bits = version.get(header.rate, 0)
    rate_index = _RATES[bits].index(header.rate)
    channels = 3 if header.channels == 1 else 0
    head = bytes((0xFF, 0xE3 | bits << 3, index + 1 << 4 | rate_index << 2, channels << 6))
    made = header_at(head, 0)
    assert made is not None
    frame = bytearray(made.length)
    frame[:4] = head
    frame[place : place + 8] = b"Info\0\0\0\1"
    frame[place + 8 : place + 12] = count.to_bytes(4, "big")
    delay = _silence(header, parts[0])[0] if parts and parts[0].before == 0 else 0
    padding = _silence(header, parts[-1])[1] if parts else 0
    if delay or padding:
        lame = place + 12
        frame[lame : lame + 4] = b"LAME"
        frame[lame + 21 : lame + 24] = (delay << 12 | padding).to_bytes(3, "big")
    return bytes(frame)


def _silence(header: Header, part: _Part) -> tuple[int, int]:
    """Return the samples of silence before and behind a part, from LAME's tag; 0 without it."""
    place = _xing_place(header)
    flags = part.frame[place + 7] if len(part.frame) > place + 7 else 0
    sizes = (4, 4, 100, 4)
    lame = place + 8 + sum(size for bit, size in enumerate(sizes) if flags >> bit & 1)
    if part.frame[lame : lame + 4] not in (b"LAME", b"Lavf", b"Lavc", b"Gogo", b"L3.9"):
        return 0, 0
    value = int.from_bytes(part.frame[lame + 21 : lame + 24], "big")
    return value >> 12, value & 0xFFF
