"""Errors of the library name arguments; a command that reports one names its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer

from diff_core.command import App, Failures, as_options, explain, options, run, usage, use
from diff_core.command.naming import option_names
from diff_core.device import pick_device
from diff_core.files import refuse_existing

NAMES = {"steps": "--steps", "overwrite": "--overwrite", "limit_db": "--limit", "out": "--output"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps is 0; expected 1 or more", "--steps is 0; expected 1 or more"),
        ("limit_db must be positive", "--limit must be positive"),
        ("steps: 3 is too few", "--steps: 3 is too few"),
        ("steps of the scale; steps is x", "steps of the scale; steps is x"),
        ("a.wav exists; add overwrite=True", "a.wav exists; add --overwrite"),
        ("use steps=4 or steps='all', or more", "use --steps 4 or --steps all, or more"),
        ('use out="a b.wav".', "use --output a b.wav."),
        ("give steps=2.5, or none", "give --steps 2.5, or none"),
        ("set train.steps=3", "set train.steps=3"),
        ("pass overwrite=False", "pass overwrite=False"),
        ("needs `limit_db` and `other`", "needs --limit and `other`"),
        ("other is 3; use other=2", "other is 3; use other=2"),
        ("", ""),
    ],
)
def test_arguments_become_options_where_a_command_runs(text: str, expected: str) -> None:
    assert as_options(text) == text
    with option_names(NAMES):
        assert as_options(text) == expected
    assert as_options(text) == text


def test_library_errors_name_arguments(tmp_path: Path) -> None:
    taken = tmp_path / "a.wav"
    taken.touch()
    with pytest.raises(FileExistsError) as exists:
        refuse_existing(taken)
    with pytest.raises(FileExistsError) as same:
        refuse_existing(taken, source=taken, overwrite=True)
    with pytest.raises(ValueError) as device:
        pick_device("mps")
    for fault in (exists, same, device):
        assert " -" not in str(fault.value)
    assert "add overwrite=True" in str(exists.value)
    assert 'use device="cpu"' in str(device.value)


def app(**given: object) -> App:
    made = App()

    @made.command(renamed={"limit_db": "limit", "float32": "--dtype float32"}, **given)
    def work(
        output: Annotated[Path, typer.Option("-o", "--output")] = Path("x"),
        steps: int = 1,
        limit: float = 1.0,
        overwrite: options.Overwrite = False,
        device: options.Device = "auto",
    ) -> int:
        """Do some work.

        A second paragraph that
        goes on.
        """
        use(device, None)
        with usage():
            if steps < 1:
                raise ValueError(f"steps is {steps}; expected 1 or more")
            if limit < 0:
                raise ValueError(f"limit_db is {limit}; with float32=True, 0 or more")
        failures = Failures("work")
        try:
            refuse_existing(output, overwrite=overwrite)
        except OSError as fault:
            failures.add("in.wav", fault)
        return failures.finish(1)

    return made


def test_a_command_names_its_options_in_every_kind_of_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "a.wav"
    taken.touch()
    for arguments, code, text in (
        (["--steps", "0"], 2, "--steps is 0; expected 1 or more"),
        (["--limit", "-1"], 2, "--limit is -1.0; with --dtype float32, 0 or more"),
        (["--device", "mps"], 2, "device mps is not available here; use --device cpu"),
        (["--device", "gpu"], 2, "'gpu' is not one of"),
        (["-o", str(taken)], 1, "a.wav exists; add --overwrite"),
        (["-o", str(taken), "--overwrite"], 0, ""),
    ):
        assert run(app(), "work", arguments) == code
        said = capsys.readouterr().err
        assert text in said and "Value error" not in said
        assert said.count("\n") == (code > 0)
    assert explain(ValueError("steps is 0")) == "steps is 0"


def test_help_has_examples_groups_and_no_types_of_flags(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"examples": {"in.wav [1]": "Write one.", "in.wav --steps 4": "Write more."}}
    pages = []
    for flag in ("-h", "--help"):
        assert run(app(**given), "work", [flag]) == 0
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1]
    (page, _) = pages
    assert "<" not in page and "bool" not in page
    assert "A second paragraph that goes on." in page
    for text in ("Files", "Machine", "auto|cpu|cuda|mps", "--steps", " N "):
        assert text in page
    assert page.index("Examples") > page.index("--overwrite")
    assert "Write one." in page and "python -m work in.wav [1]" in page
    assert "python -m work in.wav --steps 4" in page
