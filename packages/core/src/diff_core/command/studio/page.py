"""The words of a page and of the tools on it, and what does their work."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from diff_core.command.studio.field import Field
from diff_core.command.studio.tasks import Choices, Made
from diff_core.progress import Progress

__all__ = ["Page", "Tool"]

MOST_TEXT = 100_000
"""The most characters of a text."""


@dataclass(frozen=True)
class Tool:
    """A command on a page: its words, its options, its model and its work.

    name:      of the command: "denoise"
    label:     the name on the page: "Denoise"
    about:     what it does, in one or two sentences
    action:    what the button says
    load:      reads the model from a file, None for the one that comes with the package, onto a
               device ("auto", "cpu", ...); raises ValueError for a file that is not its model's
    work:      makes the result of an upload, see `diff_core.command.studio.tasks.Work`
    drop:      what to drop, "a recording"; "" for a tool that takes no file
    suffixes:  names that are taken, lower case, with the dot
    unread:    why others are not, by their suffix: ".m4a files are " goes before the reason
    text:      what to type; "" for a tool that takes no text
    qualities: what each means, by name; that called "default" is chosen. Empty: no choice
    amount:    what the slider is called; "" for none
    fields:    further options
    main:      how many of the fields are shown at once; the others are under "More options"
    is_there:  whether its model comes with the package; without one it is shown where the user
               names weights that it can read
    """

    name: str
    label: str
    about: str
    action: str
    load: Callable[[Path | None, str], Any]
    work: Callable[[Any, Path, Choices, Progress], Made]
    drop: str = ""
    suffixes: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    qualities: Mapping[str, str] = field(default_factory=dict[str, str])
    amount: str = ""
    fields: tuple[Field, ...] = ()
    main: int = 0
    is_there: bool = True

    @property
    def takes(self) -> Literal["file", "text", "nothing"]:
        """Return what the tool works on."""
        return "file" if self.drop else "text" if self.text else "nothing"

    def title(self, source: Path) -> str:
        """Return the name of an upload on the page: that of a file, the first words of a text."""
        if self.takes == "file":
            return source.name
        if self.takes == "nothing":
            return self.label
        with source.open(encoding="utf-8", errors="replace") as file:
            words = " ".join(file.read(200).split())
        return words if len(words) < 60 else f"{words[:59]}…"

    def file_name(self, given: str) -> str:
        """Return the name for an upload that its sender calls `given`, without folders.

        Raises ValueError where a file of this name is not taken.
        """
        if self.takes != "file":
            return f"{self.name}.txt"
        name = re.sub(r'[<>:"|?*]', "_", given.replace("\\", "/").rpartition("/")[2])
        name = "".join(c if c.isprintable() else "_" for c in name).strip()
        if reason := self.refusal(name):
            raise ValueError(reason)
        return name

    def refusal(self, name: str) -> str:
        """Return the reason why a file of this name is not taken, "" for one that is."""
        lower = name.lower()
        if lower.endswith(self.suffixes) and not lower.startswith("."):
            return ""
        for suffix, why in self.unread.items():
            if lower.endswith(suffix):
                return f"{suffix} files are {why}"
        return f"this is not {self.drop}; files end with {', '.join(self.suffixes)}"

    def check(self, source: Path) -> None:
        """Raise ValueError for an upload that is empty, or is no text where one is expected."""
        if self.takes == "file" and source.stat().st_size == 0:
            raise ValueError("the file is empty (0 bytes)")
        if self.takes == "text":
            if source.stat().st_size > 4 * MOST_TEXT:  # bytes: UTF-8 has at most 4 a character
                raise ValueError(f"the text has more than {MOST_TEXT} characters; send a part")
            try:
                text = source.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"the text is not UTF-8 (byte {error.start})") from error
            if not text.strip():
                raise ValueError("the text is empty; type what to speak")
            if len(text) > MOST_TEXT:
                raise ValueError(f"the text has more than {MOST_TEXT} characters; send a part")


@dataclass(frozen=True)
class Page:
    """A page of tools.

    title, about: head of the page
    tools:        at least one; the page begins with the first
    dark:         dark whatever the system prefers, for scans
    """

    title: str
    about: str
    tools: tuple[Tool, ...]
    dark: bool = False

    def find(self, name: str) -> Tool:
        """Return a tool by its name, the first for "". Raises ValueError for another name."""
        for tool in self.tools:
            if name in (tool.name, ""):
                return tool
        known = ", ".join(tool.name for tool in self.tools)
        raise ValueError(f"tool is {name!r}; expected one of {known}")
