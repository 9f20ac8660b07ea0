"""Files that appear, links, permissions, changed sources and what killed writers leave."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from diff_core.command import explain
from diff_core.files import leftovers, refuse_existing, replacing, write_json, writing
from diff_core.temporary import put_in


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_appears_during_the_work_is_kept(tmp_path: Path):
    path = tmp_path / "out.wav"
    with (
        pytest.raises(FileExistsError, match=r"out\.wav appeared .*kept; add overwrite=True"),
        writing(overwrite=False),
        replacing(path) as temporary,
    ):
        temporary.write_text("ours")
        path.write_text("precious")
    assert path.read_text() == "precious" and names(tmp_path) == ["out.wav"]
    with pytest.raises(FileExistsError, match="exists"), writing(overwrite=False), replacing(path):
        pass
    with writing(overwrite=True), replacing(path) as temporary:
        temporary.write_text("ours")
    assert path.read_text() == "ours" and names(tmp_path) == ["out.wav"]


def test_a_drive_without_links_keeps_what_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    made, path = tmp_path / "made", tmp_path / "out"
    made.write_text("ours")
    put_in(made, path)
    assert path.read_text() == "ours" and not made.exists()
    made.write_text("other")
    with pytest.raises(FileExistsError, match="appeared"):
        put_in(made, path)
    assert path.read_text() == "ours"


def test_a_file_beside_one_that_is_refused_goes_too(tmp_path: Path):
    """A record of a sound that another file took the place of would speak of that file."""
    path = tmp_path / "out.wav"
    with pytest.raises(FileExistsError), writing(overwrite=False), replacing(path) as temporary:
        temporary.write_text("ours")
        write_json(tmp_path / "out.wav.json", {"synthetic": True})
        path.write_text("recorded")
    assert names(tmp_path) == ["out.wav"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_as_an_output_is_refused_or_followed(is_there: bool, tmp_path: Path):
    real, link = tmp_path / "far" / "real.wav", tmp_path / "out.wav"
    real.parent.mkdir()
    link.symlink_to("far/real.wav")
    if is_there:
        real.write_text("old")
    with pytest.raises(FileExistsError):
        refuse_existing(link, source=tmp_path)
    with pytest.raises(FileExistsError), writing(overwrite=False), replacing(link):
        pass
    refuse_existing(link, overwrite=True)
    with writing(overwrite=True), replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and real.read_text() == "new" and names(real.parent) == ["real.wav"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="Not a regular file"), replacing(pipe):
        pass
    with pytest.raises(IsADirectoryError), replacing(tmp_path):
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("old", [0o600, 0o640, 0o444, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(old: int, tmp_path: Path):
    path = tmp_path / "scan.nii"
    path.write_text("old")
    path.chmod(old)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and mode(path) == old


@pytest.mark.parametrize(("own", "made"), [(0o600, 0o600), (0o640, 0o640), (0o444, 0o644)])
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_is_no_more_open_than_its_source(
    own: int, made: int, is_folder: bool, tmp_path: Path
):
    source = tmp_path / "source"
    file = source
    if is_folder:
        source.mkdir()
        file = source / "slice.dcm"
    file.write_text("private")
    file.chmod(own)
    for other in ("a.wav", "b.json"):
        with writing(source=source), replacing(tmp_path / other) as temporary:
            assert mode(temporary) & ~made == 0
            temporary.unlink()  # as of a writer that renames a file of its own
            temporary.write_text("made")
        assert mode(tmp_path / other) == made & ~_umask()


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("change", ["longer", "replaced", "removed"])
def test_a_source_that_changes_while_it_is_read_makes_nothing(
    change: str, is_folder: bool, tmp_path: Path
):
    source = tmp_path / "in"
    file = source
    if is_folder:
        source.mkdir()
        file = source / "slice.dcm"
    file.write_text("one")
    with (
        pytest.raises(OSError, match="in: changed while it was read") as caught,
        writing(source=source),
        replacing(tmp_path / "out") as temporary,
    ):
        temporary.write_text("made")
        if change == "removed":
            file.unlink()
        else:
            file.write_text("longer" if change == "longer" else "two")
            os.utime(file, ns=(0, 0))
    assert not (tmp_path / "out").exists()
    assert "\n" not in explain(caught.value) and "free space" not in explain(caught.value)


def test_outputs_in_the_folder_that_is_read_are_no_change_of_it(tmp_path: Path):
    (tmp_path / "slice.dcm").write_text("one")
    (tmp_path / "old.html").write_text("an older page")
    with writing(overwrite=True, source=tmp_path):
        for name in ("old.html", "new.html", "old.html"):
            with writing(source=tmp_path), replacing(tmp_path / name) as temporary:
                temporary.write_text("a page")


PROGRAM = """
import sys, time
from pathlib import Path
from diff_core.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path):
    path = tmp_path / ("talk" * 12 + ".of monday, with a long name.nii.gz")
    other = tmp_path / f".{path.name}.diff-notes.txt"
    other.write_text("somebody's own hidden file")
    writer = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout and writer.stdout.readline() == "writing\n"
    with replacing(path) as temporary:  # while the other is at work
        temporary.write_text("whole")
    assert len(list(leftovers(tmp_path))) == 1
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=60)
    assert len(list(leftovers(tmp_path))) == 1
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert not list(leftovers(tmp_path))
    assert names(tmp_path) == sorted([other.name, path.name])


@pytest.mark.parametrize("name", ["a." + "b" * 250, "x. " + "y" * 230 + ".wav", "z" * 255])
def test_any_name_that_the_drive_takes_can_be_written(name: str, tmp_path: Path):
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("made")
    assert names(tmp_path) == [name]
