"""The names of the tags of a file that libsndfile does not copy, found without a library.

They are only named, so that nobody loses them without notice. `diff_audio.sound.tags` copies them.
"""

from __future__ import annotations

from pathlib import Path

from diff_audio.sound.lengths import id3_length

__all__ = ["further_tags"]

_ID3 = ("TIT2", "TCOP", "TSSE", "TPE1", "COMM", "TDRC", "TYER", "TALB", "TRCK", "TCON")
_VORBIS = (
    "title", "copyright", "software", "encoder", "artist", "comment", "date", "album", "license",
    "tracknumber", "genre",
)  # fmt: skip
_SHOWN = {"APIC": "pictures", "CHAP": "chapters", "CTOC": "chapters",
          "metadata_block_picture": "pictures"}  # fmt: skip
_READ = 1 << 20  # bytes in which tags are looked for


def further_tags(path: Path) -> list[str]:
    """Return the names of tags that title, artist, album, ... do not cover. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_READ)
    names: list[str] = []
    if length := id3_length(head[:10]):
        names += [name for name in _id3(head[:length]) if name not in _ID3]
    rest = head[length:]
    if rest[:4] == b"fLaC":
        names += [name for name in _flac(rest) if name not in _VORBIS]
    elif rest[:4] == b"OggS":
        start = max(rest.find(b"OpusTags") + 8, rest.find(b"\x03vorbis") + 7)
        names += [name for name in _comments(rest[start:]) if name not in _VORBIS]
    elif head[4:8] == b"ftyp":
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _READ))
            names += ["APIC"] if b"covr" in head + file.read() else []
    return sorted({_SHOWN.get(name, name) for name in names})


def _id3(tag: bytes) -> list[str]:
    """Return the names of the frames (ID3v2.3 and 2.4)."""
    names: list[str] = []
    at = 10
    while at + 10 <= len(tag) and tag[at : at + 4].isalnum():
        size = tag[at + 4 : at + 8]
        names.append(tag[at : at + 4].decode("latin-1"))
        if tag[3] == 4:
            at += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
        else:
            at += 10 + int.from_bytes(size, "big")
    return names


def _flac(data: bytes) -> list[str]:
    names: list[str] = []
    at, last = 4, False
    while not last and at + 4 <= len(data):
        last, kind = bool(data[at] & 0x80), data[at] & 0x7F
        length = int.from_bytes(data[at + 1 : at + 4], "big")
        if kind == 4:
            names += _comments(data[at + 4 : at + 4 + length])
        names += {2: ["application data"], 5: ["cue sheet"], 6: ["pictures"]}.get(kind, [])
        at += 4 + length
    return names


def _comments(data: bytes) -> list[str]:
    """Return the names of Vorbis comments, lower case (Xiph.Org, Vorbis I, 5.2)."""
    names: list[str] = []
    at = 4 + int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    for _ in range(min(count, 1000)):
        if at + 4 > len(data):
            break
        length = int.from_bytes(data[at : at + 4], "little")
        name = data[at + 4 : at + 4 + min(length, 100)].partition(b"=")[0]
        names.append(name.decode("ascii", "replace").lower())
        at += 4 + length
    return names
