"""Which of the kinds of scan that a generator knows are asked for, and what to say of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from diff_core.io import Card
from diff_medical.generator.request import Choice

__all__ = ["FEWEST", "audit_of", "choose", "honest", "listed", "name_of", "scarce"]

TESTED = "audit samples of "  # and a kind: the number of its samples, where it was tested
FEWEST = 20
"""People from whom a kind that comes with the package has to be learned to be offered unasked."""

AUDITED = "audit passed"  # the score, 1 or 0, that a card has after an audit


def choose(
    choices: Sequence[Choice], modalities: Sequence[str] = (), body: str = "", plane: str = ""
) -> list[Choice]:
    """The kinds that are asked for, one of each modality: the first of `choices` that fits.

    What is empty is left open. Raises ValueError for what the model does not know, with what it
    knows, the nearest first.
    """
    best: dict[str, Choice] = {}
    for modality in modalities or ("",):
        for one in _fitting(choices, modality=modality, body=body, plane=plane):
            best.setdefault(one.modality, one)
    return list(best.values())


def _fitting(choices: Sequence[Choice], **asked: str) -> list[Choice]:
    found, said = list(choices), ""
    for name, given in asked.items():
        word = given.lower()
        if not word:
            continue
        fits = [one for one in found if getattr(one, name) == word]
        if not fits:
            known = _nearest(word, {str(getattr(one, name)) for one in found})
            of = f" of{said}" if said else ""
            raise ValueError(f"{name} is {given!r}; the model knows{of}: {', '.join(known)}")
        found, said = fits, f"{said} {word}"
    return found


def _nearest(word: str, known: Iterable[str]) -> list[str]:
    """All that is known, what is spelt like `word` first."""

    def distance(other: str) -> tuple[float, str]:
        return -difflib.SequenceMatcher(None, word, other).ratio(), other

    return sorted(known, key=distance)


def scarce(kinds: Sequence[Choice]) -> str:
    """Return one line on the first kind that was learned from few people; "" if there is none."""
    for kind in kinds:
        if kind.subjects < FEWEST:
            people = "person" if kind.subjects == 1 else "people"
            return (
                f"{name_of(kind)} was learned from scans of {kind.subjects} {people}, fewer than "
                f"{FEWEST}"
            )
    return ""


def name_of(kind: Choice) -> str:
    """Return the name of a choice, as in "t1 head axial"."""
    return " ".join(word for word in (kind.modality, kind.body, kind.plane) if word)


def listed(choices: Sequence[Choice]) -> list[str]:
    """A table, line by line."""
    rows = [("modality", "body", "plane", "scans", "people")]
    rows += [
        (one.modality, one.body, one.plane or "volume", f"{one.scans}", f"{one.subjects}")
        for one in choices
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column > 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def honest(card: Card, kinds: Sequence[Choice]) -> str:
    """Return one line: of how many people the model has seen scans, what it is not for, and its
    audit.
    """
    said = f"learned from scans of {card.signal.get('subjects', 'an unknown number of')} people"
    if len(kinds) == 1:
        said += f", {kinds[0].subjects} of them in {name_of(kinds[0])}"
    return f"{said}; for research, not for diagnosis; {audit_of(card, kinds)}"


def audit_of(card: Card, kinds: Sequence[Choice] = ()) -> str:
    """Return the card's words on the audit for copies of training scans (`diff_medical.audit`).

    kinds: those that are made. Of a kind without held-out scans the audit only looked for copies,
           and of one that it drew no samples of it says nothing
    """
    if AUDITED not in card.scores:
        return "not audited for copies"
    if not card.scores[AUDITED]:
        return "FAILED its audit: may copy scans that it was trained on"
    tested = {name.removeprefix(TESTED) for name in card.scores if name.startswith(TESTED)}
    if not tested:
        return "passed its audit for copies; its card does not say of which kinds"
    names = [name_of(one) for one in kinds]
    lacking = [name for name in names if name not in tested]
    if not lacking:
        return "passed its audit for copies"
    if len(lacking) == len(names):
        return f"NOT AUDITED for {_few(lacking)}; its audit passed for {_few(sorted(tested))}"
    return f"passed its audit for copies of {_few(sorted(tested))}, NOT AUDITED for the others"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
