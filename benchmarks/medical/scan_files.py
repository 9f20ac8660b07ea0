"""Which scans the benchmarks of the enhancer read: their options, and the files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

__all__ = ["scan_options", "scan_paths"]


def scan_options(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows --data, --manifest, --volume and --weights."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of scans with a manifest")
    parser.add_argument("--manifest", type=Path, help="default: DATA/manifest.jsonl")
    parser.add_argument("--volume", type=Path, action="append", default=[], help="a scan; repeats")
    parser.add_argument("--weights", type=Path, help="default: those of the package")
    return parser


def scan_paths(options: argparse.Namespace) -> list[Path]:
    """The given volumes, and the validation MR scans of the manifest."""
    paths: list[Path] = list(options.volume)
    if options.data:
        manifest = options.manifest or options.data / "manifest.jsonl"
        rows = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
        paths += [
            options.data / row["file"]
            for row in rows
            if row["split"] == "val" and row["modality"].startswith("MR")
        ]
    return paths
