"""The files in a folder or of a pattern, and what is left out of them and why."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from diff_core.command.failures import Failures

__all__ = ["Found", "Kind", "report_unread", "search_folder", "search_pattern"]

_SUBFOLDERS = "add --recursive to search them"
_LINKED = "links are not followed; name the folders"
_FOLDERS = "a pattern takes files; name the folders"
_NO_FILES = "links to nothing, folders or pipes, and no files"
_OUTPUTS = "outputs of this command; give them by name to take them"


class Kind(Protocol):
    """A kind of files, as `diff_core.command.FileKind` is one."""

    @property
    def unread(self) -> Mapping[str, str]: ...

    def matches(self, path: Path) -> bool: ...

    def takes(self, path: Path) -> bool: ...

    def unread_suffix(self, path: Path) -> str | None: ...


@dataclass
class Found:
    """The result of a search.

    files:   the files to take, sorted
    left:    how many of each kind were left out, by the reason
    outputs: how many earlier outputs of the command were left out
    """

    files: list[Path] = field(default_factory=list[Path])
    left: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    outputs: int = 0

    def leave(self, what: str, why: str, count: int = 1) -> None:
        """Count something that is left out."""
        if count:
            self.left.setdefault(why, Counter())[what] += count

    def report(self, given: str, failures: Failures) -> None:
        """Print one line for each reason."""
        for why, counts in sorted(self.left.items()):
            failures.leave_out(given, [_counted(*one) for one in sorted(counts.items())], why)
        if self.outputs:
            failures.warn(given, f"left out: {_counted('file', self.outputs)} ({_OUTPUTS})")


def search_folder(
    folder: Path,
    kind: Kind,
    failures: Failures,
    *,
    recursive: bool,
    skip: Callable[[Path], bool],
) -> Found:
    """Search a folder for files of a kind; hidden files and folders are no part of it.

    A folder that cannot be listed is a failure.
    """
    found = Found()
    for root, folders, names in os.walk(folder, onerror=lambda e: _unlisted(e, failures)):
        here = Path(root)
        visible = sorted(name for name in folders if not name.startswith("."))
        folders[:] = visible if recursive else []
        for name in visible:
            below = here / name
            if skip(below):
                continue
            if recursive and below.is_symlink():
                found.leave("linked folder", _LINKED)
            elif not recursive and _holds(below, kind, skip):
                found.leave("subfolder", _SUBFOLDERS)
        for name in names:
            if not name.startswith("."):
                _sort(here / name, kind, skip, found)
    found.files.sort()
    return found


def report_unread(folder: Path, kind: Kind, failures: Failures) -> None:
    """Print what a search of a folder and its subfolders for files of a kind leaves out, in one
    line for each reason.
    """
    found = search_folder(folder, kind, failures, recursive=True, skip=lambda _path: False)
    found.report(str(folder), failures)


def search_pattern(pattern: str, skip: Callable[[Path], bool]) -> Found:
    """Return the files that match a pattern, whatever their kind."""
    found = Found()
    for name in sorted(glob.glob(pattern, recursive=True)):
        path = Path(name)
        if path.is_dir():
            # ** and * match the folders on the way to files
            found.leave("folder", _FOLDERS, count=int("**" not in pattern))
        elif not path.is_file():
            found.leave(path.suffix or "file", _NO_FILES)
        elif skip(path):
            found.outputs += 1
        else:
            found.files.append(path)
    return found


def _sort(path: Path, kind: Kind, skip: Callable[[Path], bool], found: Found) -> None:
    """Take a file, or count it where it is one that the user may miss."""
    if kind.matches(path):
        if not path.is_file():
            found.leave(path.suffix or "file", _NO_FILES)
        elif skip(path):
            found.outputs += 1
        else:
            found.files.append(path)
    elif (suffix := kind.unread_suffix(path)) is not None:
        found.leave(suffix, kind.unread[suffix])


def _counted(what: str, count: int) -> str:
    plural = "s" if count > 1 and not what.startswith(".") else ""
    return f"{count} {what}{plural}"


def _holds(folder: Path, kind: Kind, skip: Callable[[Path], bool]) -> bool:
    """Return whether files to take lie in a folder itself."""
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return False
    return any(kind.takes(path) and path.is_file() and not skip(path) for path in files)


def _unlisted(error: OSError, failures: Failures) -> None:
    failures.add(str(error.filename), f"{error.strerror}; check its permissions")
