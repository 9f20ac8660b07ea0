"""Faults, reported in one line each."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Sequence

from diff_core.command.naming import as_options
from diff_core.command.remote import as_given
from diff_core.command.team import is_first
from diff_core.lines import print_line

__all__ = ["Failures", "explain"]


def explain(fault: BaseException) -> str:
    """Return one line: what went wrong and, where that is known, what to do.

    Arguments of the library are named as options of the running command (`as_options`).
    """
    if isinstance(fault, MemoryError):
        return "out of memory; close other programs, or use a smaller input"
    if isinstance(fault, OSError) and fault.strerror:
        where = f" ({fault.filename})" if fault.filename else ""
        remedy = "choose another folder with -o, or check permissions and free space"
        if fault.errno == errno.ENAMETOOLONG:
            remedy = "choose a shorter name with -o"
        return f"{fault.strerror}{where}; {remedy}"
    text = " ".join(str(fault).split())
    if isinstance(fault, ValueError | OSError | RuntimeError):
        return as_options(text) or type(fault).__name__
    return f"unexpected {type(fault).__name__}: {text}; run again with --debug and report it"


class Failures:
    """The inputs that failed, each reported in one line on standard error as it happens.

    Of several processes that a launcher started, only the first reports and counts what they all
    see alike, until they `speak` of their own work.
    """

    def __init__(self, command: str, *, debug: bool = False, strict: bool = False) -> None:
        """strict: whether what a folder or pattern leaves out makes the exit code 1."""
        self.command, self.debug, self.strict = command, debug, strict
        self.names: list[str] = []
        self.texts: dict[str, str] = {}
        self._is_short = False
        self._silent = not is_first()

    def speak(self) -> None:
        """From here on each process works on inputs of its own."""
        if self._silent:
            self._silent, self.names = False, []

    def add(self, name: str, fault: BaseException | str) -> str:
        """Report `fault`, with a traceback if `debug`, and return its text."""
        text = fault if isinstance(fault, str) else explain(fault)
        if self.debug and isinstance(fault, BaseException):
            traceback.print_exception(fault)
        text = text.removeprefix(f"{name}: ")
        self.warn(name, text)
        self.names.append(name)
        self.texts[name] = text
        return text

    def warn(self, name: str, text: str) -> None:
        """Report something that the user should know and that is no failure."""
        self._say(f"{name}: {text}")

    def leave_out(self, name: str, what: Sequence[str], why: str) -> None:
        """Report what was left out of a folder or pattern, in one line: "3 .m4a", "1 subfolder".

        With `strict` the command then ends with exit code 1.
        """
        self.warn(name, f"left out: {', '.join(what)} ({why})")
        self._is_short = True

    def finish(self, total: int) -> int:
        """The exit code; with several inputs also the list of those that failed."""
        if self.names and total > 1:
            failed = f"{len(self.names)} of {total} failed"
            self._say(f"{failed}: {', '.join(self.names)}")
        return 1 if self.names or (self.strict and self._is_short) else 0

    def _say(self, text: str) -> None:
        if not self._silent:
            print_line(f"{self.command}: {as_given(text)}", sys.stderr)
