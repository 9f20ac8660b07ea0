"""The voice as one model: text in, log-mel out.

Mehta et al., "Matcha-TTS: A fast TTS architecture with conditional flow matching" (2024), after
Popov et al., "Grad-TTS: A Diffusion Probabilistic Model for Text-to-Speech" (2021): an encoder
gives each symbol a mean mel and a duration; the means, stretched to frames, are mu; a flow turns
noise into a mel given mu. Here the flow makes the residual x_0 - mu, which is the same flow seen
from mu(1 - t): x_t = (1 - t) x_0 + t z moves on the same straight paths, and Euler's steps are
equal. The network gets what it has to know of mu, together with the encoder's features and the
place of each frame in its symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from diff_audio.voice.alignment import expand, monotonic_alignment
from diff_audio.voice.network import TextEncoder, Velocity, frames_mask
from diff_core.condition import Condition
from diff_core.denoiser import FromFlow
from diff_core.forward import marginal
from diff_core.grid import uniform
from diff_core.noise import Noise
from diff_core.sample import Euler, sample
from diff_core.schedule import RectifiedFlow

__all__ = ["Encoded", "Prediction", "Voice", "best_durations"]

_SPEAKER_DIM = 32
_PLACES = 3


@dataclass(frozen=True)
class Encoded:
    """A batch of texts, read.

    hidden:     (B, I, D) features of the symbols
    mean:       (B, I, bands) mean standardised log-mel of each
    log_frames: (B, I) log(1 + its frames)
    speaker:    (B, S)
    tokens:     (B,) number of symbols
    """

    hidden: Tensor
    mean: Tensor
    log_frames: Tensor
    speaker: Tensor
    tokens: Tensor


class Prediction(NamedTuple):
    """The answer of a `Voice` about a batch in training.

    mean:       (B, bands, J) mu
    log_frames: (B, I) log(1 + frames) of each symbol
    durations:  (B, I) frames of each symbol on the best alignment
    flow:       (B, bands, J) the network's velocity, and `target`, what it should be
    """

    mean: Tensor
    log_frames: Tensor
    durations: Tensor
    flow: Tensor
    target: Tensor


class Voice(nn.Module):
    """A model from text to log-mel.

    symbols:   size of the alphabet, `len(diff_audio.text.SYMBOLS)`
    bands:     of the mel
    speakers:  how many; their names are in the card
    width, depth, heads: sizes of the text encoder
    decoder_width, dilations: sizes of the flow's network, one block for each dilation
    spread:    standard deviation of x_0 - mu, standardised
    dropout:   share that the text encoder drops

    `band_mean` and `band_std` (bands,) are the training mels' statistics.
    """

    band_mean: Tensor
    band_std: Tensor

    def __init__(
        self,
        symbols: int,
        bands: int = 80,
        speakers: int = 1,
        *,
        width: int = 160,
        depth: int = 3,
        heads: int = 4,
        decoder_width: int = 192,
        dilations: Sequence[int] = (1, 2, 4, 1, 2, 4),
        spread: float = 0.6,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.config: dict[str, object] = {
            "symbols": symbols,
            "bands": bands,
            "speakers": speakers,
            "width": width,
            "depth": depth,
            "heads": heads,
            "decoder_width": decoder_width,
            "dilations": tuple(dilations),
            "spread": spread,
            "dropout": dropout,
        }
        self.bands = bands
        self.register_buffer("band_mean", torch.zeros(bands))
        self.register_buffer("band_std", torch.ones(bands))
        self.speaker = nn.Embedding(speakers, _SPEAKER_DIM)
        self.encoder = TextEncoder(
            symbols,
            bands,
            width=width,
            depth=depth,
            heads=heads,
            speaker_dim=_SPEAKER_DIM,
            dropout=dropout,
        )
        velocity = Velocity(
            bands,
            bands + width + _PLACES,
            width=decoder_width,
            dilations=dilations,
            speaker_dim=_SPEAKER_DIM,
            spread=spread,
        )
        self.denoiser = FromFlow(velocity, RectifiedFlow())

    def standardise(self, mel: Tensor) -> Tensor:
        """Return a log-mel (B, bands, J) with zero mean and unit deviation of every band."""
        return (mel - self.band_mean[:, None]) / self.band_std[:, None]

    def forward(
        self,
        x: Tensor,
        frames: Tensor,
        symbols: Tensor,
        tokens: Tensor,
        speaker: Tensor,
        first: Tensor,
        t: Tensor,
        noise: Tensor,
        pull: float,
    ) -> Prediction:
        """Return all that training compares: one pass through both networks.

        x:       (B, bands, J) standardised mels, of which the first `frames` (B,) are valid
        symbols: (B, I), of which the first `tokens` (B,) are valid
        speaker: (B,) numbers
        first, pull: see `best_durations`
        t, noise: (B,) and (B, bands, J), where on the path the flow is asked
        """
        encoded = self.encode(symbols, tokens, speaker)
        durations = best_durations(x, encoded, frames, first, pull)
        mean, cond = self.condition(encoded, durations)
        inside = frames_mask(frames, x.shape[2]).transpose(1, 2)
        residual = (x - mean.detach()) * inside
        x_t = marginal(self.denoiser.schedule, residual, t, noise)
        flow = self.denoiser.network(x_t, t, cond)
        return Prediction(mean, encoded.log_frames, durations, flow, noise - residual)

    def encode(self, symbols: Tensor, tokens: Tensor, speaker: Tensor) -> Encoded:
        """Read symbols (B, I), of which the first `tokens` (B,) are valid, for speaker (B,)."""
        vector = self.speaker(speaker)
        mask = frames_mask(tokens, symbols.shape[1]).to(vector.dtype)
        hidden, mean, log_frames = self.encoder(symbols, vector, mask)
        return Encoded(hidden.float(), mean.float(), log_frames.float(), vector, tokens)

    def condition(self, encoded: Encoded, durations: Tensor) -> tuple[Tensor, Condition]:
        """Return mu (B, bands, J) and the condition of the flow, for durations (B, I) in
        frames.
        """
        frames = int(durations.sum(1).max())
        rows = expand(
            torch.cat([encoded.mean, encoded.hidden, _bounds(durations)], dim=2), durations, frames
        )
        mean, hidden, bounds = rows.split([self.bands, encoded.hidden.shape[2], 2], dim=2)
        channels = torch.cat([mean, hidden, _places(bounds)], dim=2).transpose(1, 2)
        lengths = durations.sum(1)
        cond = Condition(vector=encoded.speaker, channels=channels, lengths=lengths)
        return mean.transpose(1, 2), cond

    def durations(self, encoded: Encoded, rate: float | Tensor = 1.0) -> Tensor:
        """Return frames (B, I) int64 of each symbol at `rate` times the usual speed, at least 1
        each; `rate` is one number, or one for each symbol (B, I).

        Ends of symbols, not durations, are rounded, so that roundings do not add up.
        """
        valid = frames_mask(encoded.tokens, encoded.log_frames.shape[1])[..., 0]
        # a cap of a thousand frames keeps a badly trained model from asking for all memory
        exact = encoded.log_frames.double().exp().sub(1).clamp(1, 1000) / rate * valid
        ends = exact.cumsum(1).round().long()
        first = torch.zeros_like(ends[:, :1])
        return torch.diff(ends, dim=1, prepend=first).clamp(min=1) * valid

    @torch.no_grad()
    def speak(
        self,
        encoded: Encoded,
        durations: Tensor,
        noise: Noise,
        *,
        steps: int = 4,
        temperature: float = 0.3,
    ) -> Tensor:
        """Return log-mels (B, bands, J) of texts whose symbols last `durations` (B, I) frames.

        steps:       of Euler's method
        temperature: scale of the noise that the flow starts from; 0 gives the most typical mel
        """
        mean, cond = self.condition(encoded, durations)
        start = temperature * noise(-1, mean)
        residual = sample(self.denoiser, Euler(), start, uniform(steps), cond=cond)
        return (mean + residual) * self.band_std[:, None] + self.band_mean[:, None]


def _bounds(durations: Tensor) -> Tensor:
    """Return the first frame and frames of each symbol, (B, I, 2)."""
    starts = durations.cumsum(1) - durations
    return torch.stack([starts, durations], dim=2).float()


def _places(bounds: Tensor) -> Tensor:
    """Return the place of each frame in its symbol, (B, J, 3): share done, share to come, log of
    frames.
    """
    starts, frames = bounds.unbind(2)
    index = torch.arange(bounds.shape[1], device=bounds.device)
    share = (index + 0.5 - starts) / frames.clamp(min=1)
    return torch.stack([share, 1 - share, 0.3 * frames.clamp(min=1).log()], dim=2)


@torch.no_grad()
def best_durations(
    x: Tensor, encoded: Encoded, frames: Tensor, first: Tensor | None = None, pull: float = 0.0
) -> Tensor:
    """Return durations (B, I) on the best alignment of standardised mels x (B, bands, J) to the
    means.

    The log-probability of a frame is that of a Gaussian of unit variance about the mean of its
    symbol. With `first`, durations (B, I), it loses `pull` for each frame between it and the
    symbol's place there.
    """
    with torch.autocast(x.device.type, enabled=False):
        mean, x = encoded.mean.float(), x.float()
        score = mean @ x - 0.5 * mean.square().sum(2, keepdim=True)  # |x|^2 is the same for all
    if first is not None and pull:
        ends = first.cumsum(1)[..., None].float()
        j = torch.arange(x.shape[2], device=x.device).float()
        away = (ends - first[..., None] - j).clamp(min=0) + (j + 1 - ends).clamp(min=0)
        score = score - pull * away
    return monotonic_alignment(score, encoded.tokens, frames)
