"""Is the shipped voice understood? Its errors by an offline recogniser, beside real recordings.

    python benchmarks/audio/say.py --data MANIFEST_OR_FOLDER [--sets kathleen_en] [--samples DIR]

Speaks the held-out texts of the data, none of which was in training, and as many of the Harvard
sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969) as make 100 in all.
CMU Sphinx (`pip install pocketsphinx`, which carries its models) hears each at 16 kHz with its
general language model. Word errors are substitutions, deletions and insertions over words of the
text; phoneme errors the same between the phonemes of the text and those of the words heard. The
same is done with the recordings of the held-out texts, and with their mels through the vocoder,
which says how much of the error is the vocoder's. Intervals are 95 %, by bootstrap over sentences.

A skip is a run of three or more words of the text that were not heard and for which nothing else
was; a repeat is three or more words heard twice in a row. Last come the times: of the command from
start to end, and of speaking alone. With --record the error rates are written into the card of the
voice's checkpoint.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diff_audio.jobs.say import say_into
from diff_audio.sound.read import read
from diff_audio.sound.resample import resample
from diff_audio.text import phonemes
from diff_audio.voice.model import Voice
from diff_audio.voice.speaker import Manner, Speaker
from diff_audio.voice.training.catalogue import read_catalogue
from diff_audio.weights import path_of
from diff_core.io import load, save

RATE = 16_000
COUNT, RUN = 100, 3

HARVARD = Path(__file__).with_name("harvard.txt")

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """A sentence: how many words and phonemes it has, and how many were heard wrong."""

    words: int
    word_errors: int
    phones: int
    phone_errors: int
    skipped: bool
    repeated: bool


class Recogniser:
    """CMU Sphinx with the models that come with it."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder: Any = Decoder(samprate=RATE, loglevel="FATAL")

    def __call__(self, wave: Wave) -> list[str]:
        """The words in a wave (T,) at 16 kHz."""
        pcm = (np.clip(wave, -1, 1) * 32767).astype(np.int16).tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, no_search=False, full_utt=True)
        self._decoder.end_utt()
        heard = [segment.word for segment in self._decoder.seg()]
        return [word.split("(")[0] for word in heard if word[0].isalpha()]


def edits(wanted: Sequence[str], heard: Sequence[str]) -> list[tuple[str, int]]:
    """The cheapest edits from one to the other: (kind, place in `wanted`), kind one of "=sdi"."""
    rows, columns = len(wanted) + 1, len(heard) + 1
    cost = np.zeros((rows, columns), int)
    cost[:, 0], cost[0] = np.arange(rows), np.arange(columns)
    for i in range(1, rows):
        for j in range(1, columns):
            other = cost[i - 1, j - 1] + (wanted[i - 1] != heard[j - 1])
            cost[i, j] = min(other, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    path: list[tuple[str, int]] = []
    i, j = rows - 1, columns - 1
    while i or j:
        same = bool(i and j) and wanted[i - 1] == heard[j - 1]
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (not same):
            i, j = i - 1, j - 1
            path.append(("=" if same else "s", i))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            path.append(("d", i))
        else:
            j -= 1
            path.append(("i", i))
    return path[::-1]


def errors(path: Sequence[tuple[str, int]]) -> int:
    """How many edits change something."""
    return sum(kind != "=" for kind, _ in path)


def skips(path: Sequence[tuple[str, int]]) -> bool:
    """Whether words in a row were left out."""
    return "d" * RUN in "".join(kind for kind, _ in path)


def repeats(heard: Sequence[str]) -> bool:
    """Whether words in a row were heard twice in a row."""
    return any(
        tuple(heard[n : n + RUN]) == tuple(heard[n + RUN : n + 2 * RUN])
        for n in range(len(heard) - 2 * RUN + 1)
    )


def judge(recogniser: Recogniser, text: str, wave: Wave) -> Heard:
    """What the recogniser makes of a wave (T,) at 16 kHz in which a text is said."""
    words = [word.lower() for word in phonemes(text).words]
    heard = recogniser(wave)
    path = edits(words, heard)
    phones = sounds(text)
    return Heard(
        len(words),
        errors(path),
        len(phones),
        errors(edits(phones, sounds(" ".join(heard)))) if heard else len(phones),
        skips(path),
        repeats(heard),
    )


def sounds(text: str) -> list[str]:
    """The phonemes of a text, without stress."""
    return [p.rstrip("012") for p in phonemes(text).phonemes if p[0].isalpha()]


def report(name: str, found: Sequence[Heard]) -> dict[str, float]:
    """One line of the table; the rates in it, %, for the card."""
    means: list[float] = []

    def rate(wrong: Callable[[Heard], int], all_of: Callable[[Heard], int]) -> str:
        pairs = np.array([(wrong(h), all_of(h)) for h in found], float)
        picks = np.random.default_rng(0).integers(0, len(pairs), (2000, len(pairs)))
        sums = pairs[picks].sum(1)
        low, high = np.percentile(100 * sums[:, 0] / sums[:, 1], (2.5, 97.5))
        means.append(100 * pairs[:, 0].sum() / pairs[:, 1].sum())
        return f"{means[-1]:5.1f} ({low:4.1f} to {high:4.1f})"

    print(
        f"{name:34} {len(found):4}  {rate(lambda h: h.phone_errors, lambda h: h.phones)}  "
        f"{rate(lambda h: h.word_errors, lambda h: h.words)}  "
        f"{sum(h.skipped for h in found):5}  {sum(h.repeated for h in found):7}",
        flush=True,
    )
    kinds = ("phoneme", "word")
    return {
        f"{kind} errors of CMU Sphinx, %, {name} ({len(found)})": round(mean, 1)
        for kind, mean in zip(kinds, means, strict=True)
    }


def record(path: Path, scores: dict[str, float]) -> None:
    """Adds scores to the card of a checkpoint; its weights stay as they are."""
    model, card = load(path, types={"Voice": Voice})
    card = replace(
        card, scores={k: v for k, v in card.scores.items() if "Sphinx" not in k} | scores
    )
    save(path, model, card, dtype=torch.float16)


def at_16k(wave: Wave, rate: int) -> Wave:
    """A wave (T,) at the recogniser's rate."""
    return resample(torch.from_numpy(np.asarray(wave, np.float32)), rate, RATE).numpy()


def copied(speaker: Speaker, wave: Wave, rate: int) -> Wave:
    """A recording's mel through the vocoder."""
    own = resample(torch.from_numpy(wave), rate, speaker.sample_rate)
    return speaker.sound(speaker.mel(own))


def main() -> None:
    """Parses the options and prints the tables."""
    options = _options()
    torch.set_num_threads(options.threads)
    held = [u for u in read_catalogue(options.data, sets=options.sets) if u.split == "val"]
    texts = list(dict.fromkeys(u.text for u in held))[: options.count]
    others = HARVARD.read_text().splitlines()[: max(0, options.count - len(texts))]
    speaker = Speaker.from_pretrained(options.voice, options.vocoder, device="cpu")
    manner = Manner(seed=options.seed, steps=options.steps, temperature=options.temperature)
    recogniser = Recogniser()
    print(
        f"{len(texts)} held-out texts, {len(others)} Harvard sentences; steps {manner.steps}, "
        f"temperature {manner.temperature:g}, seed {manner.seed}\n"
    )
    print(f"{'':34} {'n':>4}  {'phoneme errors, %':20}  {'word errors, %':20}  skips  repeats")
    scores: dict[str, float] = {}
    if not options.quick:
        recordings = {u.text: u for u in held}
        real = {t: read(recordings[t].path) for t in texts}
        mono = {t: (w.mean(0).astype(np.float32), rate) for t, (w, rate) in real.items()}
        scores |= report(
            "recordings of the held-out texts",
            [judge(recogniser, t, at_16k(*mono[t])) for t in texts],
        )
        scores |= report(
            "their mels through the vocoder",
            [
                judge(recogniser, t, at_16k(copied(speaker, *mono[t]), speaker.sample_rate))
                for t in texts
            ],
        )
    begun, process = time.perf_counter(), time.process_time()
    spoken = {t: speaker(t, manner)[0] for t in [*texts, *others]}
    wall, cpu = time.perf_counter() - begun, time.process_time() - process
    seconds = sum(len(w) for w in spoken.values()) / speaker.sample_rate

    def judged(some: Sequence[str]) -> list[Heard]:
        return [judge(recogniser, t, at_16k(spoken[t], speaker.sample_rate)) for t in some]

    first, second = judged(texts), judged(others)
    scores |= report("the held-out texts, spoken", first)
    if second:
        scores |= report("the Harvard sentences, spoken", second)
        scores |= report("all, spoken", [*first, *second])
    if options.record:
        record(options.voice or path_of("voice"), scores)
    print(
        f"\n{seconds:.0f} s of speech in {wall:.0f} s on {options.threads} threads "
        f"(real-time factor {wall / seconds:.2f}), {cpu:.0f} s of CPU time ({cpu / seconds:.2f})"
    )
    if not options.quick:
        _times(options)
    if options.samples:
        options.samples.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate([*texts[:1], *others[:1], *texts[-1:]]):
            target, picture = (options.samples / f"{number}.{end}" for end in ("ogg", "png"))
            models = {"weights": options.voice, "vocoder": options.vocoder}
            say_into(target, text, manner, **models, picture=picture, overwrite=True)
            print(f"{target}: {text}")


def _times(options: argparse.Namespace) -> None:
    """Of the command itself, which loads everything anew."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "hello.wav"
        command = [sys.executable, "-m", "diff_audio.say", "Hello.", "-o", str(target)]
        for flag, value in (("--weights", options.voice), ("--vocoder", options.vocoder)):
            command += [flag, str(value)] if value else []
        begun = time.perf_counter()
        subprocess.run([*command, "--quiet"], check=True)
        took = time.perf_counter() - begun
        print(f'the command saying "Hello.", from start to end: {took:.1f} s')


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="manifest, or folder")
    parser.add_argument("--sets", nargs="*", default=[], help="sets of the manifest")
    parser.add_argument("--voice", type=Path, help="checkpoint; default: the shipped one")
    parser.add_argument("--vocoder", type=Path, help="checkpoint; default: the shipped one")
    parser.add_argument("--count", type=int, default=COUNT, help="sentences")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--temperature", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="only the spoken sentences")
    parser.add_argument("--record", action="store_true", help="write the rates into the card")
    parser.add_argument("--samples", type=Path, help="folder for sound and picture of three")
    return parser.parse_args()


if __name__ == "__main__":
    main()
