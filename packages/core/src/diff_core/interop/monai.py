"""MONAI's diffusion networks and autoencoders.

`DiffusionModelUNet` and its relatives from `monai.networks.nets`, its schedulers' tables, and
`AutoencoderKL` as a codec.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.interop.module import ModuleNetwork, class_labels
from diff_core.interop.table import from_table

__all__ = ["MonaiCodec", "MonaiNetwork", "denoiser", "types", "unet"]


class MonaiNetwork(ModuleNetwork):
    """A `DiffusionModelUNet`, told the index of its table of `scale` steps.

    Takes `Condition.tokens` (B, L, D) as its context, and `Condition.vector` (B, 1) as its class
    numbers, where the network was built for them.
    """

    def __init__(self, network: nn.Module, *, scale: float = 1000.0, offset: float = -1.0) -> None:
        super().__init__(network, scale=scale, offset=offset)
        slots = {"channels"}
        if getattr(network, "num_class_embeds", None) is not None:
            slots.add("vector")
        if getattr(network, "with_conditioning", False):
            slots.add("tokens")
        self.takes = frozenset(slots)

    def call(self, x: Tensor, told: Tensor, cond: Condition) -> Tensor:
        labels = None if cond.vector is None else class_labels(cond.vector)
        return self.network(x, told, context=cond.tokens, class_labels=labels)


class MonaiCodec(nn.Module):
    """An `AutoencoderKL` as a `Codec`: the mean of its latent distribution, and its decoder.

    MONAI does not keep the `scale` of the latents with the weights: find it with
    `latent.latent_scale`.
    """

    def __init__(self, autoencoder: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.scale = scale
        self.config: dict[str, object] = {"autoencoder": autoencoder, "scale": scale}

    def encode(self, x: Tensor) -> Tensor:
        mean, _ = cast(Any, self.autoencoder).encode(x)
        return mean

    def decode(self, z: Tensor) -> Tensor:
        return cast(Any, self.autoencoder).decode(z)


def denoiser(network: nn.Module, scheduler: nn.Module) -> Denoiser:
    """The denoiser of a `DiffusionModelUNet` trained with a scheduler of MONAI.

    Its table `alphas_cumprod` and its `prediction_type` are taken over; `clip_sample` is not: here
    it would be a matter of the sampler.
    Raises ValueError for a scheduler without a table (`RFlowScheduler`).
    """
    table: object = getattr(scheduler, "alphas_cumprod", None)
    if not isinstance(table, Tensor):
        raise ValueError(
            f"scheduler is a {type(scheduler).__name__}; expected one with a table of "
            "alphas_cumprod, as DDPMScheduler"
        )
    wrapped = MonaiNetwork(network, scale=float(table.numel()))
    return from_table(wrapped, table, str(cast(Any, scheduler).prediction_type))


def unet(**settings: Any) -> nn.Module:
    """A `DiffusionModelUNet` with these keywords that remembers them, so that `io` can save it."""
    network = types()["DiffusionModelUNet"](**settings)
    vars(network)["config"] = settings
    return network


def types() -> dict[str, type]:
    """The types that `io.load` needs to rebuild a denoiser with a MONAI network."""
    try:
        from monai.networks.nets.autoencoderkl import AutoencoderKL
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "MONAI is not installed; expected it here: pip install diff-core[monai]"
        ) from error
    named = (MonaiNetwork, MonaiCodec, DiffusionModelUNet, AutoencoderKL)
    return {kind.__name__: kind for kind in named}
