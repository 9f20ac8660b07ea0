"""The examples run, through their real main, and what they print shows what they say."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "core"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """The example named by the test, imported as when it is run: from its own folder."""
    from importlib import import_module

    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(sys.modules, "train_2d", None)  # so that it is taken out again
    del sys.modules["train_2d"]
    monkeypatch.setitem(sys.modules, request.param, import_module(request.param))
    return sys.modules[request.param]


def numbers(printed: str, label: str) -> list[float]:
    """The numbers of the line that begins with `label`."""
    (line,) = [line for line in printed.splitlines() if line.strip().startswith(label)]
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]\d+)?", line.split(label)[1])]


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


@pytest.mark.parametrize("example", ["train_2d"], indirect=True)
def test_train_2d(example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(["--steps", "300", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    noise, samples, data = (
        numbers(printed, label)[-1] for label in ("noise of", "samples", "other data")
    )
    assert data < samples < 0.8 * noise
    assert is_picture(tmp_path / "train_2d.png")


@pytest.mark.parametrize("example", ["change_sampler"], indirect=True)
def test_change_sampler(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example.main(["--steps", "60", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    for name in example.SAMPLERS:
        errors = numbers(printed, name)[::2]
        assert all(fine < coarse for coarse, fine in zip(errors, errors[1:], strict=False))
    assert numbers(printed, "VariancePreserving(beta_min=0.1, beta_max=20.0)")[0] < 1e-4
    assert numbers(printed, "RectifiedFlow()")[0] < 1e-4
    assert is_picture(tmp_path / "change_sampler.png")
    # what was trained is there for the next time
    example.main(["--steps", "60", "--out", str(tmp_path)])
    assert capsys.readouterr().out == printed[printed.index("spirals") :]


@pytest.mark.parametrize("example", ["own_network"], indirect=True)
def test_own_network(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(["--steps", "60"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("log-SNR")]
    errors = [[float(n) for n in line.split()[-3:]] for line in lines]
    assert len(errors) == 5
    for ours, best, ratio in errors:
        # nothing beats the best, up to chance, and training has begun to come near it
        assert 0.98 * best < ours and ratio == pytest.approx(ours / best, abs=0.01)
    assert errors[0][2] < 1.2


@pytest.mark.parametrize("example", ["inpaint"], indirect=True)
def test_inpaint(example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(["--steps", "60", "--grid", "6", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    unheeded = numbers(printed, "one digit of the model, y not heeded")[0]
    assert numbers(printed, "RePaint, mean of the fillings")[0] < unheeded
    assert numbers(printed, "MMPS, mean of the fillings")[0] < unheeded
    assert numbers(printed, "the observed half is kept by RePaint to") == [0]
    assert is_picture(tmp_path / "inpaint.png")


@pytest.mark.parametrize("example", ["write_a_sampler"], indirect=True)
def test_write_a_sampler(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(["--halvings", "2"])
    printed = capsys.readouterr().out
    assert numbers(printed, "Euler")[-1] == pytest.approx(1, abs=0.1)
    assert numbers(printed, "Ralston, yours")[-1] == pytest.approx(2, abs=0.1)
    for ours, heun in zip(
        numbers(printed, "Ralston, yours")[:-1], numbers(printed, "Heun")[:-1], strict=True
    ):
        assert ours < heun


@pytest.mark.slow
@pytest.mark.parametrize("example", ["whole"], indirect=True)
def test_whole(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(["--updates", "1200", "--count", "100"])
    printed = capsys.readouterr().out
    (noise,) = numbers(printed, "noise")
    for label in ("DDPM, 1000 ancestral steps", "DPM-Solver++(2M), 50 calls", "UniPC, 16 calls"):
        (distance,) = numbers(printed, label)
        assert distance < 0.1 * noise
    assert len(printed.rstrip().splitlines()[-8:]) == 8
