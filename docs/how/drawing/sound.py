"""The recording in examples/: its spectrum noised, the denoiser's bridge; pictures and clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.denoiser.settings import step_times
from diff_audio.metrics import si_sdr
from diff_audio.spectra.frame_noise import FrameNoise
from diff_audio.spectra.stft import Spectral
from diff_core import Ancestral, Cosine, log_snr, sample_bridge

from .chain import chain
from .look import Panel, decibels, panels

__all__ = ["forward", "reverse"]

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SECONDS = 3.0
STEPS = 6


def recording(name: str) -> tuple[Tensor, int]:
    """The first seconds of a recording in examples/, (1, T), and its rate."""
    wave, rate = soundfile.read(EXAMPLES / name, dtype="float32")
    return torch.from_numpy(wave[: int(SECONDS * rate)])[None], rate


def view(spectrum: Tensor) -> NDArray[np.float32]:
    """Magnitudes (F, N) of a compressed spectrum (2, F, N)."""
    return torch.linalg.vector_norm(spectrum, dim=0).numpy()


def bright(spectrum: Tensor) -> float:
    """The magnitude that only the brightest hundredth exceeds."""
    return np.percentile(view(spectrum), 99.0).item()


def options(top: float) -> dict[str, object]:
    """The panel of a spectrum, low frequencies below; white is `top`."""
    return {"cmap": "magma", "origin": "lower", "vmin": 0.0, "vmax": top}


def clip(out: Path, name: str, wave: Tensor, rate: int) -> None:
    """A clip of even loudness, in 16 bits."""
    wave = wave * min(0.06 / wave.square().mean().sqrt().item(), 0.98 / wave.abs().max().item())
    soundfile.write(out / f"{name}.flac", wave[0].numpy(), rate, subtype="PCM_16")
    print(f"{name}.flac: {(out / f'{name}.flac').stat().st_size / 1000:.0f} kB", flush=True)


def forward(out: Path) -> None:
    """A hundred steps of noise on the spectrum of the clean recording, six of them shown."""
    spectral, schedule = Spectral(), Cosine()
    wave, rate = recording("speech_clean.wav")
    x_0 = spectral.analysis(wave)
    size = x_0.std()
    shown: list[Panel] = []
    for t, x_t in chain(schedule, x_0 / size, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)):
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = schedule.alpha(time).item(), schedule.sigma(time).item()
        level = decibels(log_snr(schedule, time).item())
        title = f"t = {t:.1f}   SNR {level}\nα {alpha:.2f}  σ {sigma:.2f}"
        shown.append(Panel(view(x_t[0]), title, options(6.0)))
        if t in (0.0, 0.2, 0.4, 0.6):
            clip(out, f"forward-{t:.1f}", spectral.synthesis(x_t * size, wave.shape[-1]), rate)
    panels(shown, out / "sound-forward", wide=3, narrow=2, aspect=0.62)


def reverse(out: Path) -> None:
    """The denoiser's bridge in six passes: the state above, the estimate below."""
    from diff_audio import Denoiser

    model = Denoiser.from_pretrained(device="cpu")
    (wave, rate), (clean, _) = recording("speech_noisy.wav"), recording("speech_clean.wav")
    samples = wave.double().numpy()
    gain = model.measure([samples], samples.shape, rate).at(0, wave.shape[-1]).to(wave)
    y = model.spectral.analysis(wave * gain)
    times = step_times(STEPS)
    states, estimates = [y], []

    def keep(k: int, x: Tensor, estimate: Tensor) -> None:
        states.append(x)
        estimates.append(estimate)

    noise = FrameNoise(0, 0, 0)
    sample_bridge(model.denoiser, Ancestral(), y, times, noise=noise, on_step=keep)
    spread = model.denoiser.schedule.sigma(times)
    above: list[Panel] = []
    below: list[Panel] = []
    for k in (0, 1, 3, STEPS - 1):
        title = f"t = {times[k].item():.2f}   σ {spread[k].item():.2f}"
        above.append(Panel(view(states[k][0]), title, options(bright(states[k][0]))))
        heard = model.spectral.synthesis(estimates[k], wave.shape[-1]) / gain
        score = si_sdr(clean[0].numpy(), heard[0].numpy())
        look = options(bright(estimates[0][0]))
        below.append(Panel(view(estimates[k][0]), f"SI-SDR {score:.1f} dB", look))
        if k in (0, STEPS - 1):
            clip(out, f"reverse-{k + 1}", heard, rate)
    clip(out, "reverse-0", wave, rate)
    score = si_sdr(clean[0].numpy(), wave[0].numpy())
    rows = [
        f"the state; it begins as the recording, {score:.1f} dB",
        "the network’s estimate at each",
    ]
    panels(above + below, out / "sound-reverse", wide=4, narrow=2, aspect=0.85, rows=rows)
