"""The scans, samples and features that the sections of `generate.py` share, each made once."""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from diff_medical.generator.data.corpus import Entry
from diff_medical.generator.model import Generator, Sampling
from diff_medical.generator.request import Request
from diff_medical.generator.tone import BRIGHT, encode
from diff_medical.image_sets.features import network_features, selection_of
from diff_medical.image_sets.images import Images
from diff_medical.image_sets.read import Sources, cutting_of, read_scans

__all__ = ["Work", "mixture"]


class Work:
    """What the sections share, each thing made when it is first asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.generator = Generator.from_pretrained(options.weights, device="cpu")
        self._scans: tuple[Images, Images] | None = None
        self._samples: Images | None = None
        self._features: dict[bytes, NDArray[np.float32]] = {}

    @property
    def scans(self) -> tuple[Images, Images]:
        """Train and held-out images."""
        if self._scans is None:
            card = self.generator.card
            cutting = cutting_of(
                card.recipe, self.generator.size, self.generator.spatial, self.generator.thickness
            )
            data = self.options.data
            sources = Sources(data, data, self.options.manifest, selection_of(card))
            cache = self.options.save / "corpus"
            self._scans = read_scans(sources, [], cutting, lambda _text: None, cache)
        return self._scans

    @property
    def samples(self) -> Images:
        """Drawn once, and kept below --save under the fingerprint of the weights."""
        if self._samples is None:
            options, generator = self.options, self.generator
            drawn = (options.number, options.steps, options.seed)
            name = f"samples-{generator.fingerprint}-{'-'.join(map(str, drawn))}.npz"
            path = options.save / name
            if not path.is_file():
                options.save.mkdir(parents=True, exist_ok=True)
                begun = time.process_time()
                requests = mixture(generator, options.number, options.seed)
                made = generator(requests, Sampling(options.steps, seed=options.seed, batch=4))
                tones = np.stack(
                    [encode(m.values, m.request.modality, bright=BRIGHT) for m in made]
                )
                said = [[m.request.modality, m.request.body, m.request.plane] for m in made]
                np.savez(path, tones=tones.astype(np.float16), said=np.array(said))
                print(f"({options.number} samples: {time.process_time() - begun:.0f} CPU s)")
            with np.load(path) as file:
                tones, said = file["tones"].astype(np.float32), file["said"]
            entries = (
                Entry(Request(*map(str, words)), f"sample {i}", f"sample {i}", "samples", 0.0)
                for i, words in enumerate(said)
            )
            self._samples = Images(tones, tuple(entries))
        return self._samples

    def features(self, images: Images) -> NDArray[np.float32]:
        """Of the network, each image once."""
        keys = [image.astype(np.float16).tobytes() for image in images.values]
        new = [i for i, key in enumerate(keys) if key not in self._features]
        if new:
            found = network_features(self.generator, images.part(np.array(new)))
            self._features.update(zip((keys[i] for i in new), found, strict=True))
        return np.stack([self._features[key] for key in keys])


def mixture(generator: Generator, number: int, seed: int) -> list[Request]:
    """Kinds as often as in the training data, in random order."""
    counts = np.array(list(generator.counts.values()), np.float64)
    exact = number * counts / counts.sum()
    taken = exact.astype(int)
    for index in np.argsort(taken - exact)[: number - taken.sum()]:
        taken[index] += 1
    made = [r for r, n in zip(generator.choices(), taken, strict=True) for _ in range(n)]
    return [made[i] for i in np.random.default_rng(seed).permutation(len(made))]
