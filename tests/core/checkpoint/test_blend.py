"""Weights between two checkpoints: the line from one to the other, and what is no line."""

from pathlib import Path

import pytest
import torch

from diff_core import Edm, Preconditioned, io
from diff_core.blend import main
from diff_core.nn import UNet


def saved(path: Path, seed: int, width: int = 8, dtype: torch.dtype = torch.float32) -> dict:
    torch.manual_seed(seed)
    denoiser = Preconditioned(UNet(1, 1, 1, (width,), embedding=8), Edm())
    io.save(path, denoiser, io.Card(name="small", data=(f"seed {seed}",)), dtype=dtype)
    return io.load(path)[0].state_dict()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_every_weight_lies_on_the_line(tmp_path: Path, share: float, dtype: torch.dtype) -> None:
    start = saved(tmp_path / "a.safetensors", 0)
    tuned = saved(tmp_path / "b.safetensors", 1, dtype=dtype)
    paths = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors")]
    out = tmp_path / "c.safetensors"
    assert main([*paths, "--share", str(share), "-o", str(out)]) == 0
    made, card = io.load(out)
    for name, weight in made.state_dict().items():
        expected = (1 - share) * start[name] + share * tuned[name]
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-4)
    assert card.data == ("seed 1",) and card.recipe["blend"] == {"share": share}


def test_what_is_no_line_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, wide, out = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "wide", "out"))
    saved(a, 0)
    saved(b, 1)
    saved(wide, 1, width=16)
    for arguments, said in (
        ([a, wide], "different networks"),
        ([a, tmp_path / "none"], "none"),
        ([a, b, "--share", "1.5"], "share is 1.5"),
    ):
        assert main([*map(str, arguments), "-o", str(out)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("diff_core.blend: ") and said in line
        assert not out.exists()
    before = b.read_bytes()
    assert main([str(a), str(b), "-o", str(b)]) == 1
    assert b.read_bytes() == before and "exists" in capsys.readouterr().err
    assert main([str(a), str(b), "-o", str(b), "--overwrite"]) == 0
