"""What a folder or pattern leaves out is counted, with the reason; --strict makes it a failure."""

import os
from pathlib import Path

import pytest

from diff_core.command import Failures, FileKind

SOUND = FileKind(
    "sound files",
    (".wav",),
    (".m4a",),
    {".m4a": "not read; convert them", ".mov": "not read; convert them", ".zip": "name it"},
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """tree("a.wav", ...) makes files in a folder of its own, and goes there."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.wav", "in/.hidden/b.wav", "in/._a.wav"):
        add(name)
    return tmp_path


def add(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("sound")


def search(capsys, *inputs, recursive=False, output=None):
    """The names that are taken, the lines on standard error, and the exit code with --strict."""
    failures = Failures("try", strict=True)
    skip = SOUND.products(inputs, output, ("_out",))
    found = SOUND.expand(inputs, failures, recursive=recursive, skip=skip)
    code = failures.finish(len(found))
    lines = [line.removeprefix("try: ") for line in capsys.readouterr().err.splitlines()]
    return [str(source.path) for source in found], lines, code


def test_nothing_left_out_is_nothing_to_report(tree, capsys):
    add("in/notes.txt", "in/a.json")
    assert search(capsys, "in") == (["in/a.wav"], [], 0)
    assert search(capsys, "in", recursive=True) == (["in/a.wav"], [], 0)


def test_files_of_other_kinds_are_counted_by_kind(tree, capsys):
    add("in/b.m4a", "in/c.M4A", "in/d.mov", "in/e.zip")
    files, lines, code = search(capsys, "in")
    assert files == ["in/a.wav"] and code == 1
    assert lines == [
        "in: left out: 1 .zip (name it)",
        "in: left out: 2 .m4a, 1 .mov (not read; convert them)",
    ]
    failures = Failures("try")  # without --strict
    SOUND.expand(["in"], failures, recursive=False)
    assert failures.finish(1) == 0


def test_a_folder_of_other_kinds_alone_is_a_failure_and_is_explained(tree, capsys):
    add("calls/b.m4a")
    files, lines, code = search(capsys, "calls")
    assert files == [] and code == 1
    assert lines[0].startswith("calls: no sound files in this folder")
    assert lines[1] == "calls: left out: 1 .m4a (not read; convert them)"


def test_subfolders_that_are_not_searched(tree, capsys):
    add("in/one/b.wav", "in/two/c.wav", "in/empty/note.txt")
    files, lines, code = search(capsys, "in")
    assert files == ["in/a.wav"] and code == 1
    assert lines == ["in: left out: 2 subfolders (add --recursive to search them)"]
    files, lines, code = search(capsys, "in", recursive=True)
    assert files == ["in/a.wav", "in/one/b.wav", "in/two/c.wav"] and lines == [] and code == 0


def test_links_and_what_is_no_file(tree, capsys):
    add("far/b.wav", "in/sub/x.txt")
    os.symlink("nowhere.wav", "in/c.wav")
    os.symlink("../far/b.wav", "in/d.wav")
    os.symlink("../far", "in/far")
    os.mkfifo("in/e.wav")
    files, lines, code = search(capsys, "in", recursive=True)
    assert files == ["in/a.wav", "in/d.wav"] and code == 1
    assert [line.partition(" (")[0] for line in lines] == [
        "in: left out: 1 linked folder",
        "in: left out: 2 .wav",
    ]


def test_a_pattern_takes_files(tree, capsys):
    add("in/one/b.wav", "in/c.txt")
    os.symlink("nowhere.wav", "in/d.wav")
    files, lines, code = search(capsys, "in/*")
    assert files == ["in/a.wav", "in/c.txt"] and code == 1
    assert [line.partition(" (")[0] for line in lines] == [
        "in/*: left out: 1 folder",
        "in/*: left out: 1 .wav",
    ]
    assert search(capsys, "in/**/*.wav")[0] == ["in/a.wav", "in/one/b.wav"]


def test_earlier_outputs_are_reported_and_are_no_failure(tree, capsys):
    add("in/a_out.wav", "in/b_out.wav")
    files, lines, code = search(capsys, "in")
    assert files == ["in/a.wav"] and code == 0
    assert lines == [
        "in: left out: 2 files (outputs of this command; give them by name to take them)"
    ]


def test_links_in_a_circle_are_one_line(tree, capsys):
    os.symlink("b.wav", "c.wav")
    os.symlink("c.wav", "b.wav")
    files, _, _ = search(capsys, "b.wav")
    assert files == ["b.wav"]  # whoever reads it says what it is
