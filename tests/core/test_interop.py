"""Networks of MONAI and diffusers, sampled here as their own libraries sample them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import diffusers
import pytest
import torch
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, RFlowScheduler
from torch import Tensor, nn

from diff_core import (
    Ancestral,
    Condition,
    Cosine,
    Ddim,
    Denoiser,
    DpmSolverPP2M,
    Euler,
    FromEps,
    FromFlow,
    FromV,
    FromX0,
    Keyed,
    RectifiedFlow,
    Tabulated,
    io,
    uniform,
)
from diff_core.interop import ModuleNetwork, from_table
from diff_core.interop import diffusers as from_diffusers
from diff_core.interop import monai as from_monai
from diff_core.latent import Codec, from_latent, sample_latent, to_latent
from diff_core.sample import sample

SMALL = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
}
MONAI = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "num_res_blocks": 1,
    "channels": (8, 16),
    "attention_levels": (False, True),
    "norm_num_groups": 4,
    "num_head_channels": 4,
}
CLASSES = {"epsilon": FromEps, "sample": FromX0, "v_prediction": FromV}
each_prediction = pytest.mark.parametrize("prediction", CLASSES)


def filled(network: nn.Module) -> nn.Module:
    """Random weights everywhere: MONAI's last layer starts at 0."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(0.15 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def unet(**change: object) -> nn.Module:
    return filled(diffusers.UNet2DModel(**(SMALL | change)))


def noise(*shape: int) -> tuple[Keyed, Tensor]:
    source = Keyed(range(shape[0]))
    return source, source(-1, torch.empty(shape))


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


def test_folder_round_trip(tmp_path: Path) -> None:
    network = unet()
    theirs = diffusers.DDIMScheduler(prediction_type="v_prediction", beta_schedule="linear")
    diffusers.DDIMPipeline(network, theirs).save_pretrained(tmp_path)
    denoiser = from_diffusers.load(tmp_path)
    assert type(denoiser) is FromV and not denoiser.training
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.1, 0.8])
    expected = from_diffusers.denoiser(network, theirs)
    assert torch.equal(denoiser(x, t), expected(x, t))
    # and on, into a file of this package
    io.save(tmp_path / "ours.safetensors", denoiser, io.Card(name="converted"))
    again, _ = io.load(tmp_path / "ours.safetensors", types=from_diffusers.types())
    assert again.schedule == denoiser.schedule
    assert torch.equal(again(x, t), expected(x, t))


def saved(folder: Path) -> Path:
    pipeline = diffusers.DDIMPipeline(unet(), diffusers.DDIMScheduler())
    pipeline.save_pretrained(folder)
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_folder_that_does_not_map_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(io.CheckpointError, match=r"config.json: no such file"):
        from_diffusers.load(tmp_path)
    folder = saved(tmp_path / "kind")
    change(folder / "unet" / "config.json", _class_name="FluxTransformer2DModel")
    with pytest.raises(io.CheckpointError, match="holds a 'FluxTransformer2DModel'.*UNet2DModel"):
        from_diffusers.load(folder)
    folder = saved(tmp_path / "scheduler")
    change(folder / "scheduler" / "scheduler_config.json", _class_name="os.system")
    with pytest.raises(io.CheckpointError, match="'os.system'"):
        from_diffusers.load(folder)
    change(folder / "scheduler" / "scheduler_config.json", _class_name="EDMEulerScheduler")
    with pytest.raises(io.CheckpointError, match="EDMEulerScheduler; expected one with a table"):
        from_diffusers.load(folder)
    (folder / "scheduler" / "scheduler_config.json").write_text("{")
    with pytest.raises(io.CheckpointError, match="not JSON"):
        from_diffusers.load(folder)


def test_folder_with_other_weights_is_refused(tmp_path: Path) -> None:
    weights = "diffusion_pytorch_model.safetensors"
    folder = saved(tmp_path / "pickle")
    (folder / "unet" / weights).rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(io.CheckpointError, match="no safetensors file; pickles are not read"):
        from_diffusers.load(folder)
    folder = saved(tmp_path / "torn")
    whole = (folder / "unet" / weights).read_bytes()
    (folder / "unet" / weights).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(io.CheckpointError, match="cannot be read"):
        from_diffusers.load(folder)
    folder = saved(tmp_path / "wide")
    change(folder / "unet" / "config.json", block_out_channels=[8, 32])
    with pytest.raises(io.CheckpointError, match=r"cannot be read|do not fit"):
        from_diffusers.load(folder)
    folder = saved(tmp_path / "classes")
    change(folder / "unet" / "config.json", num_class_embeds=3)
    with pytest.raises(io.CheckpointError, match="missing_keys are 1.* class_embedding.weight"):
        from_diffusers.load(folder)


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


def codecs() -> dict[str, Codec]:
    return {
        "monai": from_monai.MonaiCodec(
            filled(
                AutoencoderKL(
                    spatial_dims=2,
                    num_res_blocks=1,
                    channels=(8, 8),
                    attention_levels=(False, False),
                    latent_channels=1,
                    norm_num_groups=4,
                    with_encoder_nonlocal_attn=False,
                    with_decoder_nonlocal_attn=False,
                )
            ),
            scale=0.5,
        ),
        "diffusers": from_diffusers.DiffusersCodec(
            filled(
                diffusers.AutoencoderKL(
                    in_channels=1,
                    out_channels=1,
                    block_out_channels=(8, 8),
                    down_block_types=("DownEncoderBlock2D",) * 2,
                    up_block_types=("UpDecoderBlock2D",) * 2,
                    latent_channels=1,
                    norm_num_groups=4,
                    scaling_factor=0.5,
                    shift_factor=0.25,
                )
            )
        ),
    }


def test_latents_are_those_of_each_library() -> None:
    x, z = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 8, 8)
    by_name = codecs()
    theirs = by_name["monai"].autoencoder
    torch.testing.assert_close(to_latent(by_name["monai"], x), theirs.encode(x)[0] * 0.5)
    torch.testing.assert_close(from_latent(by_name["monai"], z), theirs.decode(z / 0.5))
    # as their pipelines do it: (latent - shift) * scaling, and latent / scaling + shift
    theirs = by_name["diffusers"].autoencoder
    mode = theirs.encode(x).latent_dist.mode()
    torch.testing.assert_close(to_latent(by_name["diffusers"], x), (mode - 0.25) * 0.5)
    decoded = theirs.decode(z / 0.5 + 0.25).sample
    torch.testing.assert_close(from_latent(by_name["diffusers"], z), decoded)


@pytest.mark.parametrize("name", ["monai", "diffusers"])
def test_latent_sampling_with_either_autoencoder(name: str) -> None:
    codec, network = codecs()[name], unet()
    denoiser = from_diffusers.denoiser(network, diffusers.DDIMScheduler(clip_sample=False))
    start = noise(2, 1, 8, 8)[1]
    times = uniform(4, start=0.9)
    got = sample_latent(denoiser, codec, Ddim(), start, times)
    with torch.no_grad():
        expected = codec.decode(sample(denoiser, Ddim(), start, times) / 0.5)
    assert got.shape == (2, 1, 16, 16) and not got.requires_grad
    assert torch.equal(got, expected)


def test_codec_folder_round_trip(tmp_path: Path) -> None:
    codec = codecs()["diffusers"]
    codec.autoencoder.save_pretrained(tmp_path / "vae")
    again, z = from_diffusers.load_codec(tmp_path), torch.randn(1, 1, 8, 8)
    assert (again.scale, again.shift) == (0.5, 0.25)
    assert torch.equal(from_latent(again, z), from_latent(codec, z))
    change(tmp_path / "vae" / "config.json", latents_mean=[0.0])
    with pytest.raises(io.CheckpointError, match="latents_mean"):
        from_diffusers.load_codec(tmp_path)


class Plain(nn.Module):
    """f(x, t) as anyone would write it."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels, 1, 3, padding=1)
        self.seen: Tensor | None = None

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen = t
        return self.mix(x) + t[:, None, None]


def test_any_module_of_x_and_t() -> None:
    network, x = Plain(), torch.randn(2, 1, 8)
    denoiser: Denoiser = FromX0(ModuleNetwork(network), Cosine())
    got = sample(denoiser, Ddim(), x, uniform(1))
    assert torch.equal(got, network(x, torch.ones(2)))
    table = Tabulated((0.9, 0.5, 0.2, 0.1))
    told = ModuleNetwork(network, scale=4, offset=-1)
    denoiser = from_table(told, torch.tensor(table.alphas_cumprod), "v_prediction")
    expected = FromV(told, table)
    for t, index in ((1.0, 3.0), (0.5, 1.0), (0.25, 0.0), (0.1, 0.0)):
        torch.testing.assert_close(denoiser(x, torch.tensor(t)), expected(x, torch.tensor(t)))
        assert network.seen is not None and network.seen.tolist() == [index, index]
    wide = ModuleNetwork(Plain(3))
    channels = torch.randn(2, 2, 8)
    expected_wide = wide.network(torch.cat([x, channels], 1), torch.ones(2))
    assert torch.equal(wide(x, torch.ones(2), Condition(channels=channels)), expected_wide)


def test_errors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    x, time = torch.randn(2, 1, 8), torch.ones(2)
    wrapped = ModuleNetwork(Plain())
    for name in ("vector", "tokens", "lengths"):
        with pytest.raises(ValueError, match=f"cond has {name}.*Plain does not take"):
            wrapped(x, time, Condition(**{name: torch.ones(2)}))
    with pytest.raises(ValueError, match=r"returned shape \(2, 1, 8\).*\(2, 3, 8\)"):
        ModuleNetwork(Plain(3))(torch.randn(2, 3, 8), time)
    with pytest.raises(ValueError, match="prediction_type is 'noise'; expected one of epsilon"):
        from_table(wrapped, torch.tensor([0.9, 0.5]), "noise")
    with pytest.raises(ValueError, match="network is a Plain; expected one of UNet1DModel"):
        from_diffusers.DiffusersNetwork(Plain())
    for library, module, call in (
        ("diffusers", "diffusers", from_diffusers.types),
        ("monai", "monai.networks.nets.autoencoderkl", from_monai.types),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ModuleNotFoundError, match=rf"pip install diff-core\[{library}\]"):
            call()
