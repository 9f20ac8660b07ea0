"""The pages of the repository and the blocks of code in them."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

__all__ = ["PAGES", "ROOT", "Block", "blocks", "called", "command", "home", "lines"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "packages", ROOT / "examples")
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
    if path.name != "CHANGELOG.md"
)

FENCED = re.compile(
    r"^```(\w*)[^\n]*\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """language: as written after the three ticks; "" where nothing is
    output:   the block of the language `text` right below it, if there is one
    """

    language: str
    text: str
    line: int
    output: str | None


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in their order, of these languages or of all."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(FENCED, text)
    every = [Block(m[1], m[2], text[: m.start()].count("\n") + 2, m[3]) for m in found]
    return [block for block in every if not languages or block.language in languages]


def lines(block: str) -> Iterator[list[str]]:
    """The words of each command, which a backslash or an open quotation continues."""
    line = ""
    for part in block.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line := line + part, comments=True)
        except ValueError:
            line += "\n"
        else:
            if words:
                yield words
            line = ""


def called(words: list[str]) -> tuple[str, list[str]] | None:
    """(module, its arguments) if these words call a command of ours, under a launcher or not."""
    for place, word in enumerate(words):
        if re.fullmatch(r"diff_(audio|medical)(\.\w+)*", word) and words[place - 1] == "-m":
            return word, words[place + 1 :]
    if re.fullmatch(r"(\S*/)?diff-(audio|medical)", words[0]):
        return Path(words[0]).name.replace("-", "_"), words[1:]
    return None


def home(module: str) -> ModuleType:
    """Where `python -m` begins."""
    found = importlib.import_module(module)
    return importlib.import_module(f"{module}.__main__") if hasattr(found, "__path__") else found


def command(module: str, words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words reach, through groups, and what is left of them."""
    found: Any = typer.main.get_command(home(module).app)
    while words and words[0] in (inside := getattr(found, "commands", {})):
        found, words = inside[words[0]], words[1:]
    return found, words
