"""A voice and vocoders with small random networks, as files."""

from __future__ import annotations

from pathlib import Path

import torch

from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS
from diff_audio.vocoder.network import FrameNet
from diff_audio.voice.model import Voice
from diff_audio.voice.speaker import Speaker
from diff_core.denoiser import FromX0
from diff_core.io import Card, save
from diff_core.schedule import RectifiedFlow

__all__ = ["options", "speaker", "write_models"]


def write_models(root: Path) -> Path:
    """voice, vocoder, and a vocoder of another mel."""
    torch.manual_seed(0)
    voice = Voice(
        len(SYMBOLS), 80, 2, width=16, depth=1, heads=2, decoder_width=16, dilations=(1,)
    )
    for parameter in voice.parameters():  # some start at zero, and would hide what they do
        torch.nn.init.normal_(parameter, std=0.05)
    torch.nn.init.constant_(voice.encoder.log_frames.bias, 2.0)
    voice.band_mean.fill_(-5.0)
    signal = {
        "mel": Mel().describe(),
        "symbols": list(SYMBOLS),
        "speakers": ["ann", "bob"],
    }
    save(
        root / "voice.safetensors", voice, Card(name="tiny", signal=signal, licences=("CC0-1.0",))
    )
    for name, mel in (("vocoder", Mel()), ("other", Mel(fmax=11025.0))):
        vocoder = FromX0(FrameNet(width=8, dilations=(1,)), RectifiedFlow())
        card = Card(name="tiny", signal={"mel": mel.describe()})
        save(root / f"{name}.safetensors", vocoder, card)
    return root


def options(models: Path, vocoder: str = "vocoder") -> list[str]:
    weights = [str(models / f"{name}.safetensors") for name in ("voice", vocoder)]
    return ["--weights", weights[0], "--vocoder", weights[1]]


def speaker(models: Path) -> Speaker:
    return Speaker.from_pretrained(
        models / "voice.safetensors", models / "vocoder.safetensors", device="cpu"
    )
