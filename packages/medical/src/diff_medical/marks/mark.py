"""The mark of a synthetic scan: which model made it, from which seed and conditions.

One record in several forms: JSON (sidecar, NIfTI extension, DICOM comment, PNG text), one line
(the NIfTI header's 79 bytes), and a part of the file's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["NAME", "NOTICE", "Mark", "is_named_synthetic", "software", "together"]

NAME = "_desc-synthetic"
"""The end of the name of a synthetic file."""
NOTICE = "Synthetic: made by a neural network, not a scan of anyone; not for diagnosis"
"""The notice that every mark bears."""
_MAKER = "diff-medical "
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_LINE = re.compile(r"SYNTHETIC (diff-medical \S+) model ([0-9a-f]{16}) seed (\d+)")
_LINE_BYTES = 79


def software() -> str:
    """Return the name and version of this package."""
    return _MAKER + version("diff-medical")


@dataclass(frozen=True)
class Mark:
    """The mark of a synthetic scan, or of a picture of several.

    fingerprint: of the model's file (`diff_core.files.fingerprint`)
    seed:        of the scan; of the first of several
    model:       its name; "" where the mark is the header's one line
    conditions:  what was asked for: modality, body, plane, position
    sampling:    steps, guidance, temperature
    software:    name and version
    count:       scans in a picture; 1 for a scan
    """

    fingerprint: str
    seed: int
    model: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    software: str = field(default_factory=software)
    count: int = 1

    def record(self) -> dict[str, Any]:
        """Return the record for a sidecar."""
        return {
            "Synthetic": True,
            "Description": NOTICE,
            "Software": self.software,
            "Model": self.model,
            "Fingerprint": self.fingerprint,
            "Seed": self.seed,
            "Conditions": dict(self.conditions),
            "Sampling": dict(self.sampling),
            **({"Count": self.count} if self.count > 1 else {}),
        }

    def json(self) -> str:
        """The record in one line of ASCII."""
        return json.dumps(self.record())

    def line(self) -> str:
        """Return the mark in at most 79 bytes; conditions are cut where they do not fit."""
        said = " ".join(
            f"{value:.3f}" if isinstance(value, float) else str(value)
            for value in self.conditions.values()
            if value is not None
        )
        text = f"SYNTHETIC {self.software} model {self.fingerprint} seed {self.seed} {said}"
        return text.encode("ascii", "replace")[:_LINE_BYTES].decode().rstrip()

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """The mark in a JSON record or in a text with the one line; None if there is none."""
        if found := _LINE.search(text):
            return cls(found[2], int(found[3]), software=found[1])
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return cls.of_record(record) if isinstance(record, dict) else None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Mark | None:
        """The mark in a sidecar; None if it is not one of this software's."""
        maker, seed = record.get("Software"), record.get("Seed")
        fingerprint = record.get("Fingerprint")
        if (
            record.get("Synthetic") is not True
            or not str(maker).startswith(_MAKER)
            or not _FINGERPRINT.fullmatch(str(fingerprint))
            or not isinstance(seed, int)
        ):
            return None

        def table(name: str) -> dict[str, Any]:
            value = record.get(name)
            return value if isinstance(value, dict) else {}

        count = record.get("Count")
        return cls(
            str(fingerprint),
            seed,
            str(record.get("Model", "")),
            table("Conditions"),
            table("Sampling"),
            str(maker),
            count if isinstance(count, int) else 1,
        )


def is_named_synthetic(path: Path) -> bool:
    """Return True for a file whose name marks it as synthetic."""
    return re.search(rf"{NAME}(?![a-zA-Z0-9])", path.name) is not None


def together(marks: Sequence[Mark]) -> Mark:
    """The mark of a picture of several scans of one model, of seeds one after the other: what
    they share.
    """
    first = marks[0]
    shared = {
        name: value
        for name, value in first.conditions.items()
        if all(mark.conditions.get(name) == value for mark in marks)
    }
    return replace(first, conditions=shared, count=len(marks))
