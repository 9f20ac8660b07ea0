"""The page "How diffusion works": its code runs as shown and its figures are what they say."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from diff_core import Cosine
from diff_core.exact import Mixture

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "how"
PAGE = (FOLDER / "index.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", PAGE, re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+|-?\d+")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_of_the_page_prints_what_stands_below_it(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    code, expected = BLOCKS[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, f"block {number}", "exec"), {"__name__": "block"})
    found = printed.getvalue()
    assert re.sub(r"\s+", " ", NUMBER.sub("#", found)) == re.sub(
        r"\s+", " ", NUMBER.sub("#", expected)
    )
    # the last digit that is shown may round the other way on another machine
    for ours, shown in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        digits = len(shown.partition(".")[2])
        assert float(ours) == pytest.approx(float(shown), abs=1.01 * 10**-digits * (digits > 0))


def test_every_block_shows_its_output() -> None:
    assert len(BLOCKS) == 7 and all(expected for _, expected in BLOCKS)


def test_all_that_the_page_shows_is_there_and_small() -> None:
    named = set(re.findall(r'(?:src|srcset)="([^"]+)"', PAGE))
    assert {path.name for path in FOLDER.iterdir()} - {"__pycache__"} == named | {
        "claims.md",
        "drawing",
        "families-digits.webp",
        "families-mels.webp",
        "families-scans.webp",
        "families.md",
        "figures.py",
        "index.md",
        "training.md",
    }
    assert sum((FOLDER / name).stat().st_size for name in named) < 2_500_000
    assert not any("//" in name for name in named)  # nothing from elsewhere


def test_the_player_shows_the_exact_flow(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "figures.py"), "score-data", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    made, committed = (
        json.loads((folder / "score_data.js").read_text().split("const SCORE = ")[1][:-2])
        for folder in (tmp_path, FOLDER)
    )
    assert made.keys() == committed.keys()
    for name in ("t", "alpha", "sigma"):
        assert made[name] == pytest.approx(committed[name], abs=1)

    def points(frame: list[int]) -> torch.Tensor:
        return torch.tensor(frame, dtype=torch.float64).reshape(-1, 2) / 1000

    # a 1-D mixture each, so that the flow keeps quantiles: written again here, by erf
    across = ((0.3, -1.5, 0.12), (0.3, 0.0, 0.3), (0.4, 1.4, 0.16))
    up = ((0.3, -1.0, 0.2), (0.3, -1.0, 0.2), (0.4, 1.0, 0.14))

    def quantile(x: float, t: float, peaks: tuple[tuple[float, float, float], ...]) -> float:
        alpha, sigma = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
        return sum(
            w * 0.5 * (1 + math.erf((x - alpha * m) / math.hypot(alpha * d, sigma) / math.sqrt(2)))
            for w, m, d in peaks
        )

    for frame in (10, 25, 40):
        t = 1 - 0.98 * frame / 40
        for start, now in zip(points(made["ode"][0]), points(made["ode"][frame]), strict=True):
            for axis, peaks in enumerate((across, up)):
                before = quantile(start[axis].item(), 1.0, peaks)
                after = quantile(now[axis].item(), t, peaks)
                assert after == pytest.approx(before, abs=0.003)

    # the stochastic walk starts where the flow does and ends on the peaks too
    assert made["sde"][0] == made["ode"][0]
    peaks = Mixture(
        *torch.tensor([across, up], dtype=torch.float64).permute(2, 0, 1).contiguous().unbind()
    )
    end = torch.tensor(0.02, dtype=torch.float64)
    alpha, sigma = Cosine().alpha(end).item(), Cosine().sigma(end).item()
    typical = peaks.log_prob(peaks.sample((1000, 2)), 1.0, 0.0).min()
    assert bool((peaks.log_prob(points(made["sde"][-1]), alpha, sigma) > typical - 2).all())


def test_figures_named_wrongly_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "figures.py"), "scoer", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown scoer" in done.stderr
    assert not any(tmp_path.iterdir())
