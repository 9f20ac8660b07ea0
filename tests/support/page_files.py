"""The files that the pages of the documentation speak of, small and real, in one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import soundfile
import torch
from PIL import Image

from dicom_files import write_series
from pages import ROOT
from small_live import save_live
from small_restorer import save_restorer
from tiny_brain import GRID, head, write_brain

__all__ = ["prepare"]

RATE = 16_000


def prepare(folder: Path) -> None:
    """Fills a folder with recordings, scans and weights under the names of the pages."""
    _sounds(folder)
    _scans(folder)
    _pictures(folder)
    for copies in ("runs/mine", "runs/scans", "run", "RUN", "docs/medical/generate"):
        (folder / copies).mkdir(parents=True)
    audio, medical = (ROOT / f"packages/{p}/src/diff_{p}/weights" for p in ("audio", "medical"))
    shutil.copy(audio / "denoise.safetensors", folder / "runs/mine")
    shutil.copy(audio / "voice.safetensors", folder / "RUN")
    shutil.copy(medical / "enhance.safetensors", folder / "runs/scans")
    shutil.copy(medical / "enhance.safetensors", folder / "RUN")
    shutil.copy(medical / "generate.safetensors", folder / "run")
    save_restorer(folder / "run/restore.safetensors")
    save_live(folder / "run/live.safetensors")
    write_brain(folder / "brain")
    _save(folder / "labels.nii.gz", head(), GRID.in_head())
    (folder / "texts.tsv").write_text("file\ttext\na.wav\tone two\n")
    (folder / "chapter.txt").write_text("It rained. Nobody came.\n")


def _pictures(folder: Path) -> None:
    for number in range(2):
        values = np.random.default_rng(number).integers(0, 255, (40, 50), dtype=np.uint8)
        (folder / "pictures").mkdir(exist_ok=True)
        Image.fromarray(values).save(folder / f"pictures/{number}.png")
    shutil.copy(folder / "pictures/0.png", folder / "picture.png")


def _sounds(folder: Path) -> None:
    noisy, clean = (
        soundfile.read(ROOT / f"examples/speech_{name}.wav")[0] for name in ("noisy", "clean")
    )
    part = slice(RATE, 3 * RATE // 2)  # half a second with speech in it
    for name in (
        "take1.wav",
        "take2.flac",
        "call.wav",
        "hello.wav",
        "recordings/a.wav",
        "recordings/b/c.flac",
    ):
        _write(folder / name, noisy[part])
    _write(folder / "in.wav", noisy[RATE : int(2.4 * RATE)])
    _write(folder / "interview.wav", np.stack([noisy[part], 0.5 * noisy[part]], 1))
    _write(folder / "examples/speech_noisy.wav", noisy[: 2 * RATE])
    for name in ("clean.wav", "clean/a.wav"):
        _write(folder / name, clean[: 2 * RATE])
    for name in ("denoised.wav", "denoised/a.wav"):
        _write(folder / name, 0.5 * (clean + noisy)[: 2 * RATE])
    _write(folder / "noisy/a.wav", noisy[: 2 * RATE])
    for number in range(3):
        _write(folder / f"speech/speaker{number}/a.wav", clean[number * RATE :][: 3 * RATE])
    _write(folder / "noise/fan.wav", (noisy - clean)[: 3 * RATE])
    hum = np.log(np.full((80, 40), 0.01)) + np.random.default_rng(0).normal(0, 0.5, (80, 40))
    np.save(folder / "mel.npy", hum.astype(np.float32))
    decades = np.random.default_rng(1).uniform(-0.5, 0.5, (80, 60)).astype(np.float32)
    torch.save(torch.from_numpy(decades), folder / "features.pt")  # as Whisper's


def _write(path: Path, wave: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE)


def _scans(folder: Path) -> None:
    phantom = nib.load(ROOT / "examples/phantom_t1_noisy.nii.gz").get_fdata()
    head = phantom[28:52, 36:60, 32:44].astype(np.int16)
    fine = np.diag([1.8, 1.8, 2.0, 1.0])
    thick = np.diag([1.8, 1.8, 6.0, 1.0])
    for name in (
        "scan.nii.gz",
        "study/sub-1/scan.nii.gz",
        "examples/phantom_t1_noisy.nii.gz",
        "reference.nii.gz",
        "scan_enhanced.nii.gz",
        "clean/a.nii.gz",
        "enhanced/a.nii.gz",
        "scans/train/a_t1.nii.gz",
        "scans/b_t1.nii.gz",
        "scans/val/c_t1.nii.gz",
        "DIR/val/c_t1.nii.gz",
        "real/a_t1.nii.gz",
        "synthetic/t1_desc-synthetic.nii.gz",
    ):
        noise = np.random.default_rng(len(name)).normal(0, 20, head.shape)
        _save(folder / name, (head + noise).astype(np.int16), fine)
    _save(folder / "thick.nii.gz", head[:, :, ::2], thick)
    _save(folder / "brain.nii.gz", (head > 300).astype(np.uint8), fine)
    rows = [
        {"file": f"{split}/{name}_t1.nii.gz", "split": split, "modality": "t1", "subject": name}
        for split, name in (("train", "a"), ("val", "c"))
    ]
    (folder / "scans/manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    body = np.where(head > 300, 40, -1000) + np.random.default_rng(0).normal(0, 20, head.shape)
    for name in ("ct.nii.gz", "full_dose.nii.gz", "low_dose.nii.gz"):
        _save(folder / name, body.astype(np.int16), fine)
    write_series(folder / "dicom_folder", body, step=2.0)


def _save(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(values, affine).to_filename(path)
