"""Stages that are guided away from weak versions of themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diff_core.condition import Condition
from diff_core.io import CheckpointError
from diff_medical.brain.fractions import fractions
from diff_medical.brain.model import BrainGenerator
from diff_medical.brain.sampling import Autoguided, BrainSampling, Steps
from diff_medical.brain.stage import Guidance
from tiny_brain import head, stage, write_brain

STEPS = Steps(2, 2, 2, 1, 1)


def other(name: str) -> Any:
    """A stage with other weights than `tiny_brain.stage`."""
    found = stage(name)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(0.5)
    return found


def test_the_estimate_is_what_the_paper_says() -> None:
    strong, weak = stage("anatomy"), other("anatomy")
    x, t = torch.randn(1, 40, 1, 2, 1), torch.tensor([0.01])
    cond = Condition(vector=torch.tensor([[1.0, -0.5, 0.3]]), channels=strong.position(1))
    null = Condition(vector=torch.zeros(1, 3), channels=strong.position(1))
    with torch.no_grad():
        told, silent, worse = strong(x, t, cond), strong(x, t, null), weak(x, t, cond)
        guided = silent + 3 * (told - silent)
        for guidance, expected in (
            (Guidance(), told),
            (Guidance(1.0, weak, 1.0), told),
            (Guidance(1.0, weak, 2.5), worse + 2.5 * (told - worse)),
            (Guidance(3.0, weak, 2.5), worse + 2.5 * (guided - worse)),
        ):
            torch.testing.assert_close(guidance.of(strong, cond)(x, t, cond), expected)
    assert not torch.allclose(told, worse) and not torch.allclose(told, silent)


@pytest.mark.parametrize("name", ["lobes", "folds"])
def test_a_finer_stage_is_guided_too(name: str) -> None:
    strong, weak = stage(name), other(name)
    coarse = fractions(torch.from_numpy(head())[None], 2 * strong.factor)
    with torch.no_grad():
        plain, off, guided = (
            strong.sample(coarse, [3], 2, guidance=guidance)
            for guidance in (Guidance(), Guidance(1.0, weak, 1.0), Guidance(1.0, weak, 3.0))
        )
    assert torch.equal(plain, off) and not torch.allclose(plain, guided)


def test_the_files_of_weak_versions_are_found_and_used(tmp_path: Path) -> None:
    from diff_core.io import load, save
    from diff_medical.brain.model import NETWORK_TYPES

    folder = write_brain(tmp_path / "brain")
    plain = BrainGenerator.from_pretrained(folder)
    sampling = BrainSampling(steps=STEPS)
    before = plain(0, sampling).labels
    made, card = load(folder / "brain-lobes.safetensors", types=NETWORK_TYPES)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(0.5)
    (folder / "weak").mkdir()
    save(folder / "weak" / "brain-lobes-weak.safetensors", made, card)
    guided = BrainGenerator.from_pretrained(folder)
    assert guided.fingerprint != plain.fingerprint
    assert guided.stages == plain.stages
    after = guided(0, sampling).labels
    off = BrainSampling(steps=STEPS, autoguided=Autoguided(1.0, 1.0, 1.0))
    assert np.array_equal(guided(0, off).labels, before)
    assert not np.array_equal(after, before)
    save(folder / "brain_lobes_weak.safetensors", made, card)
    with pytest.raises(CheckpointError, match="are both of the stage lobes_weak"):
        BrainGenerator.from_pretrained(folder)


def test_a_weight_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 10 of each stage"):
        Autoguided(lobes=-0.1)
