"""Pairs of a clean sound and an estimate of it, and the lines that `evaluate --json` prints."""

import json

import soundfile

__all__ = ["last", "two"]


def two(tmp_path, clean, estimate, names=("x",)):
    """Write the same pair under each name; (C, T) at 16 kHz."""
    for folder, wave in (("ref", clean), ("est", estimate)):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in names:
            soundfile.write(tmp_path / folder / f"{name}.wav", wave.T, 16_000, "DOUBLE")
    return [str(tmp_path / "ref"), str(tmp_path / "est")]


def last(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
