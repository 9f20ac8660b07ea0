"""The scripts of examples/cluster run, with stand-ins for the programs of Slurm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = ROOT / "examples" / "cluster"


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def script(name: str, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **more}
    return subprocess.run(
        ["bash", str(CLUSTER / name), *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_job_of_an_array_does_its_part_of_a_folder(tmp_path):
    program(tmp_path, "diff-audio", f'exec {sys.executable} -m diff_audio "$@" --device cpu')
    (tmp_path / "recordings" / "a").mkdir(parents=True)
    wave, rate = soundfile.read(ROOT / "examples" / "speech_noisy.wav", frames=16_000)
    for name in ("a/one.wav", "two.wav"):
        soundfile.write(tmp_path / "recordings" / name, wave, rate)
    done = script(
        "denoise.sbatch", tmp_path, "recordings", "clean", SLURM_ARRAY_TASK_ID="2",
        SLURM_ARRAY_TASK_COUNT="2", SLURM_CPUS_PER_TASK="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    clean = tmp_path / "clean"
    assert {path.name for path in clean.iterdir()} == {"two.wav", "summary-2.jsonl"}
    assert json.loads((clean / "summary-2.jsonl").read_text())["output"] == "clean/two.wav"


def test_a_training_is_requeued_and_resumed(tmp_path):
    program(tmp_path, "srun", 'echo "$@" >> calls; mkdir -p run; touch run/state.safetensors; '
            'exit "$(cat code)"')  # fmt: skip
    program(tmp_path, "scontrol", 'echo "scontrol $@" >> calls')
    words = ("run", "diff-audio", "train", "denoise", "--speech", "my speech")
    (tmp_path / "code").write_text("143")
    assert script("train.sbatch", tmp_path, *words, SLURM_JOB_ID="7").returncode == 143
    (tmp_path / "code").write_text("0")
    assert script("train.sbatch", tmp_path, *words, SLURM_JOB_ID="7").returncode == 0
    begun = "diff-audio train denoise --speech my speech"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"{begun} --out run",
        "scontrol requeue 7",
        f"{begun} --resume --out run",
    ]


def test_the_page_shows_the_lines_of_the_script():
    page = (ROOT / "docs" / "use" / "cluster.md").read_text()
    shown = page.split("```bash\n")[1].split("```")[0]
    assert all(line in (CLUSTER / "denoise.sbatch").read_text() for line in shown.splitlines())
