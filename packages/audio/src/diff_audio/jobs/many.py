"""Several texts spoken one after another: the chapters of a book, or the rows of a table."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diff_audio.jobs.say import Reader
from diff_audio.text.book import read_book
from diff_audio.voice.manner import Manner
from diff_audio.voice.outcome import Outcome
from diff_core.progress import Progress

__all__ = ["FORMATS", "Item", "book_items", "is_done", "speak_item", "table_items"]

FORMATS = ("flac", "wav", "ogg", "opus", "mp3")
"""The formats of files that are named by a chapter or a row."""

_COLUMNS = ("text", "file", "speaker", "rate", "pitch", "seed", "title")
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Item:
    """A text to be spoken into `output`, with its manner and its tags."""

    output: Path
    text: str
    manner: Manner
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def size(self) -> int:
        """Return the work, in characters."""
        return len(self.text)


def book_items(source: Path, folder: Path, manner: Manner, kind: str) -> list[Item]:
    """Return the chapters of a book as `FOLDER/01 Title.KIND`, tagged with the book's title and
    author and the number of the chapter.

    Raises ValueError as `read_book` does.
    """
    book = read_book(source)
    width = max(2, len(str(len(book.chapters))))
    items: list[Item] = []
    for number, chapter in enumerate(book.chapters, 1):
        title = chapter.title or (book.title if len(book.chapters) == 1 else f"Part {number}")
        name = _as_name(f"{number:0{width}} {title}")
        tags = {"title": title, "album": book.title, "artist": book.author}
        tags |= {"tracknumber": str(number), "genre": "Audiobook"}
        text = {name: value for name, value in tags.items() if value}
        items.append(Item(folder / f"{name}.{kind}", chapter.text, manner, text))
    return items


def table_items(source: Path, folder: Path, manner: Manner, kind: str) -> list[Item]:
    """Return the rows of a CSV file with a header: `text`, and if wanted `file`, `speaker`,
    `rate`, `pitch`, `seed` and `title`.

    A row without `file` is named by its number. Raises ValueError, with the line, for a table
    without `text`, an unknown column, an empty text, two rows of one file, a file outside the
    folder, and a value out of range.
    """
    try:
        lines = source.read_bytes().decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: is not UTF-8 text (byte {error.start})") from error
    reader = csv.DictReader(lines)
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    unknown = [name for name in columns if name not in _COLUMNS]
    if "text" not in columns or unknown:
        raise ValueError(
            f"{source}: its columns are {', '.join(columns) or 'none'}; "
            f"expected text, and if wanted {', '.join(_COLUMNS[1:])}"
        )
    items: list[Item] = []
    seen: set[Path] = set()
    for row in reader:
        try:
            item = _row(row, len(items) + 1, folder, manner, kind)
            if item.output in seen:
                raise ValueError(f"{item.output.name} is named twice")
        except ValueError as error:
            raise ValueError(f"{source}: line {reader.line_num}: {error}") from None
        seen.add(item.output)
        items.append(item)
    if not items:
        raise ValueError(f"{source}: has no rows")
    return items


def _row(row: dict[Any, Any], number: int, folder: Path, manner: Manner, kind: str) -> Item:
    if None in row or any(value is None for value in row.values()):
        raise ValueError("has another number of columns than the header")
    given = {name: value.strip() for name, value in row.items() if value.strip()}
    if "text" not in given:
        raise ValueError("has no text")
    for name, read in (("rate", float), ("pitch", float), ("seed", int), ("speaker", str)):
        if name in given:
            try:
                manner = replace(manner, **{name: read(given[name])})
            except ValueError as error:
                raise ValueError(f"{name} {given[name]!a}: {error}") from None
    name = given.get("file", f"{number:03}")
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"file {name!a} lies outside the folder")
    if path.suffix[1:].lower() not in FORMATS:
        path = path.with_name(f"{path.name}.{kind}")
    tags = {"title": given["title"]} if "title" in given else {}
    return Item(folder / path, given["text"], manner, tags)


def _as_name(text: str) -> str:
    """Return a text as the name of a file on any system."""
    plain = unicodedata.normalize("NFC", text)
    safe = re.sub(r'[\x00-\x1f<>:"/\\|?*]+', " ", plain)
    return " ".join(safe.split())[:_LONGEST_NAME].rstrip(". ")


def is_done(reader: Reader, item: Item, times: str | None) -> bool:
    """Return whether an item was spoken before, by the same voice, in the same manner."""
    sidecar = item.output.with_name(f"{item.output.name}.json")
    files = [item.output, sidecar]
    if times:
        files.append(_times_of(item, times))
    if not all(file.is_file() for file in files):
        return False
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    wanted = reader.record(item.text, item.manner)
    return isinstance(found, dict) and json.loads(json.dumps(wanted)).items() <= found.items()


def _times_of(item: Item, suffix: str) -> Path:
    return item.output.with_name(f"{item.output.name}{suffix}")


def speak_item(
    reader: Reader, item: Item, *, overwrite: bool, times: str | None, progress: Progress
) -> Outcome:
    """Speak one item, with the times in a file of the suffix `times` beside it.

    Raises ValueError and OSError as `Reader.speak` does.
    """
    item.output.parent.mkdir(parents=True, exist_ok=True)
    return reader.speak(
        item.output, item.text, item.manner, overwrite=overwrite, tags=item.tags,
        times=_times_of(item, times) if times else None, progress=progress,
    )  # fmt: skip
