"""The generator's corpus: slices or volumes of scans in one array, with what each of them is."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_core.data import assign, count_line, refuse_shared
from diff_core.files import replacing
from diff_medical.data.reading import Reading, load_scan
from diff_medical.data.studies import CorpusError, Row
from diff_medical.generator.data.cutting import (
    COARSER,
    COVERED,
    OWN,
    Cutting,
    Piece,
    cut_slices,
    cut_volume,
)
from diff_medical.generator.data.pairs import Pairing, read_extra
from diff_medical.generator.request import Choice, Request
from diff_medical.generator.tone import encode
from diff_medical.generator.vocabulary import body_of, modality_of
from diff_medical.scan.intensity import recognise
from diff_medical.scan.spacing import Spacing

__all__ = ["Corpus", "Entry", "Selection", "build_corpus"]

FORMAT = 2
HELD_OUT = 0.1  # share of the subjects, where nothing says who is to be held out
LEAST = 2  # subjects


@dataclass(frozen=True)
class Selection:
    """Which scans are used, and whose they are.

    modalities, bodies: words to keep; none for all
    subject: regular expression; what its groups match of a file's name, joined, is the subject.
             Of other files it is what the manifest, BIDS or DICOM says, else the file's name
    rare:    least number of training scans of a kind (modality and part of the body) to be used
    """

    modalities: tuple[str, ...] = ()
    bodies: tuple[str, ...] = ()
    subject: str = ""
    rare: int = 1

    def __post_init__(self) -> None:
        try:
            re.compile(self.subject)
        except re.error as error:
            raise ValueError(
                f"subject is {self.subject!r}: no regular expression ({error})"
            ) from error

    def subject_of(self, row: Row) -> str:
        found = re.search(self.subject, row.path.name) if self.subject else None
        if found:
            return "".join(group for group in found.groups() if group) or found[0]
        return row.subject or row.path.name


@dataclass(frozen=True)
class Entry:
    """The description of an image of a corpus: `request` with its position, if that is known."""

    request: Request
    subject: str
    scan: str
    split: str
    view: float


@dataclass(frozen=True)
class Corpus:
    """images (N, C, *canvas) float16, memory-mapped, and what each is.

    The first channel holds tones (`diff_medical.generator.tone`), the others those of `Pairing`.
    """

    images: NDArray[np.float16]
    entries: tuple[Entry, ...]
    cutting: Cutting
    notes: tuple[str, ...] = field(default=())

    def of(self, split: str) -> NDArray[np.int64]:
        """Return the indices of a split's images."""
        return np.array([i for i, e in enumerate(self.entries) if e.split == split], np.int64)

    def window(self, index: int) -> NDArray[np.float32]:
        """The field of view of one image, as it is without augmentation: (C, size, ...)."""
        from diff_medical.generator.data.augment import Augmentation, warped

        image = np.asarray(self.images[index], np.float32)
        return warped(image, self.cutting, Augmentation.none(self.cutting.spatial))

    def choices(self) -> tuple[Choice, ...]:
        """Return every kind of the training images, the commonest first."""
        kinds: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in self.entries:
            if entry.split == "train":
                said = entry.request
                kinds.setdefault((said.modality, said.body, said.plane), []).append(entry)
        made = [_choice(kind, found) for kind, found in kinds.items()]
        return tuple(sorted(made, key=lambda choice: -choice.scans))


def _choice(kind: tuple[str, str, str], entries: Sequence[Entry]) -> Choice:
    known = [e.request.position for e in entries if e.request.position is not None]
    quantiles = np.quantile(known, np.linspace(0, 1, 9)) if known else ()
    subjects = len({entry.subject for entry in entries})
    positions = tuple(round(float(q), 3) for q in quantiles)
    return Choice(*kind, len(entries), subjects, positions, entries[0].view)


def build_corpus(
    rows: Sequence[Row],
    cache: Path,
    cutting: Cutting,
    selection: Selection = Selection(),  # noqa: B008
    pairing: Pairing = Pairing(),  # noqa: B008
    *,
    warn: Callable[[str], None] = print,
) -> Corpus:
    """Cut all scans, once into `cache`.

    Where no row is held out, one subject in ten is, by a hash of its name. Rows of the test split
    are left out. Files that cannot be used are named to `warn`, and that spacings are mixed.
    Raises CorpusError if nothing can be used, or the training scans are of a single subject;
    ValueError for a subject in two splits.
    """
    rows = _with_splits([replace(row, subject=selection.subject_of(row)) for row in rows])
    key = json.dumps(
        [FORMAT, [_stamp(row) for row in rows], *map(asdict, (cutting, selection, pairing))]
    )
    name = f"{cutting.spatial}d-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    table, array = cache / f"{name}.json", cache / f"{name}.npy"
    cache.mkdir(parents=True, exist_ok=True)
    if not (table.is_file() and array.is_file()):
        images, entries, notes = _cut(rows, cutting, selection, pairing, warn)
        with replacing(array) as temporary, temporary.open("wb") as file:
            np.save(file, images)
        held = [[asdict(entry) for entry in entries], notes]
        with replacing(table) as temporary:
            temporary.write_text(json.dumps(held))
    kept, notes = json.loads(table.read_text())
    entries = tuple(Entry(**(e | {"request": Request(**e["request"])})) for e in kept)
    for note in notes:
        warn(note)
    return Corpus(np.load(array, mmap_mode="r"), entries, cutting, tuple(notes))


def _stamp(row: Row) -> tuple[Any, ...]:
    status = row.path.stat() if row.path.is_file() else None
    return (str(row.path), row.split, row.subject, row.contrast, row.about, row.volume,
            status and status.st_size, status and status.st_mtime_ns)  # fmt: skip


def _with_splits(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are not of the test, each in the split of its subject."""
    _refuse_shared(rows)
    counts = count_line((row.split for row in rows), "scans")
    rows = [row for row in rows if row.split != "test"]
    if not any(row.split == "train" for row in rows):
        raise CorpusError(f"nothing is left to train on; {counts}")
    subjects = sorted({row.subject for row in rows})
    if len(subjects) < LEAST:
        raise CorpusError(
            f"all {len(rows)} scans are of one subject, {', '.join(subjects) or 'none'}: a model "
            "would make copies of that person; give scans of more people"
        )
    if all(row.split == "train" for row in rows):
        chosen = assign(subjects, val=HELD_OUT)
        rows = [replace(row, split=chosen[row.subject]) for row in rows]
    return rows


def _refuse_shared(rows: Sequence[Row]) -> None:
    splits: dict[str, list[str]] = {}
    for row in rows:
        splits.setdefault(row.subject, []).append(row.split)
    refuse_shared(splits, "subject")


def _cut(
    rows: Sequence[Row],
    cutting: Cutting,
    selection: Selection,
    pairing: Pairing,
    warn: Callable[[str], None],
) -> tuple[NDArray[np.float16], list[Entry], list[str]]:
    images: list[NDArray[np.float16]] = []
    entries: list[Entry] = []
    spacings: list[float] = []
    skipped = 0
    for row in rows:
        if pairing.is_extra(row.path):
            continue
        try:
            request, pieces, spacing, shape = _pieces(row, cutting, selection, pairing)
        except (ValueError, OSError) as error:
            warn(f"skipped {row.path}: {error}")
            skipped += 1
            continue
        for piece in pieces:
            images.append(piece.images.astype(np.float16))
            for position in piece.positions.tolist():
                at = None if np.isnan(position) else round(position, 4)
                said = replace(request, plane=piece.plane, position=at)
                view = cutting.view(request.body)
                entries.append(Entry(said, row.subject, row.path.name, row.split, view))
        if pieces:
            spacings.append(min(spacing))
        else:
            why = (
                _too_coarse(request, cutting, spacing, shape)
                if _wanted(request, selection)
                else _not_wanted(request, selection)
            )
            warn(f"skipped {row.path}: {why}")
            skipped += 1
    used = {entry.subject for entry in entries if entry.split == "train"}
    if len(used) < LEAST:
        raise CorpusError(
            f"{len(used)} subject(s) of {len(rows)} scans can be used to train on, expected at "
            f"least {LEAST}: a model of one would make copies of that person; see the lines above"
        )
    notes: list[str] = []
    if skipped:
        notes.append(f"{skipped} of {len(rows)} scans were skipped")
    if max(spacings) > 1.2 * min(spacings):
        notes.append(
            f"voxels are of {min(spacings):.2g} to {max(spacings):.2g} mm (finest axis): all are "
            "resampled to the field of view of their part of the body, coarse ones stay blurred"
        )
    rows_of = np.concatenate(images)
    keep = _common(entries, selection.rare)
    return rows_of[keep], [entries[i] for i in keep], notes


def _not_wanted(request: Request, selection: Selection) -> str:
    """Return why a scan is not used, and the setting of the recipe that lets it in."""
    lines: list[str] = []
    for key, words, word in (
        ("scans.modalities", selection.modalities, request.modality),
        ("scans.bodies", selection.bodies, request.body),
    ):
        if words and word not in words:
            more = f"{key}=[{','.join((*words, word))}]" if word else f"{key}=[]"
            lines.append(f"the recipe uses {', '.join(words)} only; {more} lets it in")
    return f"it is {request.modality} of {request.body or 'an unknown part'}: {'; '.join(lines)}"


def _too_coarse(
    request: Request, cutting: Cutting, spacing: Spacing, shape: tuple[int, ...]
) -> str:
    """Return why nothing of a scan can be cut, what it takes, and the setting that lowers that."""
    view, body = cutting.view(request.body), request.body or "''"
    sizes = " x ".join(f"{mm:.3g}" for mm in spacing)
    extents = " x ".join(f"{n * mm:.0f}" for n, mm in zip(shape, spacing, strict=True))
    # of slices, those of the plane in which the scan was acquired may be coarser
    coarse, times = (max(spacing), COARSER) if cutting.spatial == 3 else (sorted(spacing)[1], OWN)
    size = int(view * times / coarse) // 8 * 8
    lower = f"corpus.size={size} or " if 16 <= size < cutting.size else ""
    return (
        f"its voxels of {sizes} mm over {extents} mm are too coarse or cover too little for "
        f"{cutting.size} pixels over {view:g} mm: that takes voxels of at most "
        f"{times * view / cutting.size:.2g} mm over {COVERED * view:.0f} mm; {lower}another "
        f"corpus.views={{{body}: MM}} lets it in"
    )


def _wanted(request: Request, selection: Selection) -> bool:
    pairs = ((selection.modalities, request.modality), (selection.bodies, request.body))
    return all(not words or word in words for words, word in pairs)


def _common(entries: Sequence[Entry], rare: int) -> NDArray[np.int64]:
    """Indices of the images whose kind has at least `rare` training scans."""
    kinds = [(entry.request.modality, entry.request.body) for entry in entries]
    scans = {(*k, e.scan) for k, e in zip(kinds, entries, strict=True) if e.split == "train"}
    counts = Counter((modality, body) for modality, body, _ in scans)
    return np.array([i for i, kind in enumerate(kinds) if counts[kind] >= rare], np.int64)


def _pieces(
    row: Row, cutting: Cutting, selection: Selection, pairing: Pairing
) -> tuple[Request, list[Piece], Spacing, tuple[int, ...]]:
    """Return what a scan is, its pieces, spacing and shape; no pieces of what is not wanted."""
    said = (row.contrast, row.about, row.path.name)
    request = Request(modality_of(*said), body_of(*said), "")
    if request.modality and not _wanted(request, selection):
        return request, [], (0.0, 0.0, 0.0), ()
    loaded = load_scan(row.path, row.volume, Reading("zero", "RAS"))
    values, spacing = loaded.values, loaded.spacing
    kind = row.modality or recognise(values)
    request = replace(request, modality=request.modality or kind)
    if float(values.max()) == float(values.min()):
        raise ValueError("all voxels are equal")
    if not _wanted(request, selection):
        return request, [], (0.0, 0.0, 0.0), ()
    tones = encode(values, "ct" if kind == "ct" else request.modality)
    channels = np.concatenate([tones[None], read_extra(row, loaded, pairing)])
    cut = cut_slices if cutting.spatial == 2 else cut_volume
    pieces = list(cut(channels, spacing, request.body, cutting))
    return request, pieces, spacing, values.shape
