"""Parts of a folder for array jobs, the summary of a run, and addresses of fsspec."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import fsspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from diff_core.command import App, Failures, FileKind, Job, options, process, run
from diff_core.command.shard import Shard, parse_shard
from diff_core.files import replacing

KIND = FileKind("text files", (".txt",))
app = App()


@dataclasses.dataclass
class Copied:
    input: str
    output: str


@app.command(remote=True)
def copy(
    inputs: list[str],
    output: Annotated[Path | None, typer.Option("-o", "--output")] = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    shard: options.ShardOf = None,
    summary: options.SummaryFile = None,
    picture: Path | None = None,
    as_json: options.Json = False,
) -> int:
    """Copy texts in capitals; a text that begins with "bad" fails, and one with "!" has a note."""
    failures = Failures("copy")
    skip = KIND.products(inputs, output, ("_copy",))
    sources = KIND.expand(inputs, failures, recursive=recursive, skip=skip)
    jobs = KIND.plan(sources, output, "_copy", failures)
    if not jobs:
        return failures.finish(len(failures.names))

    def do(job: Job, _advance: object) -> Copied:
        text = job.source.read_text()
        if text.startswith("bad"):
            raise ValueError("the text is bad")
        with replacing(job.target) as temporary:
            temporary.write_text(text.upper())
        return Copied(str(job.source), str(job.target))

    def notes(outcome: Copied) -> list[str]:
        return ["it is loud"] if "!" in Path(outcome.output).read_text() else []

    return process(
        jobs, do, failures, line=lambda done: f"{done.input} -> {done.output}", warnings=notes,
        quiet=False, as_json=as_json, skip_existing=skip_existing, shard=shard, summary=summary,
    )  # fmt: skip


def main(*words: str) -> int:
    return run(app, "copy", list(words))


@given(st.lists(st.text("abc/.0", min_size=1), unique=True), st.integers(1, 9), st.randoms())
def test_parts_are_a_partition_that_depends_on_names_alone(names, count, shuffle):
    jobs = [Job(Path(name), Path(f"{name}.out")) for name in {str(Path(n)): n for n in names}]
    mixed = list(jobs)
    shuffle.shuffle(mixed)
    parts = [Shard(index, count).of(jobs) for index in range(1, count + 1)]
    assert parts == [Shard(index, count).of(mixed) for index in range(1, count + 1)]
    assert sorted((job for part in parts for job in part), key=str) == sorted(jobs, key=str)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/2", "1/2/3", "a/b", " 1/2", ""])
def test_what_is_no_part_is_wrong_usage(text, tmp_path, capsys):
    with pytest.raises(typer.BadParameter, match="I/N"):
        parse_shard(text)
    (tmp_path / "a.txt").write_text("a")
    assert main(str(tmp_path), f"--shard={text}") == 2
    assert "--shard" in capsys.readouterr().err and len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def folder(tmp_path):
    for name, text in {"a": "one", "b": "bad", "c": "three!", "d": "four", "e": "five"}.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.txt").write_text(text)
    return tmp_path


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_array_jobs_do_each_file_once_and_say_so_in_lines(folder):
    out, lines = folder / "out", folder / "run.jsonl"
    words = [str(folder / "in"), "-o", str(out), "--summary", str(lines)]
    codes = [main(*words, "--shard", f"{part}/3") for part in (1, 2, 3)]
    assert codes == [0, 1, 0]  # a and d, b and e, c
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "c.txt", "d.txt", "e.txt"]
    found = {Path(row["input"]).stem: row for row in rows(lines)}
    assert len(rows(lines)) == len(found) == 5
    assert all(list(row) == ["input", "output", "seconds", "notes", "error", "skipped"]
               for row in found.values())  # fmt: skip
    assert found["b"]["error"] == "the text is bad" and found["b"]["output"] is None
    assert found["c"]["notes"] == ["it is loud"] and found["c"]["error"] is None
    assert found["a"]["output"] == str(out / "a.txt") and 0 <= found["a"]["seconds"] < 60
    # a requeued task adds what it skips, after a line that a kill cut short
    lines.write_text(lines.read_text() + '{"input": "ha')
    assert main(*words, "--shard", "1/3", "--skip-existing") == 0
    again = lines.read_text().splitlines()[6:]
    assert [json.loads(line)["skipped"] for line in again] == [True, True]


def test_a_failure_before_the_work_is_the_first_part_s(folder, capsys):
    lines = folder / "run.jsonl"
    words = [str(folder / "in" / "a.txt"), str(folder / "none*.txt"), "--summary", str(lines)]
    assert main(*words, "--shard", "2/2") == 0
    assert main(*words, "--shard", "1/2") == 1
    found = rows(lines)
    assert [row["error"] for row in found if row["input"].endswith("none*.txt")] == [
        "no file matches this pattern; check it"
    ]
    assert len(found) == 2


def test_a_file_that_is_no_summary_is_kept(folder, capsys):
    path = folder / "in" / "e.txt"
    assert main(str(folder / "in"), "--summary", str(path)) == 1
    assert "is no summary" in capsys.readouterr().err and path.read_text() == "five"
    assert not list(folder.rglob("*_copy.txt"))


@pytest.fixture
def store():
    system = fsspec.filesystem("memory")
    for name, text in {"x": "one", "deep/y": "two!", "z": "bad"}.items():
        system.pipe(f"/box/in/{name}.txt", text.encode())
    yield system
    system.rm("/box", recursive=True)


def texts(system, folder: str) -> dict[str, str]:
    return {path.removeprefix(f"{folder}/"): system.cat(path).decode()
            for path in system.find(folder)}  # fmt: skip


def test_a_folder_at_an_address_comes_back_at_an_address(store, capsys, tmp_path):
    before = texts(store, "/box/in")
    lines = tmp_path / "run.jsonl"
    words = ["memory://box/in", "-o", "memory://box/out", "--recursive", "--summary", str(lines)]
    assert main(*words) == 1
    assert texts(store, "/box/out") == {"x.txt": "ONE", "deep/y.txt": "TWO!"}
    assert texts(store, "/box/in") == before
    out, err = capsys.readouterr()
    assert "memory://box/in/x.txt -> memory://box/out/x.txt" in out
    assert "memory://box/in/z.txt: the text is bad" in err and "/tmp" not in out + err
    assert {row["input"] for row in rows(lines)} == {
        f"memory://box/in/{name}.txt" for name in ("x", "deep/y", "z")
    }


def test_outputs_at_an_address_are_kept_skipped_or_replaced(store, capsys):
    store.pipe("/box/out/x.txt", b"mine")
    words = ["memory://box/in/x.txt", "memory://box/in/deep/*.txt", "-o", "memory://box/out"]
    assert main(*words) == 1
    assert texts(store, "/box/out") == {"x.txt": "mine", "y.txt": "TWO!"}
    assert main(*words, "--skip-existing") == 0
    assert "skipped" in capsys.readouterr().out
    assert main(*words, "--overwrite") == 0
    assert texts(store, "/box/out") == {"x.txt": "ONE", "y.txt": "TWO!"}


def test_without_an_output_results_lie_beside_the_inputs(store):
    assert main("memory://box/in/x.txt") == 0
    assert texts(store, "/box/in")["x_copy.txt"] == "ONE"
    assert main("memory://box/in") == 1  # z is bad; x_copy is an output and no input
    assert "x_copy_copy.txt" not in texts(store, "/box/in")


def test_an_address_that_cannot_be_used_is_one_line(store, capsys, tmp_path):
    assert main("memory://box/none.txt") == 1
    assert "memory://box/none.txt" in capsys.readouterr().err
    assert main(str(tmp_path), "--picture", "memory://box/p.png") == 2
    assert "--picture takes a file of this machine" in capsys.readouterr().err
    assert main("abfs://box/x.txt") == 2  # its library is not installed
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "adlfs" in err


def test_a_path_of_this_machine_that_looks_like_an_address_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "in").mkdir(parents=True)
    (tmp_path / "s3:" / "in" / "a.txt").write_text("here")
    assert main("s3:/in/a.txt") == 0
    assert (tmp_path / "s3:" / "in" / "a_copy.txt").read_text() == "HERE"
