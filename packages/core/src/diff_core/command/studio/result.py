"""The page about a result that has no report of its own: players, pictures and facts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from diff_core.pages import write_page

__all__ = ["picture_uri", "write_result"]


def write_result(
    path: Path,
    title: str,
    notice: str,
    *,
    sounds: Mapping[str, str] | None = None,
    pictures: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    dark: bool = False,
) -> None:
    """Write a page, whole or not at all.

    notice:           what everyone must know of the result: that it is synthetic
    sounds, pictures: data URIs by their name on the page
    facts:            a table
    notes:            warnings
    """
    write_page(
        path, "diff_core.command.studio", "result.html", title=title,
        theme="dark" if dark else "auto", notice=notice, sounds=sounds or {},
        pictures=pictures or {}, facts=facts or {}, notes=notes,
    )  # fmt: skip


def picture_uri(path: Path) -> str:
    """Return a PNG as a data URI."""
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
