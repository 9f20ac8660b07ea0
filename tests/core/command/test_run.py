"""Running a command: warnings of libraries, names in errors, files that appear."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Annotated

import pytest
import typer

from diff_core.command import App, Failures, Job, options, process, run
from diff_core.files import write_json

app = App()


@app.command("warn")
def warn() -> None:
    warnings.warn("overflow\nin a library", RuntimeWarning, stacklevel=1)


@app.command("refuse")
def refuse(name: Annotated[str, typer.Argument()]) -> None:
    raise typer.BadParameter(f"{name} is no name")


@app.command("write")
def write(path: Path, overwrite: options.Overwrite = False) -> None:
    write_json(path, 1)


@app.command("keep")
def keep(path: Path) -> None:
    """A command that keeps state of its own, and so has no --overwrite."""
    write_json(path, 1)


def test_a_warning_of_a_library_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = warnings.showwarning
    assert run(app, "try", ["warn"]) == 0
    assert capsys.readouterr().err == "try: warning: overflow in a library\n"
    assert warnings.showwarning is shown


def test_a_name_in_wrong_usage_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "try", ["refuse", "a\x1b[31m\nb"]) == 2
    assert r"a\x1b[31m\nb is no name" in capsys.readouterr().err


def test_a_command_replaces_files_with_overwrite_only(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert run(app, "try", ["write", str(path)]) == 0
    with pytest.raises(FileExistsError):
        run(app, "try", ["write", str(path)])
    assert run(app, "try", ["write", str(path), "--overwrite"]) == 0
    assert run(app, "try", ["keep", str(path)]) == 0


def test_a_source_that_changes_during_its_job_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [Job(tmp_path / name, tmp_path / f"{name}.json") for name in ("a", "b")]
    for job in jobs:
        job.source.write_text("one")

    def do(job: Job, _advance: object) -> None:
        if job.source.name == "a":
            os.utime(job.source, ns=(0, 0))
        write_json(job.target, 1)

    code = process(
        jobs, do, Failures("try"), line=str, warnings=lambda _: (), quiet=True, as_json=False
    )
    assert code == 1 and not jobs[0].target.exists() and jobs[1].target.exists()
    assert "a: changed while it was read" in capsys.readouterr().err


@pytest.mark.slow
def test_pictures_are_drawn_whatever_the_shell_says_of_windows() -> None:
    program = """
from diff_core.command import App, run
app = App()
@app.command()
def draw():
    from matplotlib.figure import Figure
    Figure()
raise SystemExit(run(app, "try", []))
"""
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
