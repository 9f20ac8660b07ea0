"""The pronunciation of words that no dictionary holds: a small recurrent network reads their
letters.

A bidirectional GRU reads the letters; a second GRU goes over them once more and says for each
letter the phones it stands for, none, one or two, knowing what it said before. A beam search finds
the best whole word. It runs in numpy, so that saying one word does not load torch.
`train_letters.py` trains it on the dictionary. GRU: "Learning phrase representations using RNN
encoder-decoder", K. Cho and others, 2014, equations 5-8, with the reset gate after the product.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_audio.text.pronunciation.dictionary import Phones

__all__ = ["ALPHABET", "WEIGHTS", "Speller", "quantise", "spell"]

WEIGHTS = "letters.safetensors"
"""The file of the network in this folder."""
ALPHABET = "abcdefghijklmnopqrstuvwxyz'"
"""The letters that the network knows."""
BEAM = 4

Array = NDArray[np.floating[Any]]


def quantise(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Return `weight` (R, C) as whole numbers from -127 to 127 and a scale a row (R, 1)."""
    scale = np.abs(weight).max(1, keepdims=True) / 127
    scale = np.where(scale == 0, 1, scale).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _step(given: Array, hidden: Array, weight: Array, bias: Array) -> Array:
    """Return one step of a GRU: `given` (B, 3H) is the product with the input, `hidden` (B, H)."""
    size = hidden.shape[1]
    own = hidden @ weight.T + bias
    reset, update = np.split(_sigmoid(given[:, : 2 * size] + own[:, : 2 * size]), 2, 1)
    new = np.tanh(given[:, 2 * size :] + reset * own[:, 2 * size :])
    return (1 - update) * new + update * hidden


@dataclass(frozen=True)
class Speller:
    """The trained network.

    tensors: weights in the names and shapes of `train_letters.Network`
    labels:  what a letter can stand for: none, one or two phones
    """

    tensors: dict[str, Array]
    labels: tuple[Phones, ...]

    @classmethod
    def from_pretrained(cls, path: Path | None = None) -> Speller:
        """The network in the package, or that of the file."""
        from safetensors import safe_open

        home = nullcontext(path) if path else as_file(files("diff_audio.text") / "data" / WEIGHTS)
        with home as found, safe_open(found, framework="np") as file:
            raw = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            labels = json.loads(file.metadata()["labels"])
        tensors = {
            name: value * raw[f"{name}.scale"] if value.dtype == np.int8 else value
            for name, value in raw.items()
            if not name.endswith(".scale")
        }
        return cls(tensors, tuple(tuple(label) for label in labels))

    def __call__(self, word: str) -> Phones:
        """The likeliest pronunciation of a word in lower case letters and apostrophes."""
        t = self.tensors
        read = self._read(t["letters.weight"][[ALPHABET.index(letter) for letter in word]])
        given = read @ t["second.weight_ih_l0"][:, : read.shape[1]].T + t["second.bias_ih_l0"]
        back = t["labels.weight"] @ t["second.weight_ih_l0"][:, read.shape[1] :].T
        hidden = np.zeros((1, t["second.weight_hh_l0"].shape[1]), np.float32)
        scores, said = np.zeros(1, np.float32), [()]
        last = np.full(1, len(self.labels))  # nothing said yet
        for row in given:
            hidden = _step(
                row + back[last], hidden, t["second.weight_hh_l0"], t["second.bias_hh_l0"]
            )
            logits = hidden @ t["out.weight"].T + t["out.bias"]
            total = (scores[:, None] + _log_softmax(logits)).ravel()
            best = np.argsort(-total, kind="stable")[:BEAM]
            origin, last = np.divmod(best, len(self.labels))
            scores, hidden = total[best], hidden[origin]
            said = [said[o] + self.labels[k] for o, k in zip(origin, last, strict=True)]
        return said[0]

    def _read(self, letters: Array) -> Array:
        """The first GRU in both directions: (L, E) to (L, 2H)."""
        sides = []
        for side, order in (("", letters), ("_reverse", letters[::-1])):
            t = {n: self.tensors[f"first.{n}_l0{side}"] for n in _NAMES}
            hidden = np.zeros((1, t["weight_hh"].shape[1]), np.float32)
            steps = []
            for given in order @ t["weight_ih"].T + t["bias_ih"]:
                hidden = _step(given[None], hidden, t["weight_hh"], t["bias_hh"])
                steps.append(hidden[0])
            sides.append(np.stack(steps[::-1] if side else steps))
        return np.concatenate(sides, 1)


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


@cache
def _speller() -> Speller:
    return Speller.from_pretrained()


@lru_cache(maxsize=10_000)
def spell(word: str) -> Phones:
    """The pronunciation of a word in lower case letters and apostrophes, from its letters."""
    return _speller()(word)
