"""The tags inside MP3, FLAC, Ogg, M4A, WAV and AIFF files: text, pictures and chapters.

mutagen (extra `[tags]`) reads and writes them. Between files of one kind they are copied as they
are; else what both kinds know is translated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diff_audio.sound.common_tags import (
    READERS,
    WRITERS,
    Common,
    is_gain,
    is_of_encoding,
    names_of,
    write_vorbis,
)

__all__ = ["copy_tags", "drop_gain"]

_MADE_HERE = {
    "comment": ("COMM", "\xa9cmt", "comment"), "software": ("TSSE", "\xa9too", "encoder"),
    "title": ("TIT2", "\xa9nam", "title"),
}  # fmt: skip


def _library() -> Any:
    """Return mutagen, whose types are incomplete. Raises ImportError."""
    import mutagen

    return mutagen


def copy_tags(source: Path, target: Path, made: dict[str, str]) -> list[str]:
    """Copy all tags of a file into another, and return what was left out.

    made: what stands in the target already and is not to be replaced, by soundfile's name

    Raises ImportError without mutagen, ValueError for tags that it cannot read, and OSError where
    the target cannot be written.
    """
    mutagen = _library()
    further = ["APEv2 tags"] if _has_ape(source) else []
    try:
        found, written = _file(source), _file(target)
        if found is None or not found.tags and not getattr(found, "pictures", None):
            return further
        if written is None:
            names = sorted({name.split(":")[0] for name in names_of(found)})
            return [f"tags ({', '.join(names[:8])})"] if names else []
        if written.tags is None:
            written.add_tags()
        left = _copy(found, written, made)
    except (mutagen.MutagenError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"tags ({error})") from error
    version: dict[str, Any] = {}
    if _version(found) == 3 and _is_id3(written):
        version["v2_version"] = 3
        tags: Any = written.tags
        tags.update_to_v23()
    _save(written, **version)
    return left + further


def _save(file: Any, **version: Any) -> None:
    """Write the tags of mutagen's file. Raises OSError: half a tag would spoil the sound."""
    try:
        file.save(**version)
    except _library().MutagenError as error:
        raise OSError(f"the tags of the output cannot be written ({error})") from error


def _file(path: Path) -> Any:
    """Return mutagen's view of a file; what is M4A may have another ending."""
    from mutagen.mp4 import MP4

    with path.open("rb") as file:
        head = file.read(8)
    return MP4(path) if head[4:] == b"ftyp" else _library().File(path)


def _copy(found: Any, written: Any, made: dict[str, str]) -> list[str]:
    left = ["ReplayGain"] if any(map(is_gain, names_of(found))) else []
    kinds = _kind(found), _kind(written)
    if kinds == ("id3", "id3"):
        for name in names_of(written):  # what libsndfile knows is there in full as well
            if not any(name.startswith(_MADE_HERE.get(one, ("-",))) for one in made):
                del written.tags[name]
        for frame in found.tags.values():
            mine = any(frame.FrameID in _MADE_HERE.get(name, ()) for name in made)
            if not mine and not is_gain(frame.HashKey) and not is_of_encoding(frame.HashKey):
                written.tags.add(frame)
        return left
    if kinds == ("mp4", "mp4"):
        for name, value in found.tags.items():
            mine = any(name in _MADE_HERE.get(one, ()) for one in made)
            if not mine and not is_gain(name) and not is_of_encoding(name):
                written.tags[name] = value
        return left
    if kinds == ("vorbis", "vorbis"):
        for name in {name.lower() for name in names_of(found)}:
            mine = any(name in _MADE_HERE.get(one, (one,)) for one in made)
            if not mine and not is_gain(name) and name != "metadata_block_picture":
                written.tags[name] = found.tags[name]
        write_vorbis(Common(pictures=READERS["vorbis"](found).pictures), written)
        return left + _other_blocks(found, written)
    common = READERS[kinds[0]](found)
    common.text = {k: v for k, v in common.text.items() if k not in made and not is_gain(k)}
    if kinds[0] == "other":  # ffmpeg reads more of them
        return left
    WRITERS[kinds[1]](common, written)
    return left + common.other


def _kind(file: Any) -> str:
    from mutagen._vorbis import VComment
    from mutagen.apev2 import APEv2
    from mutagen.id3 import ID3 as Id3Tags
    from mutagen.mp4 import MP4Tags

    if isinstance(file.tags, Id3Tags):
        return "id3"
    if isinstance(file.tags, APEv2):
        return "ape"
    if isinstance(file.tags, MP4Tags):
        return "mp4"
    return "vorbis" if isinstance(file.tags, VComment) or file.tags is None else "other"


def _is_id3(file: Any) -> bool:
    return _kind(file) == "id3"


def _version(file: Any) -> int:
    return file.tags.version[1] if file.tags is not None and _is_id3(file) else 0


def _has_ape(path: Path) -> bool:
    """Return whether an MP3 has tags of a kind that libsndfile and ID3 do not know."""
    from mutagen.apev2 import APENoHeaderError, APEv2

    if path.suffix.lower() != ".mp3":
        return False
    try:
        return any(not is_gain(name) for name in APEv2(path))
    except APENoHeaderError:
        return False


def _other_blocks(found: Any, written: Any) -> list[str]:
    """Copy the cue sheet of a FLAC file; return what else its header holds."""
    if getattr(found, "cuesheet", None) and hasattr(written, "metadata_blocks"):
        written.metadata_blocks.append(found.cuesheet)
    elif getattr(found, "cuesheet", None):
        return ["cue sheet"]
    blocks = getattr(found, "metadata_blocks", [])
    return ["application data"] if any(block.code == 2 for block in blocks) else []


def drop_gain(path: Path) -> bool:
    """Take ReplayGain out of a WAV or AIFF file; return whether it was there.

    Raises ImportError without mutagen.
    """
    mutagen = _library()

    try:
        file = _file(path)
        tags: Any = getattr(file, "tags", None)
        names = [name for name in tags or () if is_gain(name)]
        for name in names:
            del tags[name]
    except (mutagen.MutagenError, OSError, ValueError) as error:
        raise ValueError(f"tags ({error})") from error
    if names:
        _save(file)
    return bool(names)
