"""The metadata of a sound file, carried into the file that is made of it.

All of it survives, or a line names what does not. ReplayGain is dropped on purpose, because it
describes the level of the old samples.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diff_audio.sound.carried import Carried, chunks_of
from diff_audio.sound.further_tags import further_tags
from diff_audio.sound.read import BadFile, probe
from diff_audio.sound.tags import copy_tags, drop_gain

__all__ = ["Metadata"]

_FAMILIES = {"WAV": ("WAV", "WAVEX", "RF64"), "RF64": ("WAV", "WAVEX", "RF64"), "AIFF": ("AIFF",)}
_TEXTS = ("LIST INFO", "NAME", "AUTH", "(c) ", "ANNO", "APPL")


@dataclass(frozen=True)
class Metadata:
    """The metadata that goes from `source` into a file of libsndfile's `format`.

    source: None for a file that is made of no other
    made:   title, artist, ... that the source does not have, by soundfile's names
    """

    source: Path | None
    format: str
    made: dict[str, str]
    chunks: Carried

    @classmethod
    def of(cls, source: Path | None, format: str, tags: dict[str, str]) -> Metadata:
        """Read the metadata that can be carried. Raises OSError."""
        if source is None or not source.is_file():
            return cls(None, format, tags, Carried())
        old: dict[str, str] = {}
        with suppress(BadFile):
            old = probe(source).tags
        made = {name: text for name, text in tags.items() if old.get(name) != text}
        return cls(source, format, made, chunks_of(source, texts=not made))

    @property
    def fits(self) -> bool:
        """Return whether chunks can be copied byte for byte."""
        return self.format in _FAMILIES.get(self.chunks.kind, ())

    @property
    def before(self) -> bytes:
        """Return the chunks for the place before the samples."""
        return self.chunks.before if self.fits and self.format != "RF64" else b""

    @property
    def behind(self) -> bytes:
        """Return the chunks for the place behind the samples."""
        if not self.fits:
            return b""
        first = self.chunks.before if self.format == "RF64" else b""
        return first + self.chunks.behind

    @property
    def has_texts(self) -> bool:
        """Return whether the chunks hold title, artist, ... already."""
        return self.fits and self.chunks.has_texts

    def finish(self, target: Path) -> tuple[str, ...]:
        """Copy the tags into the finished file, and return one line for each thing left out."""
        if self.source is None:
            return ()
        left = list(self.chunks.dropped)
        if not self.fits:
            left += [name.strip() for name in self.chunks.names if name not in _TEXTS]
            left = [name for name in left if name.lower() != "id3"]
        notes: list[str] = []
        try:
            if self.fits:
                tagged = any(name.strip().lower() == "id3" for name in self.chunks.names)
                left += ["ReplayGain"] if tagged and drop_gain(target) else []
            else:
                left += copy_tags(self.source, target, self.made)
        except ImportError:
            if not self.fits and (more := further_tags(self.source)):
                names = ", ".join(more)
                notes.append(
                    f"left out of the output: {names}; to keep tags, "
                    'pip install "diff-audio[tags]"'
                )
        except ValueError as error:
            left.append(str(error))
        if left:
            names = ", ".join(dict.fromkeys(left))
            why = " (which told the level of the input)" if left == ["ReplayGain"] else ""
            notes.append(f"left out of the output: {names}{why}")
        return tuple(notes)
