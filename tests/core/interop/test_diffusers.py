"""Networks of diffusers, sampled here as their own library samples them."""

from __future__ import annotations

import diffusers
import pytest
import torch
from torch import Tensor

from diff_core import (
    Ancestral,
    Condition,
    Ddim,
    Edm,
    Euler,
    FromFlow,
    RectifiedFlow,
    uniform,
)
from diff_core.interop import diffusers as from_diffusers
from diff_core.sample import sample
from foreign_networks import CLASSES, filled, noise, unet

each_prediction = pytest.mark.parametrize("prediction", CLASSES)


@each_prediction
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_ddim_of_a_diffusers_unet_equals_diffusers(
    prediction: str, spacing: str, eta: float
) -> None:
    network = unet()
    theirs = diffusers.DDIMScheduler(
        clip_sample=False, prediction_type=prediction, timestep_spacing=spacing
    )
    source, start = noise(2, 1, 8, 8)
    theirs.set_timesteps(8)
    x = start
    with torch.no_grad():
        for k, index in enumerate(theirs.timesteps):
            answer = network(x, index).sample
            x = theirs.step(
                answer, index, x, eta=eta, variance_noise=source(k, x) if eta else None
            ).prev_sample
    denoiser = from_diffusers.denoiser(network, theirs)
    assert type(denoiser) is CLASSES[prediction]
    times = from_diffusers.times(theirs, 8)
    ours = sample(denoiser, Ddim(eta), start, times, noise=source)
    scale = x.abs().max().item()
    torch.testing.assert_close(ours / scale, x / scale, rtol=0, atol=1e-4)
    assert times[0] == (1.0 if spacing == "trailing" else 0.876) and times[-1] == 0


def test_ancestral_of_a_diffusers_unet_equals_their_ddpm() -> None:
    network = unet()
    theirs = diffusers.DDPMScheduler(
        num_train_timesteps=20, beta_end=0.3, clip_sample=False, prediction_type="v_prediction"
    )
    theirs.set_timesteps(20)
    start = noise(1, 1, 8, 8)[1]

    class Theirs:
        """The noise that diffusers draws, one tensor a step from one generator."""

        def __call__(self, k: int, like: Tensor) -> Tensor:
            generator = torch.Generator().manual_seed(5)
            return [torch.randn(like.shape, generator=generator) for _ in range(k + 1)][k]

    generator, x = torch.Generator().manual_seed(5), start
    with torch.no_grad():
        for index in theirs.timesteps:
            answer = network(x, index).sample
            x = theirs.step(answer, index, x, generator=generator).prev_sample
    ours = sample(
        from_diffusers.denoiser(network, theirs), Ancestral(), start, uniform(20), noise=Theirs()
    )
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)


def test_flow_matching_equals_diffusers() -> None:
    network = unet()
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs.set_timesteps(6)
    x = start = noise(2, 1, 8, 8)[1]
    with torch.no_grad():
        for index in theirs.timesteps:
            x = theirs.step(network(x, index.expand(2)).sample, index, x).prev_sample
    denoiser = from_diffusers.denoiser(network, theirs)
    assert type(denoiser) is FromFlow and denoiser.schedule == RectifiedFlow()
    ours = sample(denoiser, Euler(), start, from_diffusers.times(theirs, 6))
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)


def test_grid_of_a_two_call_scheduler_names_each_time_once() -> None:
    theirs = diffusers.HeunDiscreteScheduler(timestep_spacing="trailing")
    torch.testing.assert_close(from_diffusers.times(theirs, 10), uniform(10))
    zero = diffusers.DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    denoiser = from_diffusers.denoiser(unet(), zero)
    assert denoiser.schedule.alpha(torch.ones(())) == 0
    assert sample(denoiser, Ddim(), noise(1, 1, 8, 8)[1], uniform(3)).isfinite().all()


@pytest.mark.parametrize(
    "kind", [diffusers.KDPM2DiscreteScheduler, diffusers.KDPM2AncestralDiscreteScheduler]
)
def test_grid_of_a_scheduler_that_interpolates_has_the_ends_of_its_steps(kind: type) -> None:
    """KDPM2 names the middle of every step too, at a time that depends on the method."""
    theirs = kind(timestep_spacing="trailing")
    torch.testing.assert_close(from_diffusers.times(theirs, 10), uniform(10))


def test_a_network_of_karras_et_al_equals_their_own_walk() -> None:
    network = unet()
    theirs = diffusers.EDMEulerScheduler(sigma_max=20.0, sigma_data=0.7)
    theirs.set_timesteps(6)
    start = 20.0 * noise(1, 1, 8, 8)[1]
    x = start
    with torch.no_grad():
        for index in theirs.timesteps:
            answer = network(theirs.scale_model_input(x, index), index).sample
            x = theirs.step(answer, index, x).prev_sample
    denoiser = from_diffusers.denoiser(network, theirs)
    assert denoiser.schedule == Edm(20.0)
    ours = sample(denoiser, Euler(), start, from_diffusers.times(theirs, 6))
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)
    other = diffusers.EDMEulerScheduler(prediction_type="v_prediction")
    with pytest.raises(ValueError, match="prediction_type = 'v_prediction'; expected 'epsilon'"):
        from_diffusers.denoiser(network, other)


def test_class_numbers_tokens_and_channels_reach_a_diffusers_network() -> None:
    x, index = torch.randn(2, 1, 8, 8), torch.tensor([4.0, 500.0])
    time = (index + 1) / 1000
    network = unet(num_class_embeds=5)
    wrapped = from_diffusers.DiffusersNetwork(network)
    got = wrapped(x, time, Condition(vector=torch.tensor([[3.0], [1.0]])))
    torch.testing.assert_close(got, network(x, index, torch.tensor([3, 1])).sample)
    with pytest.raises(ValueError, match=r"cond.vector has shape \(2, 4\)"):
        wrapped(x, time, Condition(vector=torch.zeros(2, 4)))

    network = unet(class_embed_type="timestep")
    wrapped = from_diffusers.DiffusersNetwork(network)
    got = wrapped(x, time, Condition(vector=torch.tensor([[3.0], [1.0]])))
    torch.testing.assert_close(got, network(x, index, torch.tensor([3, 1])).sample)
    network = unet(class_embed_type="identity")
    vector = torch.randn(2, 32)
    got = from_diffusers.DiffusersNetwork(network)(x, time, Condition(vector=vector))
    torch.testing.assert_close(got, network(x, index, vector).sample)
    network = unet(time_embedding_type="learned", num_train_timesteps=1000)
    got = from_diffusers.DiffusersNetwork(network)(x, time)
    torch.testing.assert_close(got, network(x, index.long()).sample)

    channels = torch.randn(2, 2, 8, 8)
    network = unet(in_channels=3)
    wrapped = from_diffusers.DiffusersNetwork(network)
    got = wrapped(x, time, Condition(channels=channels))
    torch.testing.assert_close(got, network(torch.cat([x, channels], 1), index).sample)

    network = filled(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=4,
            cross_attention_dim=6,
        )
    )
    wrapped, tokens = from_diffusers.DiffusersNetwork(network), torch.randn(2, 3, 6)
    got = wrapped(x, time, Condition(tokens=tokens))
    torch.testing.assert_close(got, network(x, index, tokens).sample)
    with pytest.raises(ValueError, match="cond has no tokens"):
        wrapped(x, time)
    # padding, NaN even, is not looked at
    short, tokens[0, 2:] = wrapped(x[:1], time[:1], Condition(tokens=tokens[:1, :2])), torch.nan
    padded = Condition(tokens=tokens, token_lengths=torch.tensor([2, 3]))
    torch.testing.assert_close(wrapped(x, time, padded)[:1], short)
