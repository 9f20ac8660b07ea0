"""The loss of the voice: means, durations and the flow together.

Grad-TTS (Popov et al., 2021), equations 10 to 12, and Matcha-TTS (Mehta et al., 2024), section 3:

    prior     |x - mu|^2 / 2        with mu along the best alignment under the means themselves
    duration  (log(1 + d) - log(1 + d_predicted))^2
    flow      |v(x_t, t, mu) - (z - x_0)|^2,  x_t = (1 - t) x_0 + t z,  t uniform
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_audio.voice.model import Prediction, Voice
from diff_audio.voice.network import frames_mask

__all__ = ["Speaking"]


@dataclass(frozen=True)
class Speaking:
    """The loss (B,) of a `Voice` on a batch of `diff_audio.voice.training.corpus.Batches`.

    prior_weight, duration_weight, flow_weight: weights of the terms, each a mean over entries
    pull: log-probability that an alignment pays for each frame by which a frame lies outside its
        symbol's place in the flat start: it decides while the means still know nothing
    """

    prior_weight: float = 0.5
    duration_weight: float = 0.3
    flow_weight: float = 1.0
    pull: float = 1.0

    def __call__(
        self, model: Voice, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        terms = self.terms(model, batch, generator)
        return (
            self.prior_weight * terms["prior"]
            + self.duration_weight * terms["duration"]
            + self.flow_weight * terms["flow"]
        )

    def terms(
        self, model: Voice, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The three terms without their weights, (B,) each."""
        frames, tokens = batch["frames"], batch["tokens"]
        inside = frames_mask(frames, batch["mel"].shape[2]).transpose(1, 2)
        x = model.standardise(batch["mel"]) * inside
        # one time in each of B equal parts of [0, 1): the loss of a batch varies less
        count = len(x)
        shift = torch.rand(1, generator=generator).to(x.device)
        t = (torch.arange(count, device=x.device) / count + shift) % 1
        noise = torch.randn(x.shape, generator=generator).to(x)
        found: Prediction = model(
            x,
            frames,
            batch["symbols"],
            tokens,
            batch["speaker"],
            batch["durations"],
            t,
            noise,
            self.pull,
        )

        def over_frames(squares: Tensor) -> Tensor:
            return (squares * inside).sum((1, 2)) / (frames * model.bands)

        spoken = frames_mask(tokens, found.durations.shape[1])[..., 0]
        off = (found.log_frames - torch.log1p(found.durations.float())) * spoken
        return {
            "prior": 0.5 * over_frames((x - found.mean).square()),
            "duration": off.square().sum(1) / tokens,
            "flow": over_frames((found.flow - found.target).square()),
        }
