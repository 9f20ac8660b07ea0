"""Several processes of one launcher share the files of a command."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import shared_files
from diff_core.command import Bar, Failures

COMMAND = Path(shared_files.__file__)
CONTENTS = {f"{i}.txt": f"text {i}" for i in range(6)} | {"bad.txt": "bad"}


def folder(path: Path, contents: dict[str, str]) -> Path:
    path.mkdir()
    for name, text in contents.items():
        (path / name).write_text(text)
    return path


def launch(processes: int, source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, f"--nproc_per_node={processes}", str(COMMAND), str(source), str(out)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_one_process_does_all(tmp_path, capsys):
    source = folder(tmp_path / "in", CONTENTS)
    assert shared_files.main(str(source), str(tmp_path / "out")) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 6
    assert "2 of 8 failed" in told.err


@pytest.mark.slow
def test_two_processes_do_each_file_once_and_tell_one_summary(tmp_path):
    source = folder(tmp_path / "in", CONTENTS)
    done = launch(2, source, tmp_path / "out")
    outputs = {p.name: p.read_text() for p in (tmp_path / "out").iterdir()}
    assert outputs == {f"{i}.txt": f"TEXT {i}" for i in range(6)}
    assert len([line for line in done.stdout.splitlines() if line.endswith(".txt")]) == 6
    assert done.stderr.count("capitals: 2 of 8 failed") == 1
    assert done.stderr.count("no file matches this pattern") == 1
    assert done.stderr.count("bad.txt: is bad; write another") == 1
    assert done.returncode == 1


@pytest.mark.slow
def test_a_long_file_holds_up_nobody(tmp_path):
    """One process waits inside the first file until the other has come to the last."""
    contents = {"a.txt": "wait", **{f"b{i}.txt": "text" for i in range(4)}, "other.txt": "text"}
    done = launch(2, folder(tmp_path / "in", contents), tmp_path / "out")
    assert done.stderr.count("capitals: 1 of 7 failed") == 1
    assert {p.name for p in (tmp_path / "out").iterdir()} == set(contents)


class Written(io.RawIOBase):
    """A stream that keeps what each write brought."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        return len(data)


def test_a_line_is_one_write_also_without_a_buffer(monkeypatch):
    """Else the lines of two processes run into each other, under a launcher that buffers none."""
    out, err = Written(), Written()
    for name, raw in (("stdout", out), ("stderr", err)):
        stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        monkeypatch.setattr(sys, name, stream)
    Bar(None, 1.0).say("a.wav")
    Failures("work").add("b.wav", "is damaged")
    assert out.pieces == [b"a.wav\n"]
    assert err.pieces == [b"work: b.wav: is damaged\n"]
