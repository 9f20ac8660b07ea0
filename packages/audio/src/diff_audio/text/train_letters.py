"""The command `python -m diff_audio.text.train_letters`, which trains the network of `letters.py`.

Every 20th word of the sorted dictionary is held out and scored at the end: as wrong words, and as
the edit distance in phones over the phones of the nearest pronunciation in the dictionary; with
stress, and without.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from diff_audio.text.letter_alignment import align
from diff_audio.text.pronunciation import letters
from diff_audio.text.pronunciation.dictionary import Phones, lookup, words
from diff_audio.text.symbols import CONSONANTS, VOWELS
from diff_core.files import replacing

__all__ = ["Network", "held_out", "labelled", "main", "rates", "train"]

EVERY = 20
RARE = 10
"""Labels seen less often are left out, with their words."""


def held_out() -> tuple[list[str], list[str]]:
    """The words to train on, and those held out."""
    plain = [word for word in sorted(words()) if set(word) <= set(letters.ALPHABET)]
    return [w for i, w in enumerate(plain) if i % EVERY], plain[::EVERY]


def labelled(known: Sequence[str]) -> tuple[list[str], list[tuple[Phones, ...]]]:
    """The words whose letters can be given phones, and those phones for each letter."""
    sounds = [lookup(word)[0] for word in known]
    bare = {phone: i for i, phone in enumerate((*CONSONANTS, *VOWELS))}
    cuts = align(
        [[letters.ALPHABET.index(letter) for letter in word] for word in known],
        [[bare[phone.rstrip("012")] for phone in sound] for sound in sounds],
        letter_count=len(letters.ALPHABET),
        phone_count=len(bare),
    )
    found: list[tuple[str, tuple[Phones, ...]]] = []
    for word, sound, cut in zip(known, sounds, cuts, strict=True):
        if cut is not None:
            ends = np.cumsum(cut)
            labels = tuple(sound[end - size : end] for end, size in zip(ends, cut, strict=True))
            found.append((word, labels))
    seen = Counter(label for _, labels in found for label in labels)
    kept = [(w, labels) for w, labels in found if all(seen[label] >= RARE for label in labels)]
    return [w for w, _ in kept], [labels for _, labels in kept]


class Network(nn.Module):
    """A network from letters (B, L) and what was said before each (B, L) to scores of labels (B,
    L, K).
    """

    def __init__(self, labels: int, hidden: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(letters.ALPHABET), 32)
        self.labels = nn.Embedding(labels + 1, 32)  # the last: nothing said yet
        self.first = nn.GRU(32, hidden, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * hidden + 32, hidden, batch_first=True)
        self.out = nn.Linear(hidden, labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, word: Tensor, before: Tensor) -> Tensor:
        """Return the scores of the labels of each letter."""
        read = self.dropout(self.first(self.letters(word))[0])
        said = self.second(torch.cat([read, self.labels(before)], -1))[0]
        return self.out(self.dropout(said))


def train(
    network: Network,
    known: Sequence[str],
    targets: Sequence[Sequence[int]],
    epochs: int,
    batch: int,
) -> None:
    """Train by Adam with a triangular rate; a batch holds words of one length, so nothing is
    padded.
    """
    lengths: dict[int, list[int]] = {}
    for place, word in enumerate(known):
        lengths.setdefault(len(word), []).append(place)
    index = {letter: i for i, letter in enumerate(letters.ALPHABET)}
    groups = [
        (
            torch.tensor([[index[letter] for letter in known[i]] for i in places]),
            torch.tensor([targets[i] for i in places]),
        )
        for places in lengths.values()
    ]
    start = network.labels.num_embeddings - 1
    steps = epochs * sum(-(-len(word) // batch) for word, _ in groups)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    network.train()
    for epoch in range(epochs):
        began, losses = time.monotonic(), []
        batches = [
            (group, part)
            for group, (word, _) in enumerate(groups)
            for part in torch.randperm(len(word)).split(batch)
        ]
        for place in torch.randperm(len(batches)):
            group, part = batches[place]
            word, target = groups[group][0][part], groups[group][1][part]
            before = nn.functional.pad(target[:, :-1], (1, 0), value=start)
            loss = nn.functional.cross_entropy(
                network(word, before).flatten(0, 1), target.flatten()
            )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.monotonic() - began:.0f} s",
            flush=True,
        )


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    """The Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(last + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def rates(speller: letters.Speller, test: Sequence[str]) -> dict[str, float]:
    """Return word and phone error rates in per cent, with stress and without."""
    found: dict[str, float] = {}
    said = [speller(word) for word in test]
    for name, strip in (("", ""), (" without stress", "012")):
        wrong = edits = phones = 0
        for word, sound in zip(test, said, strict=True):
            mine = [phone.rstrip(strip) if strip else phone for phone in sound]
            edit, length = min(
                (_distance(mine, [p.rstrip(strip) if strip else p for p in true]), len(true))
                for true in lookup(word)
            )
            wrong, edits, phones = wrong + (edit > 0), edits + edit, phones + length
        found[f"words wrong{name}"] = 100 * wrong / len(test)
        found[f"phones wrong{name}"] = 100 * edits / phones
    return found


def _save(network: Network, labels: Sequence[Phones], out: Path, about: dict[str, str]) -> None:
    tensors: dict[str, np.ndarray] = {}
    for name, weight in network.state_dict().items():
        value = weight.numpy()
        if value.ndim == 2:
            tensors[name], tensors[f"{name}.scale"] = letters.quantise(value)
        else:
            tensors[name] = value
    with replacing(out) as temporary:
        save_file(tensors, temporary, {**about, "labels": json.dumps(labels)})


def main() -> None:
    """Align, train, write the weights and print the error rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score", action="store_true", help="score the shipped network only")
    here = Path(__file__).parent / "data" / letters.WEIGHTS
    parser.add_argument("--out", type=Path, default=here)
    parser.add_argument(
        "--names",
        type=Path,
        nargs="+",
        help="score only held-out words that begin a line of these",
    )
    given = parser.parse_args()
    known, test = held_out()
    if given.names:
        lines = [line.split() for file in given.names for line in file.read_text().splitlines()]
        names = {line[0].lower() for line in lines if line}
        test = [word for word in test if word in names]
    if not given.score:
        torch.manual_seed(given.seed)
        began = time.process_time()
        trained, found = labelled(known)
        labels = sorted({label for word in found for label in word})
        place = {label: i for i, label in enumerate(labels)}
        print(
            f"{len(known)} words, {len(trained)} aligned, {len(labels)} labels, "
            f"{time.process_time() - began:.0f} CPU s",
            flush=True,
        )
        network = Network(len(labels))
        targets = [[place[label] for label in word] for word in found]
        train(network, trained, targets, given.epochs, given.batch)
        about = {"trained on": f"{len(trained)} words of CMUdict", "epochs": str(given.epochs)}
        _save(network, labels, given.out, about)
        spent = (time.process_time() - began) / 60
        print(f"{given.out.stat().st_size} bytes, {spent:.1f} CPU minutes", flush=True)
    scores = rates(letters.Speller.from_pretrained(given.out), test)
    for name, rate in scores.items():
        print(f"{name}: {rate:.2f} % of {len(test)} held-out words", flush=True)


if __name__ == "__main__":
    main()
