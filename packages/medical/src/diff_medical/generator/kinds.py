"""The kinds of scans that a generator was trained on, from its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from diff_core.io import Card
from diff_medical.generator.request import Choice, Request

__all__ = ["Kinds"]


def _choice(row: Mapping[str, Any]) -> Choice:
    """Return the choice that a row of a card describes. Raises KeyError or TypeError."""
    made = Choice(**{**row, "positions": tuple(row["positions"])})
    words = all(isinstance(word, str) for word in (made.modality, made.body, made.plane))
    numbers = (made.scans, made.subjects, made.view, *made.positions)
    if not words or not all(type(number) in (int, float) for number in numbers):
        raise TypeError(f"a choice is {dict(row)}")
    return made


@dataclass(frozen=True)
class Kinds:
    """choices: the commonest first."""

    choices: tuple[Choice, ...]

    @classmethod
    def of(cls, card: Card) -> Kinds:
        """Return the kinds of a card. Raises ValueError if the card is not a generator's."""
        try:
            rows = cast("list[dict[str, Any]]", card.signal["choices"])
            made = [_choice(row) for row in rows]
            if not made:
                raise TypeError("no choices")
        except (KeyError, TypeError) as error:
            raise ValueError(f"the card of {card.name} is not a generator's ({error})") from error
        return cls(tuple(made))

    @staticmethod
    def request(choice: Choice) -> Request:
        """Return the request for a choice."""
        return Request(choice.modality, choice.body, choice.plane)

    def find(self, request: Request) -> Choice:
        """The choice that is meant; "" means the commonest. Raises ValueError if there is none."""
        left = self.choices
        for name in ("modality", "body", "plane"):
            word: str = getattr(request, name)
            known = dict.fromkeys(getattr(choice, name) for choice in left)
            if not word or (name == "plane" and "" in known):
                # the commonest: the first, and only it
                word = next(iter(known))
            if word not in known:
                said = {"body": [request.modality], "plane": [request.modality, request.body]}
                of = " ".join(["", "of", *filter(None, said[name])]) if name in said else ""
                raise ValueError(
                    f"{name} is {word!r}; this model knows{of} {', '.join(filter(None, known))}"
                )
            left = tuple(choice for choice in left if getattr(choice, name) == word)
            request = replace(request, **{name: word})
        return left[0]
