"""The texts of recordings: from a table, or from a text file for each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diff_audio.sound.read import FOREIGN, SUFFIXES

__all__ = ["Transcripts", "read_transcripts"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Transcripts:
    """The texts by the name of their recording, without its ending.

    alone: the text of the one recording that is scored, whatever its name
    """

    texts: Mapping[str, str]
    alone: str | None = None

    def of(self, name: str) -> str | None:
        """Return the text of a recording, None where there is none."""
        return self.alone if self.alone is not None else self.texts.get(_key(name))

    def unused(self, names: Iterable[str]) -> list[str]:
        """Return the names that are none of `names`."""
        return sorted(set(self.texts) - {_key(name) for name in names})


def read_transcripts(path: Path) -> Transcripts:
    """Read texts from a .csv or .tsv file with the columns `file` and `text`, from a folder that
    holds NAME.txt for each recording NAME, or from a .txt file for a single one.

    Raises ValueError for anything else, and for two texts of one recording.
    """
    where = f"transcripts is {path}"
    if path.is_dir():
        found = {
            text.relative_to(path).with_suffix("").as_posix(): _text(text, where)
            for text in sorted(path.rglob("*.txt"))
        }
        if not found:
            raise ValueError(f"{where}, which holds no .txt file")
        return Transcripts(found)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return Transcripts({}, _text(path, where))
    if suffix not in _DELIMITERS:
        raise ValueError(f"{where}; expected a .csv, .tsv or .txt file, or a folder of .txt files")
    lines = _text(path, where).splitlines()
    rows = csv.DictReader(lines, delimiter=_DELIMITERS[suffix], strict=True)
    if not {"file", "text"} <= set(rows.fieldnames or ()):
        raise ValueError(f"{where}, whose first line has no columns file and text")
    texts: dict[str, str] = {}
    try:
        for row in rows:
            name, text = row["file"], row["text"]
            if not name or text is None:
                raise ValueError(f"{where}: line {rows.line_num} lacks the file or the text")
            if texts.setdefault(_key(name), text) != text:
                raise ValueError(f"{where}: line {rows.line_num} is another text of {name!r}")
    except csv.Error as error:
        raise ValueError(f"{where}: line {rows.line_num} cannot be read ({error})") from error
    return Transcripts(texts)


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{where}: {path.name} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: {path.name} is not written in UTF-8") from error


def _key(name: str) -> str:
    """Return the name of a recording without its ending, with slashes."""
    name = name.replace("\\", "/")
    stem, dot, ending = name.rpartition(".")
    return stem if f"{dot}{ending.lower()}" in (*SUFFIXES, *FOREIGN) else name
