"""The restorer beside the input and the denoiser: words, DNSMOS and the speaker, in one run.

    python benchmarks/audio/restore.py --speech DIR --noise DIR --manifest FILE --weights FILE

Sentences of held-out speakers with their texts, damaged by rooms, noise, a telephone, clipping and
a codec. Words are heard by Whisper tiny.en, opinion scores are DNSMOS P.835 (overall), and the
likeness of the speaker is the cosine between the embeddings of the result and of the clean
sentence by Resemblyzer ("Generalized End-to-End Loss for Speaker Verification", Wan et al., 2018),
where it is installed: pip install --no-deps resemblyzer webrtcvad-wheels. A restorer keeps its
promise if words wrong stay within 3 points of the input, and DNSMOS reaches 3.2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from mixtures import files_of
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scenes import Sentence, at_ratio, data_options, head, noise_of, rooms_of, sentences_of
from scipy.signal import fftconvolve

from diff_audio.data import damage
from diff_audio.denoiser.denoiser import Denoiser
from diff_audio.metrics import RATE
from diff_audio.metrics.scores import dnsmos
from diff_audio.metrics.words import Recogniser, WordErrors, pooled, word_errors
from diff_audio.restorer import Restorer, Settings
from diff_audio.sound.codec import coded
from diff_audio.sound.resample import resample
from diff_core.evaluate import mean_interval

Wave = NDArray[np.float64]
Damage = Callable[[Generator, Wave, Wave], Wave]
"""damage(rng, clean, noise) -> damaged, (T,) each."""


def main() -> None:
    """Parses the options and prints the tables."""
    options = _options()
    torch.set_num_threads(1)
    sentences = sentences_of(options)
    noises = [path for paths in files_of(options.noise, options).values() for path in paths]
    methods = _methods(options)
    kinds = {
        name: spoil
        for name, spoil in _damages(options).items()
        if not options.only or any(part in name for part in options.only)
    }
    likeness = _likeness()
    hear = Recogniser()
    words: dict[str, dict[str, list[WordErrors]]] = {kind: {} for kind in kinds}
    opinions: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    alike: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    for kind, spoil in kinds.items():
        for index, sentence in enumerate(sentences):
            rng = default_rng((options.seed, 7, index))
            noise = noise_of(rng, noises, len(sentence.wave))
            damaged = spoil(rng, sentence.wave, noise)
            for name, method in methods.items():
                made = np.nan_to_num(method(damaged))
                heard = word_errors(sentence.text, hear(made, sentence.text))
                words[kind].setdefault(name, []).append(heard)
                opinions[kind].setdefault(name, []).append(dnsmos(made, made))
                if likeness:
                    close = likeness(sentence, made)
                    alike[kind].setdefault(name, []).append(close)
    title = f"Words wrong, %, of {len(sentences)} sentences, seed {options.seed}"
    _print(title, methods, {k: {n: _words(v) for n, v in r.items()} for k, r in words.items()})
    named = {k: {n: _mean(v) for n, v in r.items()} for k, r in opinions.items()}
    _print("DNSMOS, overall", methods, named)
    if likeness:
        close = {k: {n: _mean(v) for n, v in r.items()} for k, r in alike.items()}
        _print("Likeness of the speaker to the clean sentence, cosine", methods, close)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data_options(parser, 24)
    parser.add_argument("--weights", type=Path, required=True, help="a restorer")
    parser.add_argument("--steps", type=int, nargs="+", default=(1, 2, 4, 8), help="passes")
    parser.add_argument("--only", nargs="+", help="only damage whose name holds one of these")
    return parser.parse_args()


def _methods(options: argparse.Namespace) -> dict[str, Callable[[Wave], Wave]]:
    model = Denoiser.from_pretrained(device="cpu")
    restorer = Restorer.from_pretrained(options.weights, device="cpu")

    def restored(wave: Wave, steps: int) -> Wave:
        made, rate = restorer(wave, RATE, Settings(steps=steps))
        return resample(torch.from_numpy(made), rate, RATE).numpy()

    found: dict[str, Callable[[Wave], Wave]] = {"input": lambda wave: wave}
    found["denoiser"] = lambda wave: model(wave, RATE)
    for steps in options.steps:
        name = f"**restorer**, {steps} pass{'es' * (steps > 1)}"
        found[name] = lambda wave, steps=steps: restored(wave, steps)
    return found


def _damages(options: argparse.Namespace) -> dict[str, Damage]:
    """The kinds of damage by name; those of rooms with recorded noise 15 dB below."""
    found: dict[str, Damage] = {"none": lambda rng, wave, noise: wave}
    wanted = not options.only or any("room" in part for part in options.only)
    for name, draw in (rooms_of(options) if wanted else {}).items():

        def reverberant(rng: Generator, wave: Wave, noise: Wave, draw: object = draw) -> Wave:
            far = fftconvolve(wave, draw(rng))[: len(wave)]  # type: ignore[operator]
            far /= 1.5 * np.abs(far).max()
            return far + at_ratio(noise, far, 15.0)

        found[f"{name}, 15 dB"] = reverberant

    def telephone(rng: Generator, wave: Wave, noise: Wave) -> Wave:
        noisy = (wave + at_ratio(noise, wave, 20.0)).astype(np.float32)
        curve = damage.narrow_band(rng, len(wave), (3400.0, 3401.0), RATE)
        narrow = resample(torch.from_numpy(damage.filtered(noisy, curve)), RATE, 8000).numpy()
        back = resample(torch.from_numpy(coded(narrow, 8000, "gsm", 0.0)), 8000, RATE)
        return back.numpy()[: len(wave)].astype(np.float64)

    def spoilt(rng: Generator, wave: Wave, noise: Wave) -> Wave:
        return coded(wave.astype(np.float32), RATE, "mp3", 0.0).astype(np.float64)

    found["telephone (GSM), 20 dB"] = telephone
    found["clipped, 15 dB under the peak"] = lambda rng, wave, noise: damage.clipped(
        wave.astype(np.float32), 15.0
    ).astype(np.float64)
    found["MP3 of the fewest bits"] = spoilt
    found["dry, 5 dB"] = lambda rng, wave, noise: wave + at_ratio(noise, wave, 5.0)
    return found


def _likeness() -> Callable[[Sentence, Wave], float] | None:
    """How alike the speaker of a result is to that of the sentence, -1 to 1; None without the
    library.
    """
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:
        print(f"left out: the likeness of speakers ({error})\n")
        return None
    encoder = VoiceEncoder("cpu", verbose=False)

    def alike(sentence: Sentence, made: Wave) -> float:
        pair = [
            encoder.embed_utterance((wave / (1e-9 + np.abs(wave).max())).astype(np.float32))
            for wave in (sentence.wave, made)
        ]
        return float(pair[0] @ pair[1])

    return alike


def _print(
    title: str, methods: dict[str, Callable[[Wave], Wave]], rows: dict[str, dict[str, str]]
) -> None:
    for line in _lines(title, methods, rows):
        print(line, flush=True)


def _lines(
    title: str, methods: dict[str, Callable[[Wave], Wave]], rows: dict[str, dict[str, str]]
) -> Iterator[str]:
    yield from head(title, "damage", *methods)
    for kind, row in rows.items():
        yield f"| {kind} | " + " | ".join(row[name] for name in methods) + " |"
    yield ""


def _words(counts: list[WordErrors]) -> str:
    return f"{100 * pooled(counts).mean:.1f}"


def _mean(values: list[float]) -> str:
    found = mean_interval(values)
    return f"{found.mean:.2f} ± {found.half:.2f}"


if __name__ == "__main__":
    main()
