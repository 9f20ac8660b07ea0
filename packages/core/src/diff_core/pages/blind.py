"""Blind tests as folders: a page for people, items under names that say nothing, and the key.

A test is written into FOLDER/test, which people get, and FOLDER/key.json, which they do not. The
page extends the template `blind.html`: it asks for a name, shows the trials in an order that is
drawn for each person, and gives a file of answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from diff_core.files import replacing
from diff_core.pages import write_page

__all__ = ["KEY", "PAGE", "answers_to", "read_key", "token", "write_test"]

PAGE, KEY = "index.html", "key.json"
"""The page for people, and the file that says what is what, which they do not get."""


def token(*words: object) -> str:
    """Return a name of 12 hexadecimal digits that says nothing of the words, JSON values."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]


def write_test(
    folder: Path,
    package: str,
    template: str,
    trials: Sequence[Mapping[str, Any]],
    key: Mapping[str, Any],
    **values: object,
) -> str:
    """Write the page and the key of a test; return the test's number, which answers repeat.

    package, template: of the page, as `diff_core.pages.write_page` takes them
    trials: what the page gets of each trial, under "trial" its name
    key:    what is held of each trial, by its name
    values: of the template

    Raises OSError where they cannot be written.
    """
    test = hashlib.sha256(json.dumps([trials, key]).encode()).hexdigest()[:12]
    with replacing(folder / KEY) as temporary:
        temporary.write_text(json.dumps({"test": test, "trials": key}, indent=1))
    write_page(folder / "test" / PAGE, package, template, test=test, trials=trials, **values)
    return test


def read_key(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the number of a test and what its key holds of each trial.

    Raises ValueError, with the file, for what is no key, OSError where it cannot be read.
    """
    held = _json(path)
    trials = held.get("trials")
    if not isinstance(trials, dict) or not isinstance(held.get("test"), str):
        raise ValueError(f"{path}: is no key of a blind test")
    return held["test"], cast("dict[str, Any]", trials)


def answers_to(
    key: Path, answers: Sequence[Path], person: str
) -> Iterator[tuple[Path, str, list[dict[str, Any]]]]:
    """Yield the file, the name of who answered, and the rows of the trials, of each file.

    person: the word for who answers, as the page has it: "listener"

    Raises ValueError, with the file, for what is no answer to the test and for a person who
    answers twice.
    """
    test, _ = read_key(key)
    found: set[str] = set()
    for path in answers:
        given = _json(path)
        name, rows = given.get(person), given.get("trials")
        if given.get("test") != test or not isinstance(name, str):
            raise ValueError(f"{path}: holds no answers to the test of {key}")
        if name in found:
            raise ValueError(f"{path}: {name!a} has answered already; give one file for each")
        found.add(name)
        rows = rows if isinstance(rows, list) else []
        yield path, name, [row if isinstance(row, dict) else {} for row in rows]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is no JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: is no JSON of a blind test")
    return found
