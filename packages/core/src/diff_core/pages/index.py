"""An index of pages: one row for each input of a study, read from small records beside the pages.

A folder of pages holds index.html, the pages, and in the folder `index` a record (JSON) and a
picture (JPEG) for each page. Every run rebuilds index.html from all records in the folder.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from os import fsencode
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from diff_core.files import replacing, visible_files, write_json, writing
from diff_core.pages import write_page

__all__ = [
    "Entry",
    "is_foreign",
    "read_entry",
    "read_entries",
    "record_path",
    "write_entry",
    "write_index",
    "write_picture",
]

RECORDS, INDEX = "index", "index.html"
KIND = "diff_core page"
MARK = '<meta name="generator" content="diff_core.pages.index">'
COUNTED = {"done": "done", "failed": "failed", "skipped": "left out"}

Value = float | str | None


@dataclass(frozen=True)
class Entry:
    """The record of one input.

    state:   "skipped" where its output was there already
    page:    its page, relative to the folder of the index; None for none
    picture: its small picture, likewise
    groups:  where it belongs, from the widest to the narrowest: {"Subject": "01"}
    values:  the main numbers and words, by the title of their column
    seconds: of wall clock; when: seconds since 1970 at its end
    mark:    a warning that is shown over the picture, such as SYNTHETIC
    """

    input: str
    output: str | None
    state: Literal["done", "failed", "skipped"]
    when: float
    seconds: float = 0.0
    page: str | None = None
    picture: str | None = None
    groups: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    notes: tuple[str, ...] = ()
    error: str | None = None
    mark: str = ""


def record_path(folder: Path, place: str, suffix: str = ".json") -> Path:
    """Return the path of the record (or, by its suffix, the picture) of a page named `place`."""
    return folder / RECORDS / f"{place}{suffix}"


def write_entry(folder: Path, place: str, entry: Entry) -> None:
    """Write a record, in place of an earlier one. Raises OSError."""
    path = record_path(folder, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(overwrite=True):
        write_json(path, {"kind": KIND, **asdict(entry)})


def write_picture(path: Path, jpeg: bytes) -> None:
    """Write the small picture of a page, in place of an earlier one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(overwrite=True), replacing(path) as temporary:
        temporary.write_bytes(jpeg)


def read_entry(path: Path) -> Entry | None:
    """Read a record; None for a file that is missing or something else."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("kind") == KIND:
            found["notes"] = tuple(found["notes"])
            return Entry(**found)
    return None


def read_entries(folder: Path) -> list[Entry]:
    """Read all records of a folder, by the name of the input.

    An input that was not found, and later was, counts once.
    """
    records = folder / RECORDS
    paths = [path for path in visible_files(records) if path.suffix == ".json"]
    entries = [entry for path in paths if (entry := read_entry(path)) is not None]
    found = {entry.input for entry in entries if entry.output is not None}
    kept = [entry for entry in entries if entry.output is not None or entry.input not in found]
    return sorted(kept, key=lambda entry: (entry.input, entry.output or ""))


def is_foreign(folder: Path) -> bool:
    """Return whether the folder has an index.html that is not an index of pages."""
    path = folder / INDEX
    return path.exists() and MARK.encode() not in path.read_bytes()[:4096]


def write_index(folder: Path, title: str, *, theme: str = "auto") -> Path:
    """Write index.html from all records of the folder and return its path.

    A record that another process adds meanwhile is in the index too: the last of several processes
    leaves a complete one. Raises OSError where it cannot be written.
    """
    path = folder / INDEX
    shown: list[Entry] | None = None
    while (entries := read_entries(folder)) != shown:
        columns = _columns(entry.values for entry in entries)
        with writing(overwrite=True):
            write_page(
                path, "diff_core.pages", "index.html", title=title, theme=theme,
                cards=_cards(entries, columns), failed=[e for e in entries if e.error],
                groups=_columns(entry.groups for entry in entries), columns=columns,
                rows=entries, link=_link, shown=_shown, counted=COUNTED,
                numeric={name for name in columns if _numbers(entries, name)},
            )  # fmt: skip
        shown = entries
    return path


def _columns(given: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the keys of several mappings, in the order in which they first appear."""
    found: dict[str, None] = {}
    for one in given:
        found |= dict.fromkeys(one)
    return list(found)


def _numbers(entries: Sequence[Entry], column: str) -> list[float]:
    values = [entry.values.get(column) for entry in entries if entry.state == "done"]
    return [value for value in values if isinstance(value, int | float)]


def _cards(entries: Sequence[Entry], columns: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return the name, value and text of each number on the whole study."""
    states = [entry.state for entry in entries]
    text = ", ".join(f"{states.count(s)} {w}" for s, w in COUNTED.items() if s in states)
    cards = [("Inputs", str(len(entries)), text)]
    groups = _columns(entry.groups for entry in entries)
    for depth, name in enumerate(groups, 1):
        # session 1 of one subject is not session 1 of another
        keys = {
            tuple(e.groups.get(g) for g in groups[:depth]) for e in entries if name in e.groups
        }
        cards.append((f"{name}s", str(len(keys)), ""))
    seconds = [entry.seconds for entry in entries if entry.state == "done"]
    if seconds:
        cards.append(
            ("Time", f"{sum(seconds):.1f} s", f"median {statistics.median(seconds):.1f} s")
        )
    for column in columns:
        if numbers := _numbers(entries, column):
            median = _shown(statistics.median(numbers))
            cards.append((column, median, f"median of {len(numbers)}"))
    return cards


def _shown(value: Value) -> str:
    """Return a value as the table shows it."""
    if isinstance(value, str) or value is None:
        return value or ""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _link(path: str) -> str:
    """Return the address of a file, relative to the index; names may hold any bytes."""
    return quote(fsencode(path))
