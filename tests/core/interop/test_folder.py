"""Folders that diffusers saves: read whole, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import diffusers
import pytest
import torch

from diff_core import (
    FromV,
    io,
)
from diff_core.interop import diffusers as from_diffusers
from diff_core.latent import from_latent
from foreign_networks import autoencoder, unet


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
    change(
        folder / "scheduler" / "scheduler_config.json",
        _class_name="CMStochasticIterativeScheduler",
    )
    with pytest.raises(
        io.CheckpointError, match="CMStochasticIterativeScheduler; expected one with a table"
    ):
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


def test_codec_folder_round_trip(tmp_path: Path) -> None:
    codec = from_diffusers.DiffusersCodec(autoencoder())
    codec.autoencoder.save_pretrained(tmp_path / "vae")
    again, z = from_diffusers.load_codec(tmp_path), torch.randn(1, 1, 8, 8)
    assert (again.scale, again.shift) == (0.5, 0.25)
    assert torch.equal(from_latent(again, z), from_latent(codec, z))
    change(tmp_path / "vae" / "config.json", latents_mean=[0.0])
    with pytest.raises(io.CheckpointError, match="latents_mean"):
        from_diffusers.load_codec(tmp_path)
