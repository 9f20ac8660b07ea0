"""The times of sentences and words as a file: JSON, SubRip (.srt) or WebVTT (.vtt)."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass, field
from pathlib import Path

from diff_audio.sound.read import BadFile
from diff_audio.voice.speaker import Piece
from diff_audio.voice.timing import Timed
from diff_core.files import replacing

__all__ = ["SUFFIXES", "Cue", "Cues", "check_suffix"]

SUFFIXES = (".json", ".srt", ".vtt")
"""The endings of files of times: JSON, SubRip and WebVTT."""
_WIDTH = 42  # characters of a line of subtitles


@dataclass
class Cue:
    """A sentence, when it is spoken, and its words as they are spoken."""

    text: str
    start: float
    end: float
    words: list[Timed] = field(default_factory=list[Timed])


class Cues:
    """The sentences of a text with their times: `add` each piece, then `write`."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []

    def add(self, piece: Piece) -> None:
        """Take in a piece; one without words of its own belongs to the sentence before."""
        if not piece.words:
            return
        begins = bool(piece.spoken.words)
        if begins or not self.cues:
            self.cues.append(Cue(piece.spoken.text, piece.words[0].start, 0.0))
        cue = self.cues[-1]
        cue.words += piece.words
        cue.end = piece.words[-1].end

    def write(self, path: Path) -> None:
        """Write a file whose suffix says its format. Raises BadFile for another suffix."""
        check_suffix(path)
        kind = path.suffix.lower()
        text = self._json() if kind == ".json" else self._subtitles(web=kind == ".vtt")
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _json(self) -> str:
        return json.dumps([asdict(cue) for cue in self.cues], ensure_ascii=False, indent=1) + "\n"

    def _subtitles(self, *, web: bool) -> str:
        blocks = ["WEBVTT\n"] if web else []
        for number, cue in enumerate(self.cues, 1):
            mark = "." if web else ","
            times = f"{_clock(cue.start, mark)} --> {_clock(cue.end, mark)}"
            text = cue.text.replace("-->", "->")
            if web:
                text = text.replace("&", "&amp;").replace("<", "&lt;")
            blocks.append("\n".join([str(number), times, textwrap.fill(text, _WIDTH), ""]))
        return "\n".join(blocks)


def check_suffix(path: Path) -> None:
    """Raise BadFile for a file that is none of the formats of times."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadFile(f"{path.name} is no file of times; end it in {', '.join(SUFFIXES)}")


def _clock(seconds: float, mark: str) -> str:
    millis = round(seconds * 1000)
    minutes, rest = divmod(millis, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"
