"""Folders: outputs that exist, and several processes at work on them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diff_core.command.claims import claimed
from diff_medical.enhance import main

Write = Callable[..., Path]
Out = pytest.CaptureFixture[str]
VOLUME = np.random.default_rng(0).normal(500, 50, (16, 14, 12)).astype(np.float32)


def test_what_exists_is_skipped_and_left_alone(
    write_scan: Write, tmp_path: Path, weights: Path, capsys: Out
) -> None:
    for name in ("in/a.nii.gz", "in/sub/b.nii.gz"):
        write_scan(VOLUME, name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"precious")
    command = [str(tmp_path / "in"), "--recursive", "-o", str(tmp_path / "out"), "--sigma", "50",
               "--weights", str(weights), "--skip-existing"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr()
    assert "a.nii.gz exists, skipped" in said.out
    assert "sub/b.nii.gz ->" in said.out
    assert main([*command, "--json"]) == 0
    assert capsys.readouterr().out.count('"skipped": true') == 2
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == b"precious"
    assert not list(tmp_path.rglob("*.lock"))
    assert main([*command, "--overwrite"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_a_claimed_output_is_left_to_its_process(
    write_scan: Write, tmp_path: Path, weights: Path, capsys: Out
) -> None:
    scan = write_scan(VOLUME)
    target = tmp_path / "scan_enhanced.nii.gz"
    program = (
        "import sys; from pathlib import Path; from diff_core.command.claims import claimed\n"
        "with claimed(Path(sys.argv[1])) as mine: print(mine, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        command = [str(scan), "--weights", str(weights), "--sigma", "50"]
        with claimed(target) as mine:
            assert not mine
        assert main(command) == 1
        assert "is being written by another process; wait" in capsys.readouterr().err
        assert main([*command, "--skip-existing"]) == 0
        assert "is being written by another process, skipped" in capsys.readouterr().out
        assert not target.exists()
        other.kill()  # the system frees what a dead process had claimed
        other.wait()
    assert main([*command, "--skip-existing"]) == 0
    assert target.exists()


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_a_launcher_shares_a_folder(write_scan: Write, tmp_path: Path, weights: Path) -> None:
    names = [f"{number}.nii.gz" for number in range(5)]
    for name in names:
        write_scan(VOLUME, f"in/{name}")
    launcher = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
                "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
                "--main_process_port", "0", "-m")  # fmt: skip
    process = start(*launcher, "diff_medical.enhance", tmp_path / "in", "-o", tmp_path / "out",
                    "--sigma", 50, "--weights", weights, "--device", "cpu")  # fmt: skip
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert len([line for line in out.splitlines() if " -> " in line]) == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
