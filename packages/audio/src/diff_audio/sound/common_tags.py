"""The common part of ID3, Vorbis comments, M4A tags and APE tags, and its translation.

The names are those of Vorbis comments (https://www.xiph.org/vorbis/doc/v-comment.html).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "READERS",
    "WRITERS",
    "Common",
    "is_gain",
    "is_of_encoding",
    "names_of",
    "write_vorbis",
]

ID3 = {
    "TIT2": "title", "TIT3": "subtitle", "TPE1": "artist", "TPE2": "albumartist",
    "TPE3": "conductor", "TALB": "album", "TDRC": "date", "TCON": "genre", "TRCK": "tracknumber",
    "TPOS": "discnumber", "TCOM": "composer", "TEXT": "lyricist", "TPUB": "organization",
    "TCOP": "copyright", "TSRC": "isrc", "TENC": "encodedby", "TSSE": "encoder", "TBPM": "bpm",
    "TLAN": "language", "TSST": "discsubtitle", "TSOP": "artistsort", "TSOT": "titlesort",
}  # fmt: skip
MP4 = {
    "\xa9nam": "title", "\xa9ART": "artist", "aART": "albumartist", "\xa9alb": "album",
    "\xa9day": "date", "\xa9gen": "genre", "\xa9wrt": "composer", "\xa9cmt": "comment",
    "cprt": "copyright", "\xa9too": "encoder", "\xa9lyr": "lyrics", "desc": "description",
    "\xa9grp": "grouping",
}  # fmt: skip
_FREEFORM = "----:com.apple.iTunes:"
_OF_ENCODING = ("itunsmpb", "itunnorm", "mllt", "seek", "aspi", "rbuf", "encoder-settings")


@dataclass
class Common:
    """The tags of a file that other kinds of tags can hold too.

    text:     by the name of a Vorbis comment, lower case
    pictures: MIME type, kind, description and bytes
    chapters: start in ms and title
    other:    names of what has no place in another kind
    """

    text: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    pictures: list[tuple[str, int, str, bytes]] = field(
        default_factory=list[tuple[str, int, str, bytes]]
    )
    chapters: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    other: list[str] = field(default_factory=list[str])


def is_gain(name: str) -> bool:
    """Return whether a tag of this name describes the level of the samples (ReplayGain)."""
    name = name.lower()
    return "replaygain" in name or name.startswith(("r128_", "rva2", "rvad", "rgad", "xrva"))


def is_of_encoding(name: str) -> bool:
    """Return whether a tag of this name describes the encoded samples, not the sound."""
    return any(part in name.lower() for part in _OF_ENCODING)


def names_of(file: Any) -> list[str]:
    """Return the names of all tags of mutagen's file."""
    return [] if file.tags is None else [str(name) for name in file.tags.keys()]  # noqa: SIM118


def _of_id3(file: Any) -> Common:
    found = Common()
    for frame in file.tags.values():
        name = frame.FrameID
        if name in ID3:
            found.text[ID3[name]] = [str(text) for text in frame.text]
        elif name == "COMM":
            if not is_of_encoding(frame.HashKey):
                found.text.setdefault("comment", []).extend(map(str, frame.text))
        elif name == "TXXX":
            found.text[frame.desc.lower() or "description"] = [str(text) for text in frame.text]
        elif name == "USLT":
            found.text["lyrics"] = [frame.text]
        elif name == "APIC":
            found.pictures.append((frame.mime, int(frame.type), frame.desc, frame.data))
        elif name == "CHAP":
            title = frame.sub_frames.get("TIT2")
            found.chapters.append((frame.start_time, str(title) if title else ""))
        elif name != "CTOC" and not is_gain(name) and not is_of_encoding(name):
            found.other.append(name)
    found.chapters.sort()
    return found


def _of_mp4(file: Any) -> Common:
    found = Common()
    for name, value in (file.tags or {}).items():
        if name in MP4:
            found.text[MP4[name]] = [str(one) for one in value]
        elif name in ("trkn", "disk"):
            number = "tracknumber" if name == "trkn" else "discnumber"
            found.text[number] = ["/".join(str(n) for n in one if n) for one in value]
        elif name == "covr":
            for one in value:
                mime = "image/png" if one.imageformat == one.FORMAT_PNG else "image/jpeg"
                found.pictures.append((mime, 3, "", bytes(one)))
        elif name.startswith(_FREEFORM):
            if not is_of_encoding(name):
                key = name.removeprefix(_FREEFORM).lower()
                found.text[key] = [bytes(one).decode("utf-8", "replace") for one in value]
        else:
            found.other.append(name.strip())
    for chapter in file.chapters or ():
        found.chapters.append((round(1000 * chapter.start), chapter.title))
    return found


def of_vorbis(file: Any) -> Common:
    text = {name: file.tags[name] for name in {name.lower() for name in names_of(file)}}
    text.pop("metadata_block_picture", None)
    return Common(text, _vorbis_pictures(file))


def _of_ape(file: Any) -> Common:
    found = Common()
    for name in names_of(file):
        try:
            found.text[name.lower()] = list(file.tags[name])
        except TypeError:  # bytes, such as a picture
            found.other.append(name)
    return found


def _vorbis_pictures(file: Any) -> list[tuple[str, int, str, bytes]]:
    from mutagen.flac import Picture

    if hasattr(file, "pictures"):
        pictures = file.pictures
    else:
        coded = (file.tags or {}).get("metadata_block_picture", [])
        pictures = [Picture(base64.b64decode(one)) for one in coded]
    return [(one.mime, int(one.type), one.desc, one.data) for one in pictures]


def _write_id3(common: Common, file: Any) -> None:
    from mutagen import id3

    frames = {name: frame for frame, name in ID3.items()}
    for name, text in common.text.items():
        if name in frames:
            file.tags.add(getattr(id3, frames[name])(encoding=3, text=text))
        elif name in ("comment", "description"):
            file.tags.delall("COMM")
            file.tags.add(id3.COMM(encoding=3, lang="eng", desc="", text=text))
        elif name == "lyrics":
            file.tags.add(id3.USLT(encoding=3, lang="eng", desc="", text="\n".join(text)))
        else:
            file.tags.add(id3.TXXX(encoding=3, desc=name, text=text))
    for mime, kind, about, data in common.pictures:
        file.tags.add(id3.APIC(encoding=3, mime=mime, type=kind, desc=about, data=data))
    ends = [start for start, _ in common.chapters[1:]] + [round(1000 * file.info.length)]
    names = [f"chp{number}" for number in range(len(common.chapters))]
    for name, (start, title), end in zip(names, common.chapters, ends, strict=False):
        title_frame = id3.TIT2(encoding=3, text=[title])
        file.tags.add(id3.CHAP(element_id=name, start_time=start, end_time=end,
                               sub_frames=[title_frame]))  # fmt: skip
    if names:
        flags = id3.CTOCFlags.TOP_LEVEL | id3.CTOCFlags.ORDERED
        file.tags.add(id3.CTOC(element_id="toc", flags=flags, child_element_ids=names))


def write_vorbis(common: Common, file: Any) -> None:
    """Write tags, pictures and chapters into mutagen's FLAC or Ogg file."""
    from mutagen.flac import Picture

    for name, text in common.text.items():
        key = "".join(c for c in name if " " <= c <= "}" and c != "=")
        file.tags[key] = text
    for number, (start, title) in enumerate(common.chapters):
        hours, rest = divmod(start, 3_600_000)
        minutes, rest = divmod(rest, 60_000)
        time = f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
        file.tags[f"chapter{number:03}"] = [time]
        file.tags[f"chapter{number:03}name"] = [title]
    made: list[Any] = []
    for mime, kind, about, data in common.pictures:
        picture = Picture()
        picture.mime, picture.type, picture.desc, picture.data = mime, kind, about, data
        made.append(picture)
    if hasattr(file, "add_picture"):
        for picture in made:
            file.add_picture(picture)
    elif made:
        file.tags["metadata_block_picture"] = [
            base64.b64encode(picture.write()).decode() for picture in made
        ]


def _write_mp4(common: Common, file: Any) -> None:
    """Chapters are ffmpeg's: mutagen does not write them."""
    from mutagen.mp4 import MP4Cover, MP4FreeForm

    names = {name: atom for atom, name in MP4.items()}
    for name, text in common.text.items():
        if name in names:
            file.tags[names[name]] = text
        elif name in ("tracknumber", "discnumber"):
            numbers = [int(n) if n.isdigit() else 0 for n in text[0].split("/")]
            pair = (*numbers, 0, 0)[:2]
            file.tags["trkn" if name == "tracknumber" else "disk"] = [pair]
        else:
            file.tags[_FREEFORM + name] = [MP4FreeForm(one.encode()) for one in text]
    covers = [
        MP4Cover(data, MP4Cover.FORMAT_PNG if mime == "image/png" else MP4Cover.FORMAT_JPEG)
        for mime, _, _, data in common.pictures
    ]
    if covers:
        file.tags["covr"] = covers


READERS = {
    "id3": _of_id3, "mp4": _of_mp4, "vorbis": of_vorbis, "ape": _of_ape,
    "other": lambda file: Common(other=names_of(file)),
}  # fmt: skip
"""The reader of each kind of tags, from mutagen's file."""

WRITERS = {"id3": _write_id3, "vorbis": write_vorbis, "mp4": _write_mp4}
"""The writer of each kind of tags, into mutagen's file."""
