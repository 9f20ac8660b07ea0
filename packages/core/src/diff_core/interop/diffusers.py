"""diffusers' U-Nets, schedulers and autoencoders, and the folders that it saves them in.

A folder is read with safetensors and JSON alone; pickles in it are never opened, and nothing is
fetched from anywhere.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from diff_core.checkpoint.tensors import CheckpointError
from diff_core.coefficients import floats
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, Preconditioned
from diff_core.grid import check_times
from diff_core.interop.module import ModuleNetwork, class_labels
from diff_core.interop.table import from_table, prediction
from diff_core.nn.lengths import valid_tokens
from diff_core.schedule import Edm, RectifiedFlow

__all__ = [
    "NETWORKS",
    "DiffusersCodec",
    "DiffusersNetwork",
    "denoiser",
    "load",
    "load_codec",
    "settings_of",
    "times",
    "types",
]

NETWORKS = ("UNet1DModel", "UNet2DModel", "UNet2DConditionModel", "UNet3DConditionModel")
"""The architectures that map: called as network(x, time[, tokens], class_labels=...)."""


class DiffusersNetwork(ModuleNetwork):
    """One of `NETWORKS`, told the index of its table of `scale` steps.

    Takes `Condition.tokens` (B, L, D) as encoder_hidden_states, which a ConditionModel needs, with
    `Condition.token_lengths` as encoder_attention_mask where it knows one (two axes), and
    `Condition.vector` as its class: (B, 1) class numbers, or a vector of the network's own width
    where its class_embed_type is one of a vector ("identity", "projection").
    Raises ValueError for another architecture, or one with additional embeddings (SDXL).
    """

    def __init__(self, network: nn.Module, *, scale: float = 1000.0, offset: float = -1.0) -> None:
        super().__init__(network, scale=scale, offset=offset)
        kind, settings = type(network).__name__, settings_of(network)
        if kind not in NETWORKS:
            raise ValueError(f"network is a {kind}; expected one of {', '.join(NETWORKS)}")
        if settings.get("addition_embed_type") is not None:
            raise ValueError(
                f"network has addition_embed_type = {settings['addition_embed_type']!r}; expected "
                "a network without additional embeddings"
            )
        slots = {"channels"}
        embeds = settings.get("class_embed_type")
        if embeds is not None or settings.get("num_class_embeds") is not None:
            slots.add("vector")
        self.numbered = embeds in (None, "timestep")
        self.tokens = "Condition" in kind
        if self.tokens:
            slots.add("tokens")
        if kind == "UNet2DConditionModel":
            slots.add("token_lengths")
        self.takes = frozenset(slots)
        self.whole_steps = settings.get("time_embedding_type") == "learned"

    def call(self, x: Tensor, told: Tensor, cond: Condition) -> Tensor:
        given: dict[str, Any] = {"return_dict": False}
        if "vector" in self.takes:
            vector = cond.vector
            given["class_labels"] = (
                class_labels(vector) if self.numbered and vector is not None else vector
            )
        if self.tokens:
            if cond.tokens is None:
                raise ValueError(
                    f"cond has no tokens; {type(self.network).__name__} expects (B, L, D)"
                )
            given["encoder_hidden_states"], keys = valid_tokens(cond.tokens, cond.token_lengths, x)
            if keys is not None:
                given["encoder_attention_mask"] = keys[:, 0, 0]
        (answer,) = self.network(x, told.round().long() if self.whole_steps else told, **given)
        return answer


class DiffusersCodec(nn.Module):
    """An `AutoencoderKL` as a `Codec`: the mode of its latent distribution, and its decoder.

    `scale` is the autoencoder's scaling_factor unless given; its shift_factor, where it has one,
    is subtracted from the latents.
    Raises ValueError for an autoencoder with a mean and deviation for each channel.
    """

    def __init__(self, autoencoder: nn.Module, scale: float | None = None) -> None:
        super().__init__()
        settings = settings_of(autoencoder)
        if settings.get("latents_mean") is not None or settings.get("latents_std") is not None:
            raise ValueError(
                "autoencoder has latents_mean or latents_std; expected one scaling_factor"
            )
        self.autoencoder = autoencoder
        self.scale = float(settings.get("scaling_factor", 1.0) if scale is None else scale)
        self.shift = float(settings.get("shift_factor") or 0.0)
        self.config: dict[str, object] = {"autoencoder": autoencoder, "scale": self.scale}

    def encode(self, x: Tensor) -> Tensor:
        return cast(Any, self.autoencoder).encode(x).latent_dist.mode() - self.shift

    def decode(self, z: Tensor) -> Tensor:
        return cast(Any, self.autoencoder).decode(z + self.shift, return_dict=False)[0]


def denoiser(network: nn.Module, scheduler: Any) -> Denoiser:
    """The denoiser of a network trained with a scheduler of diffusers.

    A table of alphas_cumprod becomes `Tabulated`, flow matching becomes `RectifiedFlow`, and the
    prediction_type is taken over. clip_sample and thresholding are not: they belong to the
    sampler there, see `interop.port`.
    EDM's scheduler becomes `Preconditioned` on `Edm`.
    Raises ValueError for a scheduler that has none of these, or an unknown prediction_type.
    """
    settings, kind = settings_of(scheduler), type(scheduler).__name__
    steps = float(settings.get("num_train_timesteps", 1000))
    if _is_flow(scheduler):
        wrapped = DiffusersNetwork(network, scale=steps, offset=0.0)
        predicts = prediction(settings.get("prediction_type", "flow_prediction"))
        return predicts(wrapped, RectifiedFlow())
    if _is_edm(scheduler):
        if settings["prediction_type"] != "epsilon":
            raise ValueError(
                f"scheduler is a {kind} with prediction_type = {settings['prediction_type']!r}; "
                "expected 'epsilon', as the networks of Karras et al. are"
            )
        told = DiffusersNetwork(network, scale=1.0, offset=0.0)  # of log(sigma) / 4
        return Preconditioned(told, Edm(settings["sigma_max"]), settings["sigma_data"])
    table: object = getattr(scheduler, "alphas_cumprod", None)
    if not isinstance(table, Tensor):
        raise ValueError(
            f"scheduler is a {kind}; expected one with a table of alphas_cumprod, "
            "flow matching or EDM's"
        )
    return from_table(DiffusersNetwork(network, scale=steps), table, settings["prediction_type"])


def times(scheduler: Any, steps: int) -> Tensor:
    """The grid, for `sample`, of the timesteps that the scheduler makes for `steps`, ending at 0.

    The spacing is the scheduler's own ("leading", "trailing", Karras, ...); index i of a table of
    N is t = (i + 1) / N. Its methods of two calls a step name some timesteps twice, or the middles
    of the steps as well (KDPM2): the ends of each step are there, once. The scheduler is left as
    it is.
    """
    settings = settings_of(scheduler)
    copy: Any = scheduler.__class__.from_config(settings)
    copy.set_timesteps(steps)
    if _is_flow(scheduler):
        grid = torch.as_tensor(copy.sigmas, dtype=torch.float64)
    elif _is_edm(scheduler):
        sigmas = torch.as_tensor(copy.sigmas, dtype=torch.float64)
        grid = (sigmas / settings["sigma_max"]).clamp(max=1)
    else:
        found = torch.as_tensor(copy.timesteps, dtype=torch.float64)
        if hasattr(copy, "sigmas_interpol"):
            found = found[::2]
        grid = (found + 1) / settings["num_train_timesteps"]
    values = {0.0, *floats(grid)}
    return check_times(torch.tensor(sorted(values, reverse=True), dtype=torch.float64))


def load(folder: str | os.PathLike[str]) -> Denoiser:
    """The denoiser in a folder of diffusers, in evaluation mode: a `unet` and a `scheduler`.

    Raises CheckpointError if the folder is not one, its architecture is not among `NETWORKS`, its
    weights are not safetensors or do not fit.
    """
    folder = Path(folder)
    network = _module(folder / "unet", NETWORKS)
    settings = _read(folder / "scheduler" / "scheduler_config.json")
    scheduler: Any = getattr(_library(), str(settings.get("_class_name")), None)
    if not hasattr(scheduler, "set_timesteps"):
        raise CheckpointError(
            f"{folder}: the scheduler is a {settings.get('_class_name')!r}, which this version of "
            "diffusers does not have"
        )
    try:
        return denoiser(network, scheduler.from_config(settings)).eval()
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def load_codec(folder: str | os.PathLike[str]) -> DiffusersCodec:
    """The autoencoder in the `vae` of a folder of diffusers. Raises CheckpointError as `load`."""
    autoencoder = _module(Path(folder) / "vae", ("AutoencoderKL",))
    try:
        return DiffusersCodec(autoencoder).eval()
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def types() -> dict[str, type]:
    """The types that `io.load` needs to rebuild a denoiser with a network of diffusers."""
    library = _library()
    theirs = {name: cast(type, getattr(library, name)) for name in (*NETWORKS, "AutoencoderKL")}
    return theirs | {kind.__name__: kind for kind in (DiffusersNetwork, DiffusersCodec)}


def _library() -> Any:
    try:
        import diffusers  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "diffusers is not installed; expected it here: pip install diff-core[diffusers]"
        ) from error
    return cast(Any, diffusers)


def _module(folder: Path, known: tuple[str, ...]) -> nn.Module:
    """The network or autoencoder in a folder, if it is of a known class."""
    name = _read(folder / "config.json").get("_class_name")
    if name not in known:
        raise CheckpointError(f"{folder}: holds a {name!r}; expected one of {', '.join(known)}")
    if not list(folder.glob("*.safetensors")):
        raise CheckpointError(f"{folder}: has no safetensors file; pickles are not read")
    try:
        module, report = getattr(_library(), str(name)).from_pretrained(
            str(folder),
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{folder}: cannot be read ({reason})") from error
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[what]:
            raise CheckpointError(
                f"{folder}: weights do not fit the model; {what} are {len(report[what])}, the "
                f"first is {report[what][0]}"
            )
    return module


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a folder that diffusers saved")
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON, or damaged ({error})") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: holds no settings")
    return cast("dict[str, Any]", settings)


def settings_of(thing: Any) -> dict[str, Any]:
    """The keywords that a network or scheduler of diffusers was made with; {} if it has none."""
    return dict(getattr(thing, "config", {}))


def _is_edm(scheduler: Any) -> bool:
    return type(scheduler).__name__.startswith("EDM")


def _is_flow(scheduler: Any) -> bool:
    settings = settings_of(scheduler)
    return (
        type(scheduler).__name__.startswith("FlowMatch")
        or bool(settings.get("use_flow_sigmas"))
        or settings.get("prediction_type") == "flow_prediction"
    )
