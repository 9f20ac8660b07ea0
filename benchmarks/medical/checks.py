"""What the checks of an enhancement say of a clean removal: white noise that was added to clean
scans. The thresholds of notes lie above it.

    python benchmarks/medical/checks.py --data DIR

DIR holds scans and manifest.jsonl. Fine voxels are averaged in pairs, which takes out most of a
scan's own noise; the middle of each is used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from diff_medical import Enhancer, Settings
from diff_medical.data.reading import Reading, load_scan
from diff_medical.data.studies import find_study
from diff_medical.scan.spacing import Spacing

LARGEST = (96, 96, 12)
PERCENTS = (2, 5, 10)


def clean(path: Path) -> tuple[np.ndarray, Spacing]:
    """The middle of a scan, its fine axes binned where they are long enough."""
    loaded = load_scan(path, 0, Reading("zero"))
    values, spacing = loaded.values, list(loaded.spacing)
    for axis in range(3):
        count = values.shape[axis] // 2
        if spacing[axis] < 1.5 * min(loaded.spacing) and count >= 96:
            pairs = np.take(values, range(2 * count), axis)
            shape = [*pairs.shape[:axis], count, 2, *pairs.shape[axis + 1 :]]
            values = pairs.reshape(shape).mean(axis + 1)
            spacing[axis] *= 2
    middle = tuple(
        slice((n - min(n, most)) // 2, (n - min(n, most)) // 2 + min(n, most))
        for n, most in zip(values.shape, LARGEST, strict=True)
    )
    x, y, z = spacing
    return np.ascontiguousarray(values[middle], np.float32), (x, y, z)


def main() -> None:
    """Print the checks of every scan and noise, and the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--most", type=int, default=9, help="number of scans")
    options = parser.parse_args()
    enhancer = Enhancer.from_pretrained()
    rng = np.random.default_rng(0)
    rows = [row for row in find_study(options.data).rows if row.modality]
    found: list[tuple[float, float]] = []
    for row in rows[:: max(1, len(rows) // options.most)][: options.most]:
        modality = row.modality or "mr"
        volume, spacing = clean(row.path)
        top = 750.0 if modality == "ct" else float(np.percentile(volume, 99.5))
        for kind in ("gaussian",) if modality == "ct" else ("gaussian", "rician"):
            for percent in PERCENTS:
                sigma = percent / 100 * top
                noise = sigma * rng.standard_normal((2, *volume.shape))
                noisy = volume + noise[0]
                if kind == "rician":
                    noisy = np.hypot(noisy, noise[1])
                settings = Settings(modality=modality, noise=kind, sigma=sigma)
                checks = enhancer(noisy, spacing, settings).checks
                if checks is None:
                    continue
                white = [w for w in checks.whiteness if w is not None]
                found.append((max(white), checks.edges))
                said = " / ".join(f"{w:+.3f}" for w in white)
                print(f"{row.path.name} {kind} {percent} %: neighbours {said}, "
                      f"edges {checks.edges:+.3f}", flush=True)  # fmt: skip
    worst = np.max(found, axis=0)
    print(f"largest of {len(found)}: neighbours {worst[0]:+.3f}, edges {worst[1]:+.3f}")


if __name__ == "__main__":
    main()
