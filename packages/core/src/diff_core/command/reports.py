"""The pages that a command writes about its inputs: one file, or a folder with an index."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from diff_core.command.inputs import Job
from diff_core.command.remote import as_given
from diff_core.pages.index import (
    Entry,
    is_foreign,
    read_entry,
    record_path,
    write_entry,
    write_index,
)

__all__ = ["Reports"]

PAGES = (".html", ".htm")


class Reports:
    """The pages of one run, `path` of the option --report; None for none.

    For one input, `path` is its page. For several, or where `path` is a folder or has no ending,
    it is a folder: each page has there the name of its output, below `output` where that is a
    folder, else below the folder that all outputs share. Every run rebuilds the index from the
    records of all runs.

    title:  of the index; theme: "auto" or "dark"
    groups: returns where an input belongs: {"Subject": "01"}

    Raises typer.BadParameter for one page of several inputs, a folder that is a file, and a folder
    with an index.html of another origin.
    """

    def __init__(
        self,
        path: Path | None = None,
        jobs: Sequence[Job] = (),
        output: Path | None = None,
        *,
        title: str = "",
        theme: str = "auto",
        groups: Callable[[Path], Mapping[str, str]] = lambda _path: {},
    ) -> None:
        self.title, self.theme, self._groups = title, theme, groups
        self._page = self._folder = None
        self._told: dict[Path, tuple[dict[str, float | str | None], str]] = {}
        self._fault: OSError | None = None
        if path is None or not jobs:
            return
        is_page = path.suffix.lower() in PAGES and not path.is_dir()
        if is_page and len(jobs) > 1:
            raise typer.BadParameter(
                f"--report {path} is one page, but several inputs are given; name a folder"
            )
        if is_page or (len(jobs) == 1 and path.suffix and not path.is_dir()):
            self._page = path
            return
        if path.exists() and not path.is_dir():
            raise typer.BadParameter(f"--report {path} is a file; name a folder")
        if path.is_dir() and is_foreign(path):
            raise typer.BadParameter(
                f"--report {path}: index.html there is no index of pages; name another folder"
            )
        self._folder = path
        targets = [job.target.absolute() for job in jobs]
        root = output.absolute() if output is not None and len(targets) > 1 else targets[0].parent
        if any(root not in target.parents for target in targets):
            root = Path(os.path.commonpath([target.parent for target in targets]))
        self._root = root

    @property
    def page_alone(self) -> Path | None:
        """The page of the only input, None for a folder or no pages."""
        return self._page

    @property
    def folder(self) -> Path | None:
        """The folder of all pages, for what they share; None for no pages."""
        return self._folder if self._page is None else self._page.parent

    def files(self, job: Job) -> tuple[Path | None, Path | None]:
        """Return the page of an input and its small picture, which needs an index; make the
        folder of the page.
        """
        page, picture = self._page, None
        if self._folder is not None:
            page = self._folder / f"{self._place(job)}.html"
            picture = record_path(self._folder, self._place(job), ".jpg")
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
        return page, picture

    def describe(
        self, job: Job, values: Mapping[str, float | str | None], *, mark: str = ""
    ) -> None:
        """Take the main numbers of an input for the index; see `Entry`."""
        self._told[job.target] = dict(values), mark

    def done(self, job: Job, seconds: float, notes: Sequence[str]) -> None:
        """Record that an input is done."""
        values, mark = self._told.pop(job.target, ({}, ""))
        notes = tuple(map(as_given, notes))
        self._write(job, Entry("", "", "done", 0, seconds, values=values, notes=notes, mark=mark))

    def skipped(self, job: Job) -> None:
        """Record that the output of an input was there, unless an earlier run has recorded it."""
        self._write(job, Entry("", "", "skipped", 0), anew=False)

    def failed(self, job: Job, seconds: float, error: str, *, exists: bool) -> None:
        """Record a failure; one because outputs exist leaves the record of an earlier run."""
        self._told.pop(job.target, None)
        error = as_given(error)
        self._write(job, Entry("", "", "failed", 0, seconds, error=error), anew=not exists)

    def unread(self, name: str, error: str) -> None:
        """Record the failure of an input that has no output."""
        if self._folder is None:
            return
        place = f"failed/{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
        entry = Entry(as_given(name), None, "failed", time.time(), error=as_given(error))
        self._save(place, entry)

    def finish(self) -> None:
        """Write the index. Raises OSError where it or a record could not be written."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_index(self._folder, self.title, theme=self.theme)
        if self._fault is not None:
            raise self._fault

    def _place(self, job: Job) -> str:
        return job.target.absolute().relative_to(self._root).as_posix()

    def _write(self, job: Job, entry: Entry, *, anew: bool = True) -> None:
        """Write what is known of an input; not `anew`: only where no run has recorded a page."""
        if self._folder is None:
            return
        place = self._place(job)
        old = read_entry(record_path(self._folder, place))
        if not anew and old is not None and old.state == "done":
            return
        has_picture = entry.state == "done" and record_path(self._folder, place, ".jpg").exists()
        entry = replace(
            entry,
            input=as_given(str(job.source)),
            output=as_given(str(job.target)),
            when=time.time(),
            page=f"{place}.html" if (self._folder / f"{place}.html").exists() else None,
            picture=f"index/{place}.jpg" if has_picture else None,
            groups=dict(self._groups(job.source)),
        )
        self._save(place, entry)

    def _save(self, place: str, entry: Entry) -> None:
        assert self._folder is not None
        try:
            write_entry(self._folder, place, entry)
        except OSError as fault:  # is reported in the end; the work goes on
            self._fault = fault
