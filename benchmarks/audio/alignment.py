"""How well are symbols placed in time without any given times? Against CMU Sphinx's alignment.

    python benchmarks/audio/alignment.py --data MANIFEST_OR_FOLDER --cache DIR [--sets kathleen_en]

Starts of words in the held-out recordings: shared out evenly, by the flat start (which sees those
recordings, as any that it aligns, but no times), and by monotonic alignment search with the
trained voice (which has never seen them). The reference is the forced alignment of CMU Sphinx
(`pip install pocketsphinx`), itself a machine's. Words that its dictionary lacks leave their
recording out. DIR keeps the decoded recordings; give the run's OUT/corpus if there is one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diff_audio.sound.read import read
from diff_audio.sound.resample import resample
from diff_audio.spectra.mel import Mel
from diff_audio.text import phonemes
from diff_audio.text.symbols import PUNCTUATION, SPACE
from diff_audio.voice.alignment import spread
from diff_audio.voice.model import Voice, best_durations
from diff_audio.voice.training.catalogue import read_catalogue
from diff_audio.voice.training.corpus import Clip, VoiceCorpus, collate, trim
from diff_audio.weights import path_of
from diff_core.io import load

RATE, FRAMES = 16_000, 100  # of the recogniser, a second
WITHIN = (20, 50, 100)  # ms


def main() -> None:
    """Parses the options and prints the table."""
    options = _options()
    torch.set_num_threads(1)
    model, card = load(options.voice, types={"Voice": Voice})
    mel = Mel.of(card.signal)
    catalogue = read_catalogue(options.data, sets=options.sets)
    corpus = VoiceCorpus.open(catalogue, options.cache, mel)
    clips = corpus.select("val")
    found: dict[str, list[float]] = {"shared out evenly": [], "flat start": [], "trained": []}
    used = 0
    for clip in clips:
        reference = sphinx(clip, mel)
        if reference is None:
            continue
        used += 1
        batch = collate([clip], corpus.speakers)
        encoded = model.encode(batch["symbols"], batch["tokens"], batch["speaker"])
        trained = best_durations(model.standardise(batch["mel"]), encoded, batch["frames"])[0]
        even = spread(batch["tokens"], batch["frames"], len(clip.symbols))[0]
        for name, durations in zip(found, (even, clip.durations, trained), strict=True):
            starts = word_starts(clip, durations) * mel.hop / mel.sample_rate
            found[name] += list(1000 * (starts - reference))
    words = len(found["trained"])
    print(f"{words} words in {used} of {len(clips)} held-out recordings\n")
    shares = "".join(f"  <= {w} ms, %" for w in WITHIN)
    print(f"{'starts of words':20} median of |difference|, of difference{shares}")
    for name, differences in found.items():
        signed = np.array(differences)
        apart = np.abs(signed)
        shares = "".join(f"{100 * np.mean(apart <= w):12.1f}" for w in WITHIN)
        print(f"{name:20} {np.median(apart):18.0f} ms {np.median(signed):12.0f} ms{shares}")


def word_starts(clip: Clip, durations: Tensor) -> np.ndarray:
    """The first frame of each word."""
    symbols = ["^", *phonemes(clip.utterance.text).phonemes, "$"]
    starts = (durations.cumsum(0) - durations).tolist()
    places: list[int] = []
    fresh = True
    for symbol, start in zip(symbols, starts, strict=True):
        if symbol in (SPACE, "^", "$", *PUNCTUATION):
            fresh = True
        elif fresh:
            places.append(start)
            fresh = False
    return np.array(places, float)


def sphinx(clip: Clip, mel: Mel) -> np.ndarray | None:
    """Seconds at which each word starts, by CMU Sphinx; None where it does not know a word."""
    from pocketsphinx import Decoder

    words = [word.lower() for word in phonemes(clip.utterance.text).words]
    decoder = Decoder(samprate=RATE, loglevel="FATAL", lm=None, bestpath=False)
    if any(decoder.lookup_word(word) is None for word in words):
        return None
    samples, rate = read(clip.utterance.path)
    wave = torch.from_numpy(samples.mean(0)).float()
    wave = trim(resample(wave, rate, mel.sample_rate), mel.sample_rate)
    pcm = (resample(wave, mel.sample_rate, RATE).clamp(-1, 1) * 32767).short().numpy().tobytes()
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()
    starts = [
        segment.start_frame / FRAMES
        for segment in decoder.seg() or ()
        if segment.word[0].isalpha() or segment.word[0] == "'"
    ]
    return np.array(starts) if len(starts) == len(words) else None


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="manifest, or folder")
    parser.add_argument("--sets", nargs="*", default=[], help="sets of the manifest")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded recordings")
    parser.add_argument("--voice", type=Path, default=path_of("voice"), help="checkpoint")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
