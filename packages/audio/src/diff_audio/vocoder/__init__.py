"""Mel spectrogram to wave: flow matching in the complex short-time Fourier domain.

from diff_audio.vocoder import Vocoder
wave = Vocoder.from_pretrained()(log_mel)          # (80, N) or (B, 80, N) -> (B, (N - 1) * 256)
"""

from __future__ import annotations

from diff_audio.vocoder.model import Settings, Vocoder, step_times

__all__ = ["Settings", "Vocoder", "step_times"]
