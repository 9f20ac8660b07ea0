"""The training job of the voice: its recipe, and the job that a recipe and recordings make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from diff_audio.spectra.mel import Mel
from diff_audio.text import SYMBOLS
from diff_audio.voice.model import Voice
from diff_audio.voice.training.catalogue import read_catalogue
from diff_audio.voice.training.corpus import Batches, Clip, VoiceCorpus
from diff_audio.voice.training.objective import Speaking
from diff_audio.voice.training.validation import Example, Validation
from diff_core.io import Card
from diff_core.train import TrainConfig
from diff_core.train.job import Job, means

if TYPE_CHECKING:
    from diff_audio.data.inputs import Texts

__all__ = ["Network", "Recipe", "build"]

_LIMITS = (
    "Speaks as the recordings do that it was trained on, here {hours:.1f} h, and no other way; "
    "text in another manner or language, and names, come out worse. Not for passing as a person."
)


@dataclass(frozen=True)
class Network:
    """The sizes of a `Voice`, see there."""

    width: int = 160
    depth: int = 3
    heads: int = 4
    decoder_width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    spread: float = 0.6
    dropout: float = 0.1


@dataclass(frozen=True)
class Recipe:
    """The numbers of a run, all of them."""

    train: TrainConfig
    network: Network = Network()
    objective: Speaking = Speaking()
    mel: Mel = Mel()


def build(recipe: Recipe, inputs: Texts, out: Path) -> Job[Voice]:
    """Read and align the corpus, and make the model. Raises ValueError as the corpus does."""
    sets = [name.strip() for name in inputs.sets.split(",") if name.strip()]
    found = read_catalogue(inputs.data, sets=sets, speaker=inputs.speaker, licence=inputs.licence)
    utterances = [utterance for utterance in found if utterance.split != "test"]
    corpus = VoiceCorpus.open(utterances, out / "corpus", recipe.mel)
    model = Voice(len(SYMBOLS), recipe.mel.mels, len(corpus.speakers), **asdict(recipe.network))
    model.band_mean, model.band_std = corpus.statistics()
    validation = Validation(corpus, recipe.objective)

    def card(average: Voice, step: int, hours: float) -> Card:
        return _card(corpus, recipe, means(cases(average, step)), step, hours)

    def cases(average: Voice, step: int) -> dict[str, list[float]]:
        found = validation.each(average).items()
        return {f"{name} loss, held-out texts": values for name, values in found}

    return Job(
        model=model,
        objective=recipe.objective,
        samples=Batches(corpus, recipe.train.batch_size, recipe.train.seed),
        card=card,
        validate=validation,
        cases=cases,
        plan=_plan(corpus, len(found) - len(utterances)),
        dtype=torch.float16,
        show=Example(corpus),
    )


def _plan(corpus: VoiceCorpus, test: int) -> tuple[str, ...]:
    lines = []
    for split in ("train", "val"):
        clips = corpus.select(split)
        texts = len({clip.utterance.text for clip in clips})
        lines.append(
            f"{split}: {corpus.hours(split):.2f} h, {len(clips)} recordings of {texts} texts"
        )
    if test:
        lines.append(f"test: {test} recordings, left out of the training")
    lines.append(f"speakers: {', '.join(corpus.speakers)}")
    if corpus.left_out:
        lines.append(f"left out, too short for their texts: {len(corpus.left_out)}")
        lines += [f"  {line}" for line in corpus.left_out[:5]]
    return (*lines, *_unusual(corpus.select("train"), corpus.mel))


def _unusual(clips: Sequence[Clip], mel: Mel) -> list[str]:
    """The recordings that are spoken much faster or slower than the rest: often a wrong text."""
    pace = torch.tensor([clip.frames / len(clip.symbols) for clip in clips])
    log = pace.log()
    middle, width = log.median(), 1.4826 * (log - log.median()).abs().median()
    odd = ((log - middle).abs() > 5 * width + 0.1).nonzero().flatten().tolist()
    second = mel.sample_rate / mel.hop
    return [f"symbols a second: {second / float(middle.exp()):.1f}"] + [
        f"  {clips[n].utterance.where}: {second / float(pace[n]):.1f}; is that its text?"
        for n in odd[:5]
    ]


def _card(
    corpus: VoiceCorpus, recipe: Recipe, scores: dict[str, float], step: int, hours: float
) -> Card:
    sets: dict[tuple[str, str, str], int] = {}
    for clip in corpus.select("train"):
        key = (clip.utterance.group, clip.utterance.speaker, clip.utterance.licence)
        sets[key] = sets.get(key, 0) + clip.frames
    to_hours = recipe.mel.hop / recipe.mel.sample_rate / 3600
    return Card(
        name="voice",
        purpose="Text to log-mel of speech, for the vocoder: `python -m diff_audio.say`.",
        signal={
            "mel": recipe.mel.describe(),
            "symbols": list(SYMBOLS),
            "speakers": list(corpus.speakers),
        },
        data=tuple(
            f"{group}, speaker {speaker}, {frames * to_hours:.2f} h"
            for (group, speaker, _), frames in sets.items()
        ),
        licences=tuple(licence for _, _, licence in sets),
        hours=hours,
        steps=step,
        scores=scores,
        limits=_LIMITS.format(hours=corpus.hours("train")),
    )
