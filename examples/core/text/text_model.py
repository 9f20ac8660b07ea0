"""Text as categories: a corpus of characters, and the job that learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from diff_core.discrete import (
    Absorbing,
    CategoricalNetwork,
    EvidenceBound,
    FromLogits,
    bits_per_token,
    evidence_bound,
)
from diff_core.io import Card
from diff_core.nn import DiT
from diff_core.train import Job, TrainConfig

HOLMES = Path(__file__).parent / "holmes.txt"


@dataclass(frozen=True)
class Alphabet:
    """The characters of a text, in the order of their categories."""

    characters: str

    def encode(self, text: str) -> Tensor:
        """Categories (L,). Raises ValueError for a character that is not in the alphabet."""
        if unknown := sorted(set(text) - set(self.characters)):
            raise ValueError(f"{unknown} not in the alphabet; expected {self.characters!r}")
        return torch.tensor([self.characters.index(c) for c in text])

    def decode(self, x: Tensor, blank: str = "_") -> str:
        """The text of categories (L,), with `blank` for masks."""
        return "".join((self.characters + blank)[int(c)] for c in x)


class Windows:
    """Windows of a text, from random places: window i is a function of i alone."""

    def __init__(self, text: Tensor, length: int) -> None:
        if len(text) <= length:
            raise ValueError(f"the text has {len(text)} characters; expected more than {length}")
        self.text, self.length = text, length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        first = int(torch.randint(len(self.text) - self.length + 1, (), generator=generator))
        return {"x_0": self.text[first : first + self.length]}

    def spread(self, count: int) -> Tensor:
        """`count` windows (count, length) at equal distances."""
        places = torch.linspace(0, len(self.text) - self.length, count).long()
        return torch.stack([self.text[n : n + self.length] for n in places])


@dataclass(frozen=True)
class Network:
    """The transformer: see `diff_core.nn.DiT`. Its width is that of the embedding as well."""

    width: int = 256
    depth: int = 4
    heads: int = 4


@dataclass(frozen=True)
class Recipe:
    """All numbers of a run; see recipe.yaml."""

    train: TrainConfig
    network: Network = Network()
    window: int = 256
    held_out: float = 0.1
    windows: int = 64
    draws: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}; expected a share between 0 and 1")


@dataclass(frozen=True)
class Inputs:
    """The options for data of the command."""

    data: Annotated[Path, typer.Option(help="Text file in UTF-8, a paragraph a line.")] = HOLMES
    licence: Annotated[str, typer.Option(help="Of the text, for the card.")] = "public domain"


def read(path: Path, held_out: float) -> tuple[Alphabet, Tensor, Tensor]:
    """The alphabet of a text, and its categories: to learn from, and held out (its end)."""
    text = path.read_text(encoding="utf-8")
    alphabet = Alphabet("".join(sorted(set(text))))
    x = alphabet.encode(text)
    first = round(len(x) * (1 - held_out))
    return alphabet, x[:first], x[first:]


def untrained(characters: int, network: Network) -> FromLogits:
    """A masked-diffusion denoiser of characters."""
    chain = Absorbing(characters)
    body = DiT(
        1,
        network.width,
        network.width,
        patch=1,
        width=network.width,
        depth=network.depth,
        heads=network.heads,
    )
    return FromLogits(
        CategoricalNetwork(body, chain.categories, chain.states, network.width), chain
    )


def build(recipe: Recipe, inputs: Inputs, out: Path) -> Job[FromLogits]:
    """The job of `train_text.py`."""
    alphabet, text, held_out = read(inputs.data, recipe.held_out)
    held = Windows(held_out, recipe.window).spread(recipe.windows)

    def validate(model: FromLogits, step: int) -> dict[str, float]:
        generator = torch.Generator().manual_seed(0)  # the same masks at every validation
        rows = [
            evidence_bound(model, rows, draws=recipe.draws, generator=generator)
            for rows in held.split(32)
        ]
        return {"bits a character": bits_per_token(torch.cat(rows))}

    def card(model: FromLogits, step: int, hours: float) -> Card:
        return Card(
            name="text",
            purpose=f"Writes and infills windows of {recipe.window} characters.",
            signal={"alphabet": alphabet.characters, "window": recipe.window},
            data=(f"{inputs.data.name}, the first {len(text)} characters",),
            licences=(inputs.licence,),
            scores=validate(model, step),
            limits="A small model of one book: it has its words and grammar, and no knowledge.",
        )

    return Job(
        model=untrained(len(alphabet.characters), recipe.network),
        objective=EvidenceBound(),
        samples=Windows(text, recipe.window),
        card=card,
        validate=validate,
        plan=(
            f"{inputs.data}: {len(text)} characters to learn from, {len(held_out)} held out, "
            f"{len(alphabet.characters)} different ones",
        ),
    )
