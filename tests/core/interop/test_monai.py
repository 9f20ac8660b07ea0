"""Networks of MONAI, sampled here as their own library samples them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, RFlowScheduler
from torch import nn

from diff_core import (
    Ancestral,
    Condition,
    Ddim,
    DpmSolverPP2M,
    io,
    uniform,
)
from diff_core.interop import monai as from_monai
from diff_core.sample import sample
from foreign_networks import CLASSES, MONAI, filled, noise

each_prediction = pytest.mark.parametrize("prediction", CLASSES)


def test_monai_network_sampled_here_equals_monai() -> None:
    # MONAI 1.6.1 takes its timesteps and its step widths from different grids, unless every step
    # of the table is taken
    network = filled(DiffusionModelUNet(**MONAI))
    theirs = DDIMScheduler(
        num_train_timesteps=12, beta_start=0.05, beta_end=0.5, clip_sample=False
    )
    theirs.set_timesteps(12)
    source, start = noise(1, 1, 4, 8, 4)
    x = start
    with torch.no_grad():
        for index in theirs.timesteps:
            x, _ = theirs.step(network(x, index[None]), int(index), x)
    denoiser = from_monai.denoiser(network, theirs)
    ours = sample(denoiser, Ddim(), start, uniform(12))
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)
    # with fewer steps, and by samplers that MONAI does not have
    few = sample(denoiser, DpmSolverPP2M(), start, uniform(6))
    assert few.shape == start.shape and few.isfinite().all()
    assert sample(denoiser, Ancestral(), start, uniform(6), noise=source).isfinite().all()


@each_prediction
def test_monai_predictions_map(prediction: str) -> None:
    scheduler = DDPMScheduler(num_train_timesteps=50, prediction_type=prediction)
    denoiser = from_monai.denoiser(nn.Identity(), scheduler)
    assert type(denoiser) is CLASSES[prediction]
    # entry 9 of the table is t = 10 / 50
    alpha = denoiser.schedule.alpha(torch.tensor(0.2, dtype=torch.float64))
    assert alpha.item() ** 2 == pytest.approx(scheduler.alphas_cumprod[9].item(), rel=1e-6)


def test_conditions_reach_a_monai_network() -> None:
    settings = MONAI | {
        "spatial_dims": 2,
        "with_conditioning": True,
        "cross_attention_dim": 6,
        "num_class_embeds": 4,
    }
    network = filled(DiffusionModelUNet(**settings))
    wrapped = from_monai.MonaiNetwork(network)
    x, tokens, index = torch.randn(2, 1, 8, 8), torch.randn(2, 3, 6), torch.tensor([0.0, 70.0])
    cond = Condition(tokens=tokens, vector=torch.tensor([[2.0], [0.0]]))
    expected = network(x, index, context=tokens, class_labels=torch.tensor([2, 0]))
    torch.testing.assert_close(
        wrapped(x, (index + 1) / 1000, cond), expected, rtol=1e-4, atol=1e-5
    )
    # before the first entry of the table, the network is told the first
    early = wrapped(x, torch.zeros(2), cond)
    torch.testing.assert_close(
        early, network(x, torch.zeros(2), context=tokens, class_labels=torch.tensor([2, 0]))
    )
    plain = from_monai.MonaiNetwork(filled(DiffusionModelUNet(**MONAI)))
    with pytest.raises(ValueError, match="cond has tokens.* DiffusionModelUNet does not take"):
        plain(torch.randn(2, 1, 4, 4, 4), torch.ones(2), Condition(tokens=tokens))


def test_monai_network_saved_and_loaded(tmp_path: Path) -> None:
    network = filled(from_monai.unet(**MONAI))
    denoiser = from_monai.denoiser(network, DDPMScheduler(num_train_timesteps=50)).eval()
    io.save(tmp_path / "monai.safetensors", denoiser, io.Card(name="monai"))
    again, _ = io.load(tmp_path / "monai.safetensors", types=from_monai.types())
    x, t = torch.randn(1, 1, 4, 4, 4), torch.tensor(0.3)
    assert torch.equal(again(x, t), denoiser(x, t))
    with pytest.raises(ValueError, match="RFlowScheduler; expected one with a table"):
        from_monai.denoiser(network, RFlowScheduler())
