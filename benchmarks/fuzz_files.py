"""Small valid files of every kind that the commands read, and how the commands read them."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from dicom_files import write_series  # noqa: E402

__all__ = ["KINDS", "Kind", "make_files"]

RNG = np.random.default_rng(0)
VOLUME = (100 * RNG.random((6, 5, 4))).astype(np.int16)
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
MANIFEST = "".join(
    json.dumps({"file": f"{name}.wav", "split": split, "speaker": name, "text": "One."}) + "\n"
    for name, split in (("a", "train"), ("b", "val"))
)
METADATA = "a|Printing, in the|Printing, in the\nb|of 1455|of fourteen fifty-five\n"
TEXT = "Dr. Smith paid $3.50 on 5/6/2019 at 7:30 p.m.; see https://a.org [P AO1 Z] 3rd of IV."
LOG = "".join(json.dumps({"step": n, "seconds": 2.5 * n, "loss": 0.1}) + "\n" for n in range(9))


@dataclass(frozen=True)
class Kind:
    """A kind of files.

    name:    the name of the file that is damaged; its folder has the file's neighbours
    read:    reads the file as a command does
    is_text: whether it is text
    """

    name: str
    read: Callable[[Path], object]
    is_text: bool = False


def read_sound(path: Path) -> None:
    """As denoise, vocode and evaluate do: the header, then block by block; then at once."""
    from diff_audio.sound.read import probe, read, read_blocks

    found = probe(path)
    frames = sum(block.shape[1] for block in read_blocks(path))
    wave, _ = read(path)
    if not frames == found.frames == wave.shape[1]:
        raise AssertionError(f"{found.frames} samples in the header, {frames} in blocks")


def read_scan(path: Path) -> None:
    """As enhance does: the scan, its first and last volume, and its header written again."""
    from diff_medical.scan.nifti import Voxels, write
    from diff_medical.scan.open import open_scan

    scan = open_scan(path, nan_to_zero=True)
    for index in {0, scan.volumes - 1}:
        scan.volume(index)
    told = path if path.is_file() else next(path.iterdir())
    tell_scan(told)
    if scan.volumes * int(np.prod(scan.grid)) < 1e6:
        write(path.with_name("written.nii.gz"), Voxels(scan, np.dtype(np.float32)))


def tell_scan(path: Path) -> None:
    """As provenance does."""
    from diff_medical.marks.told import tell

    told = tell(path)
    told.text()
    json.dumps(told.record())


def read_slice(path: Path) -> None:
    """As enhance and inspect do with a folder of slices."""
    from diff_medical.data.studies import find_scans

    try:
        read_scan(path.parent)
    finally:
        find_scans(path.parent)


def read_model(path: Path) -> None:
    """As --weights, --recipe and compact do."""
    from diff_core.io import load, read_card
    from diff_core.train.config import TrainConfig
    from diff_core.train.recipe import read_recipe

    _read_all(path, read_card, load, lambda each: read_recipe(TrainConfig, each))


def read_yaml(path: Path) -> None:
    """As train does."""
    from diff_audio.denoiser.training.job import Recipe
    from diff_core.train.recipe import read_recipe

    read_recipe(Recipe, path)


def read_manifests(path: Path) -> None:
    """As the training of all models does."""
    from diff_audio.data.manifest import listed, read_rows
    from diff_audio.voice.training.catalogue import read_catalogue
    from diff_core.data import read_manifest

    def read_sounds(each: Path) -> None:
        listed(each.parent, "speech", read_rows(each))

    _read_all(path, read_sounds, read_catalogue, read_manifest)


def _read_all(path: Path, *readers: Callable[[Path], object]) -> None:
    """Read a file in several ways; raises the last ValueError."""
    fault = None
    for read in readers:
        try:
            read(path)
        except ValueError as error:
            fault = error
    if fault:
        raise fault


def read_metadata(path: Path) -> None:
    """As the training of a voice does, and inspect."""
    from diff_audio.data.layouts import recognise
    from diff_audio.voice.training.catalogue import read_catalogue

    try:
        recognise(path.parent)
    finally:
        read_catalogue(path.parent)


def read_text(path: Path) -> None:
    """As say does."""
    from diff_audio.text.front_end import utterances

    for _ in utterances(path.read_text(encoding="utf-8", errors="surrogateescape")):
        pass


def read_log(path: Path) -> None:
    """As train --resume does."""
    from diff_core.train.log import hours_trained

    hours_trained(path)


def read_sidecar(path: Path) -> None:
    """As enhance and provenance do with a scan beside it."""
    from diff_medical.scan.bids import write_sidecar

    scan = path.with_name("sub-1_T1w.nii.gz")
    tell_scan(scan)
    target = path.with_name("sub-1_desc-denoised_T1w.nii.gz")
    write_sidecar(scan, target, {"seconds": 1.0}, "0")


def read_mel(path: Path) -> None:
    """As vocode does, but for the network."""
    from types import SimpleNamespace
    from typing import Any

    from diff_audio.jobs import mel_file
    from diff_audio.spectra.mel import Mel
    from diff_audio.vocoder.model import Vocoder

    model: Any = SimpleNamespace(mel=Mel())
    model.checked = lambda mel: Vocoder.checked(model, mel)
    mel_file.read_mel(path, model, mel_file.OURS)


SOUNDS = {
    "wav": ("WAV", "PCM_16"), "float.wav": ("WAV", "FLOAT"), "flac": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"), "au": ("AU", "PCM_16"),
}  # fmt: skip
KINDS = {
    **{suffix: Kind(f"a.{suffix}", read_sound) for suffix in SOUNDS},
    "nii": Kind("a.nii", read_scan),
    "nii2": Kind("b.nii", read_scan),
    "nii.gz": Kind("a.nii.gz", read_scan),
    "mgh": Kind("a.mgh", read_scan),
    "mgz": Kind("a.mgz", read_scan),
    "dcm": Kind("1.2.3-001.dcm", read_slice),
    "zip": Kind("a.zip", read_scan),
    "png": Kind("a.png", tell_scan),
    "safetensors": Kind("a.safetensors", read_model),
    "npy": Kind("a.npy", read_mel),
    "yaml": Kind("a.yaml", read_yaml, is_text=True),
    "jsonl": Kind("manifest.jsonl", read_manifests, is_text=True),
    "csv": Kind("metadata.csv", read_metadata, is_text=True),
    "json": Kind("sub-1_T1w.json", read_sidecar, is_text=True),
    "log": Kind("log.jsonl", read_log, is_text=True),
    "txt": Kind("a.txt", read_text, is_text=True),
}


def make_files(kind: str, folder: Path) -> Path:
    """Make a valid file of a kind, with the neighbours that it needs, and return it."""
    path = folder / KINDS[kind].name
    if kind in SOUNDS:
        container, subtype = SOUNDS[kind]
        rate = 48_000 if kind == "opus" else 16_000
        soundfile.write(path, 0.1 * RNG.standard_normal((1200, 2)), rate, subtype, None, container)
    elif kind in ("nii", "nii2", "nii.gz", "json"):
        image = (nib.Nifti2Image if kind == "nii2" else nib.Nifti1Image)(VOLUME, AFFINE)
        image.to_filename(folder / "sub-1_T1w.nii.gz" if kind == "json" else path)
        if kind == "json":
            path.write_text(json.dumps({"EchoTime": 0.1, "Synthetic": True, "Seed": 3}))
    elif kind in ("mgh", "mgz"):
        data = nib.MGHImage(VOLUME, AFFINE).to_bytes()
        path.write_bytes(gzip.compress(data) if kind == "mgz" else data)
    elif kind in ("dcm", "zip"):
        series = folder if kind == "dcm" else folder / "series"
        write_series(series, VOLUME.astype(np.float32))
        if kind == "zip":
            made = io.BytesIO()
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                for one in sorted(series.iterdir()):
                    archive.write(one, one.name)
            shutil.rmtree(series)
            path.write_bytes(made.getvalue())
    elif kind == "png":
        from PIL import Image

        Image.fromarray(VOLUME[:, :, 0].astype(np.uint8)).save(path)
    elif kind == "safetensors":
        _save_model(path)
    elif kind == "npy":
        np.save(path, RNG.standard_normal((1, 80, 9)).astype(np.float32))
        path.with_name("a.npy.json").write_text("{}")
    else:
        recipe = files("diff_audio.recipes").joinpath("denoise.yaml").read_text()
        texts = {"yaml": recipe, "jsonl": MANIFEST, "csv": METADATA, "log": LOG, "txt": TEXT}
        path.write_text(texts[kind])
        places = {"jsonl": folder, "csv": folder / "wavs"}
        if kind in places:
            places[kind].mkdir(exist_ok=True)
            for name in ("a", "b"):
                soundfile.write(places[kind] / f"{name}.wav", np.zeros(800), 16_000)
    return path


def _save_model(path: Path) -> None:
    import torch

    from diff_core import Edm, Preconditioned
    from diff_core.io import Card, save
    from diff_core.nn import UNet

    torch.manual_seed(0)
    network = UNet(1, 1, 1, (4, 8), blocks=1, embedding=4)
    recipe = {"steps": 10}
    save(path, Preconditioned(network, Edm()), Card(name="a", data=("x",), recipe=recipe))
