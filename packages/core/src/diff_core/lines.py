"""Lines for terminals, logs and tables, in which no file name does harm.

A file that somebody else has named may have line ends, control characters of terminals, marks of
direction, and bytes that are no text in its name.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO
from unicodedata import category

__all__ = ["cell", "log_lines", "print_line", "printable"]


def printable(text: str) -> str:
    """Return a text as one line: characters that are not shown become escapes, as in `\\n`."""
    return "".join(c if c.isprintable() or category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def cell(text: str) -> str:
    """Return a text for a cell of a CSV file, `printable` and no formula of a spreadsheet.

    A text that begins like a formula gets an apostrophe before it.
    """
    shown = printable(text)
    return f"'{shown}" if shown.lstrip()[:1] in tuple("=+-@") else shown


def print_line(line: str, file: TextIO | None = None) -> None:
    """Print a line, `printable`, in one write: lines of several processes do not mix.

    file: standard output unless given
    """
    stream = file or sys.stdout
    # print writes the end by itself where a stream is not buffered
    stream.write(f"{printable(line)}\n")
    stream.flush()


class _Formatter(logging.Formatter):
    """One line for each record; a traceback, where one is asked for, stays as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))


def log_lines(prefix: str) -> None:
    """Send warnings of the log to standard error, one line each, after `prefix` and a colon."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(f"{prefix.replace('%', '%%')}: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
