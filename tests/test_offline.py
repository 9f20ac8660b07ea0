"""The commands work without a network: every attempt to reach one ends the process."""

from __future__ import annotations

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
from {module} import main
sys.exit(main(sys.argv[1:]))
"""


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED.format(module=module), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_connection_would_be_noticed() -> None:
    program = BLOCKED.split("from {module}")[0] + "import urllib.request as r\n"
    reach = program + "r.urlopen('http://127.0.0.1:9')"
    assert subprocess.run([sys.executable, "-c", reach], capture_output=True).returncode == 99


@pytest.mark.slow
def test_denoise_and_say_reach_for_nothing(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(tmp_path / "in.wav", noise, 16000)
    page = ("--report", str(tmp_path / "page.html"))
    done = run("diff_audio.denoise", str(tmp_path / "in.wav"), "--device", "cpu", *page)
    assert done.returncode == 0, done.stderr
    done = run("diff_audio.say", "Hello.", "-o", str(tmp_path / "hello.wav"), "--device", "cpu")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_enhance_and_generate_reach_for_nothing(tmp_path: Path) -> None:
    scan = np.random.default_rng(0).normal(300, 20, (24, 24, 8)).astype(np.float32)
    nib.Nifti1Image(scan, np.eye(4)).to_filename(tmp_path / "in.nii.gz")
    page = ("--report", str(tmp_path / "page.html"))
    given = (str(tmp_path / "in.nii.gz"), "--sigma", "20", "--device", "cpu", *page)
    done = run("diff_medical.enhance", *given)
    assert done.returncode == 0, done.stderr
    few = ("-n", "1", "--steps", "2", "--device", "cpu", "-o", str(tmp_path / "made"))
    done = run("diff_medical.generate", *few)
    assert done.returncode == 0, done.stderr
