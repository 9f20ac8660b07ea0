"""Several processes that know nothing of each other make each output once."""

import subprocess
import sys

import shared_files
from diff_core.command.claims import claimed

HOLDER = (
    "import sys; from pathlib import Path; from diff_core.command.claims import claimed\n"
    "with claimed(Path(sys.argv[1])) as mine: print(mine, flush=True); sys.stdin.read()"
)


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_claim_lasts_as_long_as_its_process(tmp_path):
    target = tmp_path / "a.wav"
    with start("-c", HOLDER, target) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with claimed(target) as mine, claimed(tmp_path / "b.wav") as free:
            assert not mine and free
        other.kill()  # the system frees what a dead process had claimed
        other.wait()
    with claimed(target) as mine:
        assert mine
    assert not list(tmp_path.iterdir())


def test_a_claim_ends_with_a_fault(tmp_path):
    target = tmp_path / "a.wav"
    try:
        with claimed(target):
            raise ValueError("a bad file")
    except ValueError:
        pass
    with claimed(target) as mine:
        assert mine
    assert not list(tmp_path.iterdir())


def test_where_no_lock_can_be_had_work_goes_on(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with claimed(tmp_path / "file" / "a.wav") as mine:
        assert mine


def test_two_processes_make_each_file_once(tmp_path):
    """One waits inside the first file until the other, which must leave it, has made the last."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.txt").write_text("wait")
    (source / "other.txt").write_text("text")
    both = [start(shared_files.__file__, source, out, "skip") for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [1, 1]  # of a pattern without files
    lines = "".join(told).splitlines()
    assert sorted(line for line in lines if not line.endswith("skipped")) == [
        str(source / "a.txt"),
        str(source / "other.txt"),
    ]
    assert len([line for line in lines if "a.txt is being written by another" in line]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "other.txt"]
