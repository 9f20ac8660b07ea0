"""The commands work without a network: every attempt to reach one ends the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import soundfile

BLOCKED = """
import os, socket, sys, traceback

def refuse(*_args, **_kwargs):
    traceback.print_stack()
    os._exit(99)  # not an exception, which somebody might catch

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse
"""
COMMANDS = """
import importlib, json
for module, *arguments in json.loads(sys.argv[1]):
    code = importlib.import_module(module).main(arguments)
    if code:
        sys.exit(f"{module} ends with {code}")
"""


def run(*commands: tuple[str, ...]) -> None:
    """All in one process: most of the time of each would be that of its imports."""
    process = [sys.executable, "-c", BLOCKED + COMMANDS, json.dumps(commands)]
    done = subprocess.run(process, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_connection_would_be_noticed() -> None:
    reach = BLOCKED + "import urllib.request as r\nr.urlopen('http://127.0.0.1:9')"
    assert subprocess.run([sys.executable, "-c", reach], capture_output=True).returncode == 99


@pytest.mark.slow
def test_commands_reach_for_nothing(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(tmp_path / "in.wav", noise, 16000)
    scan = np.random.default_rng(0).normal(300, 20, (24, 24, 8)).astype(np.float32)
    nib.Nifti1Image(scan, np.eye(4)).to_filename(tmp_path / "in.nii.gz")
    sound, heads, made = (str(tmp_path / name) for name in ("in.wav", "in.nii.gz", "made"))
    pages = [("--report", str(tmp_path / f"{name}.html")) for name in ("sound", "heads")]
    cpu = ("--device", "cpu")
    run(
        ("diff_audio.denoise", sound, *pages[0], *cpu),
        ("diff_audio.say", "Hello.", "-o", str(tmp_path / "hello.wav"), *cpu),
        ("diff_medical.enhance", heads, "--sigma", "20", *pages[1], *cpu),
        ("diff_medical.generate", "-n", "1", "--steps", "2", "-o", made, *cpu),
    )
    assert all((tmp_path / name).exists() for name in ("in_denoised.wav", "in_enhanced.nii.gz"))
