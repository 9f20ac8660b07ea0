"""A corpus for training a voice: mels in memory, symbols, first durations, batches of like length.

Every recording is decoded once, resampled, cut to its speech with a little silence around it,
brought to one level, and kept as a log-mel in half precision in a file beside the run; the first
durations of its symbols are in another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diff_audio.files import read
from diff_audio.level import normalise
from diff_audio.mel import Mel
from diff_audio.resample import resample
from diff_audio.text import encode, phonemes
from diff_audio.voice.catalogue import Utterance
from diff_audio.voice.flat_start import flat_start
from diff_core.checkpoint.tensors import read_tensors
from diff_core.data.split import Split
from diff_core.files import replacing

__all__ = ["Batches", "Clip", "VoiceCorpus", "collate"]

_MARGIN = 0.1  # seconds of silence that are kept before and after the speech
_SILENT_DB = -25.0  # below a recording's loud frames (their 95th percentile)
_VERSION = 1  # of what is cached


@dataclass(frozen=True)
class Clip:
    """One utterance, ready.

    mel: (bands, J) log-mel; symbols: (I,) indices; durations: (I,) frames, from the flat start
    """

    utterance: Utterance
    mel: Tensor
    symbols: Tensor
    durations: Tensor

    @property
    def frames(self) -> int:
        return self.mel.shape[1]


class VoiceCorpus:
    """The clips of a catalogue.

    speakers: names, sorted: the index is the speaker's number
    left_out: why utterances were left out, one line each
    """

    def __init__(self, clips: Sequence[Clip], mel: Mel, left_out: Sequence[str] = ()) -> None:
        self.clips, self.mel, self.left_out = tuple(clips), mel, tuple(left_out)
        self.speakers = tuple(sorted({clip.utterance.speaker for clip in self.clips}))

    @classmethod
    def open(cls, utterances: Sequence[Utterance], cache: Path, mel: Mel) -> VoiceCorpus:
        """Decodes and aligns the utterances, unless `cache` (a folder) holds the same ones.

        One that has less than a frame for each symbol is left out: its text cannot be what is
        said. Raises ValueError for a recording or a text that cannot be used, naming its line.
        """
        spelled = [_spell(utterance) for utterance in utterances]
        mels = _cached(
            cache / "mels.safetensors",
            [[str(u.path), u.path.stat().st_size] for u in utterances] + [asdict(mel)],
            lambda: _decode(utterances, mel),
        )
        usable = [n for n, symbols in enumerate(spelled) if len(symbols) <= mels[n].shape[1]]
        if not usable:
            raise ValueError("no recording is long enough for its text; check that they match")
        durations = _cached(
            cache / "durations.safetensors",
            [[symbols.tolist(), mels[n].shape[1]] for n, symbols in enumerate(spelled)],
            lambda: flat_start([mels[n] for n in usable], [spelled[n] for n in usable]),
        )
        clips = [
            Clip(utterances[n], mels[n], spelled[n], d)
            for n, d in zip(usable, durations, strict=True)
        ]
        left_out = [
            f"{utterances[n].where}: {len(symbols)} symbols in {mels[n].shape[1]} frames"
            for n, symbols in enumerate(spelled)
            if n not in set(usable)
        ]
        return cls(clips, mel, left_out)

    def select(self, split: Split) -> tuple[Clip, ...]:
        """The clips of one split."""
        return tuple(clip for clip in self.clips if clip.utterance.split == split)

    def hours(self, split: Split) -> float:
        """How much there is of one split."""
        frames = sum(clip.frames for clip in self.select(split))
        return frames * self.mel.hop / self.mel.sample_rate / 3600

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (bands,) of the training clips' log-mels."""
        frames = torch.cat([clip.mel.double() for clip in self.select("train")], dim=1)
        return frames.mean(1).float(), frames.std(1).float()


class Batches:
    """Training samples for `diff_core.train`: item i belongs to step i // batch_size.

    Clips of like length come together and are padded to the longest of their batch, so that
    little is computed for nothing. An epoch takes each clip once, in another order every time.
    Samples hold `mel` (bands, J), `frames`, `symbols` (I,), `tokens`, `durations` (I,), `speaker`.
    """

    def __init__(self, corpus: VoiceCorpus, batch_size: int, seed: int = 0) -> None:
        """Raises ValueError where there are fewer training clips than a batch takes."""
        self._clips = corpus.select("train")
        if len(self._clips) < batch_size:
            raise ValueError(
                f"batch_size is {batch_size}; expected at most {len(self._clips)}, the number of "
                "training clips"
            )
        self._speakers, self._size, self._seed = corpus.speakers, batch_size, seed
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def __getitem__(self, index: int, /) -> dict[str, Tensor]:
        step, row = divmod(index, self._size)
        per_epoch = len(self._clips) // self._size
        epoch, place = divmod(step, per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._batches(epoch))
        batch = [self._clips[n] for n in self._epoch[1][place]]
        return _padded(
            batch[row],
            self._speakers,
            max(clip.frames for clip in batch),
            max(len(clip.symbols) for clip in batch),
        )

    def _batches(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng((self._seed, epoch))
        lengths = np.array([clip.frames for clip in self._clips])
        order = np.argsort(lengths * rng.uniform(0.9, 1.1, len(lengths)))
        # what does not fill the last batch is left out, others every time
        spare = len(order) % self._size
        order = np.delete(order, rng.choice(len(order), spare, replace=False))
        batches = order.reshape(-1, self._size)
        return rng.permutation(batches).tolist()


def collate(clips: Sequence[Clip], speakers: Sequence[str]) -> dict[str, Tensor]:
    """A batch of clips, padded to the longest: as in `Batches`, with a first axis B."""
    frames = max(clip.frames for clip in clips)
    tokens = max(len(clip.symbols) for clip in clips)
    rows = [_padded(clip, speakers, frames, tokens) for clip in clips]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _padded(clip: Clip, speakers: Sequence[str], frames: int, tokens: int) -> dict[str, Tensor]:
    mel = torch.zeros(clip.mel.shape[0], frames)
    mel[:, : clip.frames] = clip.mel
    symbols, durations = torch.zeros(2, tokens, dtype=torch.int64)
    symbols[: len(clip.symbols)], durations[: len(clip.symbols)] = clip.symbols, clip.durations
    return {
        "mel": mel,
        "frames": torch.tensor(clip.frames),
        "symbols": symbols,
        "tokens": torch.tensor(len(clip.symbols)),
        "durations": durations,
        "speaker": torch.tensor(speakers.index(clip.utterance.speaker)),
    }


def _spell(utterance: Utterance) -> Tensor:
    try:
        return torch.tensor(encode(phonemes(utterance.text)))
    except ValueError as error:
        raise ValueError(f"{utterance.where}: {error}") from error


def _cached(path: Path, of: object, make: Callable[[], list[Tensor]]) -> list[Tensor]:
    """The tensors in `path` if they were made of the same, else new ones, which are put there."""
    from safetensors.torch import save_file

    key = hashlib.sha256(json.dumps([_VERSION, of]).encode()).hexdigest()
    if path.exists():
        metadata, tensors = read_tensors(path)
        if metadata.get("key") == key:
            return [tensors[str(n)] for n in range(len(tensors))]
    path.parent.mkdir(parents=True, exist_ok=True)
    made = make()
    with replacing(path) as temporary:
        tensors = {str(n): tensor.contiguous() for n, tensor in enumerate(made)}
        save_file(tensors, temporary, metadata={"key": key})
    return made


def _decode(utterances: Sequence[Utterance], mel: Mel) -> list[Tensor]:
    from tqdm import tqdm

    progress = tqdm(utterances, desc="reading", disable=None, dynamic_ncols=True)
    return [_mel(utterance, mel).half() for utterance in progress]


def _mel(utterance: Utterance, mel: Mel) -> Tensor:
    try:
        samples, rate = read(utterance.path)
    except ValueError as error:
        raise ValueError(f"{utterance.where}: {utterance.path}: {error}") from error
    wave = torch.from_numpy(samples.mean(0, dtype=np.float64)).float()
    wave = trim(resample(wave, rate, mel.sample_rate), mel.sample_rate)
    if len(wave) <= mel.n_fft // 2:
        raise ValueError(f"{utterance.where}: {utterance.path}: is silent, or under 50 ms long")
    return mel(normalise(wave[None])[0])[0]


def trim(wave: Tensor, rate: int) -> Tensor:
    """A wave (T,) from 0.1 s before its speech to 0.1 s after it; empty for silence."""
    cell = rate // 100
    whole = len(wave) // cell * cell
    if not whole:
        return wave[:0]
    level = 10 * (wave[:whole].reshape(-1, cell).square().mean(1) + 1e-12).log10()
    loud = float(level.quantile(0.95))
    if loud < -90:
        return wave[:0]
    spoken = (level > loud + _SILENT_DB).nonzero().flatten()
    margin = int(_MARGIN * rate)
    start = max(0, int(spoken[0]) * cell - margin)
    return wave[start : min(len(wave), (int(spoken[-1]) + 1) * cell + margin)]
