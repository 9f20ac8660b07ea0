"""An audit told: as lines of a table, as a record, as scores of a card, and as a picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing, writing
from diff_medical.audit.compare import Verdict
from diff_medical.generator.selection import AUDITED, TESTED
from diff_medical.image_sets.images import Images

__all__ = ["lines", "picture", "record", "scores", "write_card"]


def record(
    verdict: Verdict, samples: Images, train: Images, heldout: Images, context: dict[str, Any]
) -> dict[str, Any]:
    """Return the record for JSON: the verdict with the names of files, and how it was found
    (`context`).
    """
    return {
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        **context,
        **{name: _counts(images) for name, images in _named(samples, train, heldout)},
        "nearer": {
            name: {**asdict(test), "probability": test.probability, "range": verdict.ranges[name]}
            for name, test in verdict.nearer.items()
        },
        "tested": verdict.tested,
        "untested": verdict.untested,
        "copies": {name: len(found) for name, found in verdict.copies.items()},
        "limits": verdict.limits,
        "real": verdict.real,
        "distinct": verdict.distinct,
        "worst": [
            {
                **asdict(pair),
                "sample": samples.entries[pair.sample].scan,
                "scan": _where(train, pair.scan),
            }
            for pair in verdict.worst
        ],
    }


def _named(samples: Images, train: Images, heldout: Images) -> list[tuple[str, Images]]:
    return [("samples", samples), ("train", train), ("heldout", heldout)]


def _counts(images: Images) -> dict[str, int]:
    return {
        "images": len(images),
        "scans": len({entry.scan for entry in images.entries}),
        "people": len({entry.subject for entry in images.entries}),
    }


def _where(images: Images, index: int) -> str:
    entry = images.entries[index]
    said = entry.request
    place = "" if said.position is None else f" at {said.position:.2f}"
    return f"{entry.scan} {said.plane}{place}".strip()


def lines(verdict: Verdict, samples: Images, train: Images, heldout: Images) -> list[str]:
    """The table that the command prints."""
    made = [
        f"{name}: {c['images']} images of {c['scans']} scans"
        + ("" if name == "samples" else f" of {c['people']} people")
        for name, c in ((n, _counts(i)) for n, i in _named(samples, train, heldout))
    ]
    for kind, (count, people) in verdict.tested.items():
        made.append(
            f"{kind}: {count} samples; train and held-out cut to {people} "
            f"{'people' if people > 1 else 'person'} each, as many scans of each"
        )
    for kind, count in verdict.untested.items():
        made.append(
            f"{kind}: {count} samples; no held-out scans of this kind: not tested, P unknown"
        )
    if verdict.nearer:
        made.append(
            f"{'nearer to train than held-out':32}{'P':>6}  {'95 % interval':15}"
            f"{'p':>8}{'p, exchange':>13}  P over draws"
        )
    for name, t in verdict.nearer.items():
        low, high = verdict.ranges[name]
        interval = f"{t.low:.2f} to {t.high:.2f}"
        exchanged = f"{t.exchanged:.2g}" if t.decisive else "too few"
        made.append(
            f"  {name:30}{t.share:6.2f}  {interval:15}{t.chance:8.2g}{exchanged:>13}  "
            f"{low:.2f} to {high:.2f}"
        )
    made.append(f"{'copies':32}{'count':>6}  {'limit':>6}  most alike held-out")
    for name, found in verdict.copies.items():
        made.append(
            f"  {name:30}{len(found):6}  {verdict.limits[name]:6.3f}  {verdict.real[name][0]:.3f}"
        )
    for name, values in verdict.real.items():
        if values[0] > verdict.limits[name]:
            made.append(
                f"note: held-out scans are themselves copies of train scans by {name}: the same "
                "people on both sides, or scans without anatomy"
            )
    made.append(
        f"samples are most like {verdict.distinct} different training images (whole images)"
    )
    return made


def scores(verdict: Verdict, samples: Images) -> dict[str, float]:
    """Return the scores of an audit for a card."""
    found = {
        AUDITED: float(verdict.passed),
        "audit samples": float(len(samples)),
        "audit copies": float(verdict.copied),
    }
    for kind, (count, _) in verdict.tested.items():
        found[f"{TESTED}{kind}"] = float(count)
    for name, test in verdict.nearer.items():
        found[f"audit P nearer to train, {name}"] = round(test.share, 4)
        found[f"audit p, {name}"] = float(f"{test.probability:.3g}")
    return found


def write_card(checkpoint: Path, found: dict[str, float]) -> None:
    """Replace the scores of an audit in the card of a checkpoint, atomically; weights stay as they
    are. Raises `diff_core.io.CheckpointError` or OSError.
    """
    import dataclasses
    import json

    from diff_core.checkpoint.tensors import read_tensors, write_tensors
    from diff_core.io import parse_card

    metadata, tensors = read_tensors(checkpoint)
    card = parse_card(checkpoint, metadata.get("card", ""))
    kept = {name: value for name, value in card.scores.items() if not name.startswith("audit ")}
    card = dataclasses.replace(card, scores={**kept, **found})
    with writing(overwrite=True):  # the checkpoint that is named is the one to change
        write_tensors(
            checkpoint, tensors, {**metadata, "card": json.dumps(dataclasses.asdict(card))}
        )


def picture(path: Path, verdict: Verdict, samples: Images, train: Images) -> None:
    """Draw the worst pairs: each sample above the training scan that it is most like.

    Of volumes the middle axial plane. The suffix of `path` decides the format.
    """
    from matplotlib.figure import Figure

    pairs = verdict.worst
    figure = Figure(
        figsize=(1.9 * max(4, len(pairs)), 4.6), dpi=110, layout="constrained",
        facecolor="#111418",
    )  # fmt: skip
    cells = figure.subplots(2, max(4, len(pairs)), squeeze=False)
    for cell in cells.ravel():
        cell.set_axis_off()
    for column, pair in zip(cells.T, pairs, strict=False):
        over = " COPY" if pair.excess > 0 else ""
        sample, scan = samples.entries[pair.sample], train.entries[pair.scan]
        titles = (
            f"sample {sample.scan.split('.')[0][:22]}\n{pair.measure} {pair.ncc:.3f}{over}",
            f"train {scan.scan.split('.')[0][:24]}\nlimit {pair.limit:.3f}",
        )
        images = samples.values[pair.sample], train.values[pair.scan]
        for cell, image, title in zip(column, images, titles, strict=True):
            cell.imshow(_plane(image).T, origin="lower", cmap="gray", vmin=0, vmax=1)
            cell.set_title(title, color="#ff7b72" if over else "white", fontsize=6.5)
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor=figure.get_facecolor())


def _plane(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return image if image.ndim == 2 else image[:, :, image.shape[2] // 2]
