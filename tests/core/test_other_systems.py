"""What Windows lacks, taken away: locks, signals, links, and renames that replace nothing."""

import importlib
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from diff_core import temporary
from diff_core.files import leftovers, replacing, writing


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """`diff_core.temporary` as on Windows: no fcntl, no links, and `rename` replaces nothing."""

    def rename(old: Path, new: Path) -> None:
        if Path(new).exists():
            raise FileExistsError(17, "Cannot create a file when that file already exists")
        os.replace(old, new)

    lacking = {name: value for name, value in vars(os).items() if name != "link"}
    monkeypatch.setattr(temporary, "os", SimpleNamespace(**lacking | {"name": "nt"}))
    monkeypatch.setattr(temporary.os, "rename", rename)
    monkeypatch.setitem(sys.modules, "fcntl", None)


@pytest.mark.usefixtures("windows")
def test_files_appear_whole_without_locks_and_links(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    with writing(overwrite=False), replacing(path) as partial:
        partial.write_text("ours")
        assert not path.exists()
    assert path.read_text() == "ours"
    with (
        pytest.raises(FileExistsError, match=r"other\.wav appeared during the work and was kept"),
        writing(overwrite=False),
        replacing(tmp_path / "other.wav") as partial,
    ):
        partial.write_text("ours")
        (tmp_path / "other.wav").write_text("precious")
    assert (tmp_path / "other.wav").read_text() == "precious"
    with writing(overwrite=True), replacing(path) as partial:
        partial.write_text("newer")
    assert path.read_text() == "newer"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.wav", "out.wav"]


@pytest.mark.usefixtures("windows")
def test_what_may_belong_to_another_writer_stays_where_nothing_can_be_locked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.wav"
    handle, left = temporary.open_beside(path, path, 0o600)
    os.close(handle)
    with replacing(path) as partial:
        partial.write_text("ours")
    assert path.read_text() == "ours" and list(leftovers(tmp_path)) == [left]


def test_the_studio_starts_where_no_terminal_hangs_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diff_core.command.studio.limits import Limits

    serve = importlib.import_module("diff_core.command.studio.serve")
    lacking = {name: value for name, value in vars(signal).items() if name != "SIGHUP"}
    monkeypatch.setattr(serve, "signal", SimpleNamespace(**lacking))
    with serve._tasks(lambda *_: None, Limits()) as tasks:  # type: ignore[arg-type]
        assert tasks is not None
