"""Notes: none for a clean removal, and what to try at the end of each."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diff_medical import Enhancer, Settings
from diff_medical.enhance import main
from diff_medical.enhancer.checks import SUSPICIOUS, Checks
from diff_medical.jobs.remarks import ADVICE, advised, insist

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


def notes(capsys: Capture, *arguments: object) -> list[str]:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["notes"]


@pytest.mark.parametrize("noise", ["gaussian", "rician"])
def test_a_clean_removal_gives_no_note(make_head: Make, noise: str) -> None:
    rng = np.random.default_rng(0)
    clean = make_head((48, 44, 24))
    added = 60 * rng.standard_normal((2, *clean.shape))
    volume = clean + added[0] if noise == "gaussian" else np.hypot(clean + added[0], added[1])
    settings = Settings(modality="mr", noise=noise, sigma=60.0, quality="draft")
    made = Enhancer.from_pretrained()(volume, (1, 1, 1), settings)
    assert made.checks is not None
    assert made.checks.remarks() == ()
    assert max(w for w in made.checks.whiteness if w is not None) < SUSPICIOUS / 2


def test_an_unchanged_scan_says_why_and_how_to_insist(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    clean = write_scan((make_head((48, 44, 20)) + 1).astype(np.float32), "clean.nii")
    (said,) = notes(capsys, clean, "--weights", weights)
    assert "it stays as it is: its noise is below 0.3% of its range" in said
    assert said.endswith("give its level with --sigma, as --sigma 12 or --sigma 3%")
    assert notes(capsys, clean, "--weights", weights, "--sigma", 30, "--overwrite") != [said]
    flat = write_scan(np.full((20, 20, 20), 7, np.int16), "flat.nii")
    assert notes(capsys, flat, "--weights", weights)[0].endswith("nothing to enhance in it")


def test_every_remark_ends_with_what_to_try() -> None:
    checks = Checks(0.0, 0.0, (0.5, None, 0.0), 0.5, 1.0, 1.0, 3.5)
    remarks = [*checks.remarks(), *(advised(f"note: {beginning}") for beginning in ADVICE)]
    assert len(remarks) == 2 + len(ADVICE)
    for text in remarks:
        end = text.rpartition(";")[2]
        assert any(word in end for word in ("--", "fslorient", "mri_convert")), text
    for reason in ("the noise level is 0", "the expected gain is 0.1 dB"):
        assert "--sigma" in insist(reason)


def test_a_note_names_its_volumes(
    make_head: Make, write_scan: Write, weights: Path, capsys: Capture
) -> None:
    rng = np.random.default_rng(0)
    head = make_head((40, 36, 16))
    noisy = head + 60 * rng.standard_normal(head.shape)
    series = np.stack([noisy, np.full(head.shape, 5.0), noisy + 1], -1).astype(np.float32)
    said = notes(capsys, write_scan(series), "--weights", weights, "--sigma", 60)
    assert any(note.startswith("volume 1: it stays as it is: all voxels are 5") for note in said)
