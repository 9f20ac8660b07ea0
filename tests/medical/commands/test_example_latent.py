"""The example of a latent model runs through its real main, on scans of three people."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diff_core import io
from diff_core.interop.monai import types
from diff_core.latent import latent_scale

FOLDER = Path(__file__).parents[3] / "examples" / "medical"


@pytest.mark.slow
def test_latent_slices(
    tmp_path: Path,
    make_head: Callable[..., np.ndarray],
    write_scan: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for person in range(3):
        head = make_head((32, 32, 32), person)
        write_scan(head, f"data/p{person}_t1_head.nii.gz", affine=np.diag([6.0, 6.0, 6.0, 1.0]))
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "latent_slices", raising=False)
    import latent_slices

    folder = tmp_path / "out"
    latent_slices.main(
        [str(tmp_path / "data"), "--size", "16", "--steps", "80", "--out", str(folder)]
    )
    printed = capsys.readouterr().out
    assert "latents of (4, 4, 4) for slices of (1, 16, 16)" in printed
    error, made, real = (
        float(re.search(rf"{label}\D*?([\d.]+)", printed)[1])  # type: ignore[index]
        for label in ("autoencoder ", "of the samples", "of slices")
    )
    assert error < 0.5 * real  # a constant has 1
    assert 0.5 * real < made < 2 * real
    codec, _ = io.load(folder / "autoencoder.safetensors", types=types())
    images = latent_slices.Slices(
        latent_slices.build_corpus(
            latent_slices.find_scans(tmp_path / "data", None),
            folder / "corpus",
            latent_slices.Cutting(16),
        )
    )
    import torch

    some = torch.stack([images[i]["x_0"] for i in range(64)])
    assert codec.scale == pytest.approx(latent_scale(codec, some), rel=1e-3)
    assert (folder / "latent_slices.png").read_bytes().startswith(b"\x89PNG")
