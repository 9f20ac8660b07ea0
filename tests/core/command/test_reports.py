"""The pages of a run: which file or folder, and what the index keeps over several runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from diff_core.command import Failures, Job, process
from diff_core.command.reports import Reports
from diff_core.command.shard import Shard
from diff_core.pages.index import read_entries


@dataclass
class Done:
    output: str


def jobs(folder: Path, *names: str) -> list[Job]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return [Job(folder / name, folder / "out" / name) for name in names]


def run(given: list[Job], pages: Path, *, fault: str = "", shard: Shard | None = None) -> int:
    """Copy each input and write its page; an input of that name fails."""
    reports = Reports(pages, given, title="Study")

    def do(job: Job, _advance: object) -> Done:
        if job.target.exists():
            raise FileExistsError(f"the output {job.target} exists")
        if job.source.name == fault:
            raise ValueError("is damaged")
        page, picture = reports.files(job)
        assert page is not None
        page.write_text("page")
        job.target.write_text("done")
        reports.describe(job, {"Has picture": str(picture is not None)})
        return Done(str(job.target))

    return process(
        given, do, Failures("test"), line=str, warnings=lambda _: ["a note"], quiet=True,
        as_json=False, shard=shard, reports=reports,
    )  # fmt: skip


def test_one_page_for_one_input_and_nothing_else(tmp_path: Path) -> None:
    given = jobs(tmp_path, "a.txt")
    assert run(given, tmp_path / "p/page.html") == 0
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["page.html"]


def test_shards_leave_one_index_of_all(tmp_path: Path) -> None:
    given = jobs(tmp_path, "x/a.txt", "x/b.txt", "y/a.txt")
    for index in (1, 2):
        assert run(given, tmp_path / "p", fault="b.txt", shard=Shard(index, 2)) == int(index == 2)
    entries = read_entries(tmp_path / "p")
    assert [entry.state for entry in entries] == ["done", "failed", "done"]
    assert [entry.page for entry in entries] == ["x/a.txt.html", None, "y/a.txt.html"]
    assert entries[0].notes == ("a note",) and entries[1].error == "is damaged"
    assert "2 done, 1 failed" in (tmp_path / "p/index.html").read_text()


def test_outputs_that_exist_leave_their_rows_and_a_mended_input_gets_one(tmp_path: Path) -> None:
    given = jobs(tmp_path, "a.txt", "b.txt")
    assert run(given, tmp_path / "p", fault="b.txt") == 1
    first = read_entries(tmp_path / "p")[0]
    assert run(given, tmp_path / "p") == 1  # a.txt exists
    entries = read_entries(tmp_path / "p")
    assert entries[0] == first and [entry.state for entry in entries] == ["done", "done"]


def test_names_that_cannot_be(tmp_path: Path) -> None:
    given = jobs(tmp_path, "a.txt", "b.txt")
    with pytest.raises(typer.BadParameter, match="is one page, but several"):
        Reports(tmp_path / "p.html", given)
    (tmp_path / "p").write_text("precious")
    with pytest.raises(typer.BadParameter, match="is a file"):
        Reports(tmp_path / "p", given)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<h1>My site</h1>")
    with pytest.raises(typer.BadParameter, match="no index of pages"):
        Reports(tmp_path / "site", given)
