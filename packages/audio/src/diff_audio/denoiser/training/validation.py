"""The scores of a training run: one pass of the network over a small set, always the same.

Held-out speakers in held-out noise, white noise and the babble of held-out speakers, at 5 dB.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from numpy.random import default_rng

from diff_audio.data.corpus import Corpus
from diff_audio.data.damage import coloured, scale_to_snr
from diff_audio.data.mixer import Mixer
from diff_audio.data.mixing import Mixing
from diff_audio.metrics.scores import estoi, pesq_wb, si_sdr
from diff_audio.sound.level import levelled
from diff_audio.sound.resample import CORE_RATE
from diff_audio.sound.wave import Wave
from diff_audio.spectra.stft import Spectral
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.evaluate import snr_loss
from diff_core.train.job import means

__all__ = ["Validation"]

EDGES = (-1.0, 0.0, 1.0, 2.0, 3.0)
"""The edges of the bins of log-SNR: t from 0.98 down to 0.02 on the shipped bridge."""


class Validation:
    """A validation (denoiser, step): mean SI-SDR (dB), ESTOI and, where installed, PESQ.

    `count` mixtures of `seconds` at `snr` dB, a third each in recorded noise (white where there
    is none), babble and white noise, all of the split "val". `follow`: their level is followed
    place by place, as in the training of the network.
    """

    def __init__(
        self,
        corpus: Corpus,
        spectral: Spectral,
        count: int = 12,
        seconds: float = 4.0,
        snr: float = 5.0,
        follow: bool = False,
    ) -> None:
        self.spectral, self.follow = spectral, follow
        mixer = Mixer(corpus, Mixing(seconds=seconds, voices=(5, 5)), split="val")
        self.pairs: list[tuple[Wave, Wave]] = []
        for index in range(count):
            rng = default_rng((2026, index))
            item = mixer.item(rng)
            speech = item.speech()
            if index % 3 == 0 and mixer.has_noise:
                noise = item.recorded()
            elif index % 3 == 1:
                noise = item.babble()
            else:
                noise = coloured(rng, mixer.length, 0.0)
            self.pairs.append((speech, speech + scale_to_snr(speech, noise, snr)))

    def __call__(self, denoiser: Denoiser, step: int) -> dict[str, float]:
        """Return the mean scores of the enhanced mixtures; `step` is not used."""
        return means(self.each(denoiser))

    def each(self, denoiser: Denoiser) -> dict[str, list[float]]:
        """The scores of each enhanced mixture."""
        return _scores([(clean, self.enhance(denoiser, noisy)) for clean, noisy in self.pairs])

    def level_losses(self, denoiser: Denoiser) -> dict[str, float]:
        """The squared error of x_0 in bins of the bridge's log-SNR; first second of each."""
        device = next(denoiser.parameters()).device
        waves = torch.from_numpy(np.array(self.pairs)).to(device)[..., :CORE_RATE]
        noisy, gain = levelled(waves[:, 1], following=self.follow)
        # The loss draws its levels in pairs: an odd set leaves its last mixture out, a single one
        # is its own partner.
        rows = [0, 0] if len(waves) == 1 else list(range(len(waves) // 2 * 2))
        batch = {
            "x_0": self.spectral.analysis(waves[rows, 0] * gain[rows]),
            "channels": self.spectral.analysis(noisy[rows]),
        }
        generator = torch.Generator().manual_seed(0)
        return snr_loss(denoiser, [batch], EDGES, generator).scores()

    def noisy(self) -> dict[str, float]:
        """The same scores of the mixtures as they are."""
        return means(_scores(self.pairs))

    @torch.no_grad()
    def enhance(self, denoiser: Denoiser, noisy: Wave) -> Wave:
        """Return a recording (T,) at 16 kHz after one pass."""
        device = next(denoiser.parameters()).device
        given = torch.from_numpy(noisy)[None].to(device)
        wave, gain = levelled(given, following=self.follow)
        y = self.spectral.analysis(wave)
        x_0 = denoiser(y, torch.ones(1, device=device), Condition(channels=y))
        return (self.spectral.synthesis(x_0, wave.shape[-1]) / gain)[0].cpu().numpy()


def _scores(pairs: list[tuple[Wave, Wave]]) -> dict[str, list[float]]:
    scores = {"si_sdr": si_sdr, "estoi": estoi}
    if find_spec("pesq"):  # an extra: it is built with a C compiler
        scores["pesq"] = pesq_wb
    return {
        name: [score(clean, estimate) for clean, estimate in pairs]
        for name, score in scores.items()
    }
