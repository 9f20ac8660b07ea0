"""The entry and the files of the container images, without building one."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTAINERS = ROOT / "containers"


@pytest.fixture
def entry(tmp_path):
    """Run the entry with programs that only print how they are called."""
    for name in ("diff-audio", "diff-medical"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nprintf "%s" {name}; printf " [%s]" "$@"\n')
        path.chmod(0o755)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", str(CONTAINERS / "entry.sh"), *words],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_the_entry_runs_both_commands_and_a_bids_app(entry):
    assert entry("audio", "denoise", "my talk.wav").stdout == "diff-audio [denoise] [my talk.wav]"
    assert entry("medical", "doctor").stdout == "diff-medical [doctor]"
    words = ("/data", "/out", "participant", "--participant-label", "01")
    expected = "diff-medical [enhance] [/data] [/out] [participant] [--participant-label] [01]"
    assert entry(*words).stdout == expected
    assert "participant" in entry().stdout and entry().returncode == 0
    wrong = entry("in.wav")
    assert wrong.returncode == 2 and "in.wav" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


def test_an_image_holds_files_that_exist_and_that_the_context_keeps():
    text = (CONTAINERS / "Dockerfile").read_text()
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    for path in " ".join(copies).split():
        assert (ROOT / path).exists() and f"!{path}" in kept, path
    listed = (CONTAINERS / "diff.def").read_text().partition("%files")[2].partition("%post")[0]
    for path in re.findall(r"^    (\S+) /", listed, re.MULTILINE):
        assert (ROOT / path).exists(), path


def test_an_image_runs_as_a_user_without_rights_and_asks_no_hub():
    text = (CONTAINERS / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert "USER 1000:1000" in last and "HF_HUB_OFFLINE=1" in last
    assert last.index("USER") < last.index("ENTRYPOINT")
    extras = r'"\./packages/(?:audio|medical)\[[\w,]+\]"'
    assert re.findall(extras, text) == re.findall(extras, (CONTAINERS / "diff.def").read_text())
