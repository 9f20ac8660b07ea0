"""Scores while training: one pass of the network over a small set that is always the same.

Held-out speakers in held-out noise, white noise and the babble of held-out speakers, at 5 dB.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from numpy.random import default_rng

from diff_audio.corpus import Corpus
from diff_audio.level import normalise
from diff_audio.metrics import estoi, pesq_wb, si_sdr
from diff_audio.mixing import Mixer, Mixing, coloured, scale_to_snr
from diff_audio.spectral import Spectral
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser

__all__ = ["Validation"]

Wave = np.ndarray[tuple[int], np.dtype[np.float32]]


class Validation:
    """Called with (denoiser, step): mean SI-SDR (dB), ESTOI and, where installed, PESQ.

    `count` mixtures of `seconds` at `snr` dB, a third each in recorded noise (white where there
    is none), babble and white noise, all of the split "val".
    """

    def __init__(
        self,
        corpus: Corpus,
        spectral: Spectral,
        count: int = 12,
        seconds: float = 4.0,
        snr: float = 5.0,
    ) -> None:
        self.spectral = spectral
        mixer = Mixer(corpus, Mixing(seconds=seconds, voices=(5, 5)), split="val")
        self.pairs: list[tuple[Wave, Wave]] = []
        for index in range(count):
            rng = default_rng((2026, index))
            speech = mixer.speech(rng)
            if index % 3 == 0 and mixer.has_noise:
                noise = mixer.recorded(rng)
            elif index % 3 == 1:
                noise = mixer.babble(rng)
            else:
                noise = coloured(rng, mixer.length, 0.0)
            self.pairs.append((speech, speech + scale_to_snr(speech, noise, snr)))

    def __call__(self, denoiser: Denoiser, step: int) -> dict[str, float]:
        """Of the enhanced mixtures; `step` is not used."""
        return self._mean([(clean, self.enhance(denoiser, noisy)) for clean, noisy in self.pairs])

    def noisy(self) -> dict[str, float]:
        """The same scores of the mixtures as they are."""
        return self._mean(self.pairs)

    def _mean(self, pairs: list[tuple[Wave, Wave]]) -> dict[str, float]:
        scores = {"si_sdr": si_sdr, "estoi": estoi}
        if find_spec("pesq"):  # an extra: it is built with a C compiler
            scores["pesq"] = pesq_wb
        return {
            name: float(np.nanmean([score(clean, estimate) for clean, estimate in pairs]))
            for name, score in scores.items()
        }

    @torch.no_grad()
    def enhance(self, denoiser: Denoiser, noisy: Wave) -> Wave:
        """One pass over a recording (T,) at 16 kHz."""
        device = next(denoiser.parameters()).device
        wave, gain = normalise(torch.from_numpy(noisy)[None].to(device))
        y = self.spectral.analysis(wave)
        x_0 = denoiser(y, torch.ones(1, device=device), Condition(channels=y))
        return (self.spectral.synthesis(x_0, wave.shape[-1]) / gain)[0].cpu().numpy()
