"""The umbrella commands: versions, completion, doctor, and one meaning for each option name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import diff_audio.__main__
import diff_medical.__main__
from diff_core.command import run
from diff_core.command.doctor import Doctor

DOMAINS = [diff_audio.__main__, diff_medical.__main__]

HOMONYMS = {
    "--noise": "a folder to train on; the distribution in a scan",
    "--samples": "how many draws; the folder of an audit",
    "--modality": "of the scan at hand; of the scans to make, several times",
}
"""Names that say two things, each the plain word for it."""


@pytest.fixture(params=DOMAINS, ids=["audio", "medical"])
def domain(request: pytest.FixtureRequest) -> Any:
    return request.param


def options() -> Iterator[tuple[str, Any]]:
    """Every option of every command, with the command's name."""
    for domain in DOMAINS:
        todo = [("", typer.main.get_command(domain.app))]
        while todo:
            name, command = todo.pop()
            todo += [(f"{name} {n}", c) for n, c in getattr(command, "commands", {}).items()]
            for parameter in command.params:
                if parameter.param_type_name == "option":
                    yield f"{domain.__package__}{name}", parameter


def test_one_name_means_one_thing_in_all_commands() -> None:
    """The same long name has the same short name, kind of value and number of values."""
    seen: dict[str, tuple[str, object]] = {}
    for command, option in options():
        long = next(name for name in option.opts if name.startswith("--"))
        short = [name for name in option.opts if not name.startswith("--")]
        meaning = (short, str(option.bare_type), option.is_flag, option.nargs)
        where, before = seen.setdefault(long, (command, meaning))
        assert meaning == before or long in HOMONYMS, f"{long} of {command} and of {where}"
    assert {"--overwrite", "--device", "--json", "--quiet", "--seed", "--debug"} <= set(seen)


def test_a_short_name_stands_for_one_long_name() -> None:
    seen: dict[str, str] = {}
    for command, option in options():
        long = next(name for name in option.opts if name.startswith("--"))
        for short in (name for name in option.opts if not name.startswith("--")):
            assert seen.setdefault(short, long) == long, f"{short} of {command}"


def test_every_command_of_the_package_is_under_its_umbrella(domain: Any) -> None:
    """Commands are modules with a typer app that a user may run as `python -m`."""
    folder = Path(domain.__file__).parent
    named = {path.relative_to(folder) for path in folder.rglob("*.py") if is_command(path)}
    under = {Path(*module.split(".")[1:]) for module in domain.COMMANDS.values()}
    assert {path.with_suffix("") for path in named} == under | {Path("__main__")}


def is_command(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return '__name__ == "__main__"' in text and "run(app" in text


def test_no_word_of_a_help_is_taken_for_a_style(domain: Any) -> None:
    """Rich drops what looks like its markup: `diff-audio[onnx]` would be shown as diff-audio."""
    todo = [typer.main.get_command(domain.app)]
    for command in todo:
        todo += getattr(command, "commands", {}).values()
        for text in [command.help, *(getattr(given, "help", None) for given in command.params)]:
            assert not re.search(r"(?<!\\)\[[a-z/#@]", text or ""), f"{command.name}: {text}"
    assert len(todo) > 8


def test_version_tells_the_hashes_of_the_weights(
    domain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert domain.main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    files = sorted(domain.WEIGHTS.glob("*.safetensors"))
    assert len(lines) == 1 + len(files) > 1
    for line, file in zip(lines[1:], files, strict=True):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert line == f"{file.name} sha256 {digest[:16]}"


def test_a_wrong_name_is_one_line_with_the_right_one(
    domain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert domain.main(["evaluat"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "'evaluate'" in told


def test_completion_knows_the_commands() -> None:
    name = "diff-audio"
    asked = {
        "_DIFF_AUDIO_COMPLETE": "complete_bash",
        "COMP_WORDS": f"{name} den",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "diff_audio"],
        env=os.environ | asked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["denoise"], done.stderr


@pytest.mark.slow
def test_doctor_finds_this_installation_well(
    domain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert domain.main(["doctor", "--json"]) == 0
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = {check["name"] for check in checks}
    assert {"python", "libraries", "device", "temporary files"} < names
    assert {file.name for file in domain.WEIGHTS.glob("*.safetensors")} <= names
    assert any(check["seen"].startswith("works") for check in checks)


def test_doctor_names_what_is_wrong_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "denoise.safetensors").write_bytes(b"half a file")

    def fails() -> None:
        raise ValueError("no such model")

    assert Doctor("diff-core", tmp_path, {"denoise": fails}).examine() == 1
    told = capsys.readouterr().out
    for part in ("BAD", "denoise.safetensors", "install the package again", "no such model"):
        assert part in told
    assert "\x1b" not in told  # no colours where it is no terminal
    assert Doctor("diff-core", tmp_path / "none", {}).examine(as_json=True) == 1
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [check["name"] for check in checks if check["state"] == "bad"] == ["weights"]


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def wait() -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(app, "diff_x.wait", []) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "diff_x.wait: interrupted\n"
