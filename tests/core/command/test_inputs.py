"""Which files a command takes, which it leaves out as its own, and where each goes."""

import os
from pathlib import Path

import pytest
import typer

from diff_core.command import Failures, FileKind, Job, require_new
from diff_core.command.options import picture

SOUND = FileKind("sound files", (".wav", ".mel"), (".m4a",))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """tree("a.wav", ...) makes files in a folder of its own, and goes there."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("sound")

    return make


def taken(*inputs, output=None, recursive=True):
    """Sources and targets, and how many inputs failed."""
    failures = Failures("try")
    where = None if output is None else Path(output)
    skip = SOUND.products(inputs, where, ("_out",))
    sources = SOUND.expand(inputs, failures, recursive=recursive, skip=skip)
    jobs = SOUND.plan(sources, where, "_out", failures)
    return {str(job.source): str(job.target) for job in jobs}, len(failures.names)


def test_outputs_beside_inputs_are_known_by_their_names(tree):
    tree("a.wav", "a_out.wav", "s/b.wav", "s/b_out.wav", ".hidden.wav", "note.txt")
    assert taken(".") == ({"a.wav": "a_out.wav", "s/b.wav": "s/b_out.wav"}, 0)
    assert taken("*.wav") == ({"a.wav": "a_out.wav"}, 0)
    assert taken("a_out.wav") == ({"a_out.wav": "a_out_out.wav"}, 0)  # whoever names it wants it


def test_outputs_in_a_folder_among_the_inputs_are_left_out(tree):
    tree("a.wav", "out/a.wav")
    assert taken(".", output="out") == ({"a.wav": "out/a.wav"}, 0)
    assert taken("**/*.wav", output="out") == ({"a.wav": "out/a.wav"}, 0)


@pytest.mark.parametrize("output", [".", "..", "in", "in/../in"])
def test_a_folder_around_the_inputs_does_not_make_them_outputs(output, tree):
    tree("in/a.wav", "in/s/b.wav")
    found, failed = taken("in", output=output)
    assert set(found) == {"in/a.wav", "in/s/b.wav"} and failed == 0
    assert found["in/s/b.wav"] == str(Path(output) / "s/b.wav")


def test_a_folder_of_outputs_alone_is_told(tree, capsys):
    tree("a_out.wav")
    assert taken(".") == ({}, 1)
    assert "only outputs" in capsys.readouterr().err
    assert taken("nothing*") == ({}, 1)
    assert "no file matches" in capsys.readouterr().err


def test_an_empty_name_is_not_this_folder(tree, capsys):
    tree("a.wav")
    assert taken("") == ({}, 1)
    assert "is no name" in capsys.readouterr().err


def test_equal_names_below_two_folders(tree, capsys):
    tree("x/s/a.wav", "y/s/a.wav", "y/t/a.wav")
    found, failed = taken("x", "y", output="out")
    assert found == {"x/s/a.wav": "out/s/a.wav", "y/t/a.wav": "out/t/a.wav"} and failed == 1
    assert "y/s/a.wav: would have the same output, out/s/a.wav" in capsys.readouterr().err


def test_targets_may_be_renamed_before_they_are_compared(tree):
    tree("a.wav", "a.mel")
    failures = Failures("try")
    sources = SOUND.expand(["."], failures, recursive=False)
    jobs = SOUND.plan(sources, None, "_out", failures, lambda path: path.with_suffix(".wav"))
    assert [str(job.target) for job in jobs] == ["a_out.wav"] and failures.names == ["a.wav"]


def test_a_kind_that_cannot_be_written_is_no_folder(tree):
    tree("a.wav", "b.wav")
    with pytest.raises(typer.BadParameter, match="cannot be written"):
        taken("a.wav", output="out.M4A")
    with pytest.raises(typer.BadParameter, match="name a folder"):
        taken("a.wav", "b.wav", output="out.wav")


def test_what_stands_beside_a_job_is_neither_its_input_nor_its_output(tree):
    tree("a.wav")
    os.link("a.wav", "b.wav")
    job = Job(Path("a.wav"), Path("out.wav"))
    require_new(Path("x.html"), None, Path("y.json"), overwrite=False, job=job)
    for outputs, said in (
        (["b.wav"], "is the input itself"),
        (["s/../out.wav"], "out.wav is named for two outputs"),
        (["x.html", "./x.html"], "x.html is named for two outputs"),
    ):
        with pytest.raises(typer.BadParameter, match=said):
            require_new(*map(Path, outputs), overwrite=True, job=job)


def test_a_picture_has_the_name_of_one():
    check = picture("Draws.").callback
    assert check(None) is None and check(Path("a.PNG")) == Path("a.PNG")
    with pytest.raises(typer.BadParameter, match=r"a\.txt is no picture"):
        check(Path("a.txt"))


def test_names_that_differ_in_case_alone_are_one_where_the_disk_says_so(tree, capsys):
    tree("x/Talk.wav", "y/talk.wav", "out/n.txt")
    inputs = ("x/Talk.wav", "y/talk.wav")
    both = {"x/Talk.wav": "out/new/Talk.wav", "y/talk.wav": "out/new/talk.wav"}
    assert taken(*inputs, output="out/new") == (both, 0)
    Path("OUT").symlink_to("out")  # so does a disk that does not tell cases apart look
    assert taken(*inputs, output="out/new") == ({"x/Talk.wav": "out/new/Talk.wav"}, 1)
    told = capsys.readouterr().err
    assert "y/talk.wav: would have the same output, out/new/talk.wav, as x/Talk.wav" in told
