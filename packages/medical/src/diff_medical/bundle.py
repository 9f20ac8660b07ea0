"""`python -m diff_medical.bundle -o enhance_bundle`: the enhancer as a bundle of MONAI.

A bundle is a folder with a model, what it is, and how to run it: MONAI Bundle Specification,
https://docs.monai.io/en/stable/mb_specification.html. The weights stay safetensors; no file in
the bundle is a pickle.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from diff_core.command import App, Failures, options, run
from diff_core.files import write_json
from diff_core.lines import print_line

__all__ = ["app", "main", "write_bundle"]

COMMAND = "diff_medical.bundle"
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
MODEL = "enhance.safetensors"

app = App()


@app.command(
    examples={
        "-o enhance_bundle": "Write the enhancer of the package as a bundle.",
        "-o mine --weights enhance.safetensors": "Write a model of your own training.",
    }
)
def bundle(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The bundle's folder; it must not exist.")
    ],
    weights: options.Weights = None,
    debug: options.Debug = False,
) -> int:
    """Write the enhancer as a MONAI bundle: configs, model, docs, licence.

    Exit code: 0 done, 1 failed, 2 wrong usage.
    """
    failures = Failures(COMMAND, debug=debug)
    try:
        write_bundle(output, weights)
    except (ValueError, OSError) as error:
        failures.add(str(output), error)
        return 1
    print_line(f"{output}  (run it from there: {_words()})")
    return 0


def write_bundle(folder: Path, weights: Path | None = None) -> None:
    """Write the bundle of `weights`, by default those of the package, whole or not at all.

    Raises FileExistsError where `folder` exists, diff_core.io.CheckpointError for weights that
    cannot be used.
    """
    from importlib.metadata import version

    from diff_core.io import load
    from diff_medical.slices.network import NETWORK_TYPES
    from diff_medical.weights import path_of

    if folder.exists():
        raise FileExistsError(f"the output {folder} exists; name a new folder")
    chosen = weights or path_of("enhance")
    _, card = load(chosen, types=NETWORK_TYPES)
    folder.parent.mkdir(parents=True, exist_ok=True)
    packages = {
        name: version(name) for name in ("diff-medical", "nibabel", "scipy", "safetensors")
    }
    versions = {name: version(name) for name in ("monai", "torch", "numpy")}
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        partial = Path(made) / "bundle"
        for name in ("configs", "models", "docs"):
            (partial / name).mkdir(parents=True)
        write_json(partial / "configs" / "metadata.json", _metadata(card, packages, versions))
        write_json(partial / "configs" / "inference.json", INFERENCE)
        shutil.copyfile(chosen, partial / "models" / MODEL)
        text = README.format(words=_words(), purpose=card.purpose, limits=card.limits)
        (partial / "docs" / "README.md").write_text(text, encoding="utf-8")
        write_json(partial / "docs" / "card.json", dataclasses.asdict(card))
        (partial / "LICENSE").write_text(_licence(), encoding="utf-8")
        partial.rename(folder)


INFERENCE: dict[str, Any] = {
    "imports": ["$import glob", "$from pathlib import Path"],
    "bundle_root": ".",
    "dataset_dir": "./data",
    "output_dir": "./enhanced",
    "device": "auto",
    "modality": "auto",
    "noise": "auto",
    "sigma": None,
    "strength": 1.0,
    "files": "$sorted(glob.glob(str(Path(@dataset_dir) / '*.nii*')))",
    "data": "$[{'image': name} for name in @files]",
    "network_def": {
        "_target_": "diff_medical.Enhancer.from_pretrained",
        "path": f"$Path(@bundle_root) / 'models' / '{MODEL}'",
        "device": "@device",
    },
    "settings": {
        "_target_": "diff_medical.Settings",
        "modality": "@modality",
        "noise": "@noise",
        "sigma": "@sigma",
        "strength": "@strength",
    },
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
        ],
    },
    "inferer": {
        "_target_": "diff_medical.monai.Enhanced",
        "keys": "image",
        "settings": "@settings",
        "enhancer": "@network_def",
    },
    "postprocessing": {
        "_target_": "SaveImaged",
        "keys": "image",
        "output_dir": "@output_dir",
        "output_postfix": "enhanced",
        "output_dtype": "$__import__('numpy').float32",
        "resample": False,
        "separate_folder": False,
    },
    "run": ["$[@postprocessing(@inferer(@preprocessing(one))) for one in @data]"],
}

README = """# Noise removed from MR and CT scans

{purpose} Run it from the bundle's folder, in an environment with `diff_medical`, which brings
MONAI. The command line of MONAI needs `pip install fire` too:

```sh
{words}
```

`--sigma 20` gives the noise level in the scan's units, `--noise rician` its distribution,
`--modality ct` the modality, `--strength 0.5` half of the change. Scans are read and written by
MONAI, as 32-bit floats on their own grid; `python -m diff_medical.enhance` keeps datatype, slope
and the rest of the header too, reads DICOM and writes a report.

The weights in `models/` are safetensors, not a pickle; their card is `docs/card.json`.

For research; not a medical device, not for diagnosis. {limits}
"""


def _words() -> str:
    return (
        "python -m monai.bundle run --config_file configs/inference.json "
        "--meta_file configs/metadata.json --dataset_dir SCANS --output_dir OUT"
    )


def _metadata(card: Any, packages: dict[str, str], versions: dict[str, str]) -> dict[str, Any]:
    image = {
        "type": "image",
        "format": "magnitude",
        "num_channels": 1,
        "spatial_shape": ["*", "*", "*"],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    return {
        "schema": SCHEMA,
        "version": card.code,
        "changelog": {card.code: f"{card.name}, {card.steps} steps"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": packages,
        "name": "Noise removed from MR and CT scans",
        "task": "Denoising of MR and CT volumes",
        "description": card.purpose,
        "authors": "the Diff project",
        "copyright": "see LICENSE; data of the training and their licences: docs/card.json",
        "data_source": "; ".join(dict.fromkeys(card.licences)),
        "data_type": "nibabel",
        "image_classes": "MR in any unit, CT in HU",
        "label_classes": "none",
        "pred_classes": "the same scan with less noise",
        "eval_metrics": dict(card.scores),
        "intended_use": "For research; not a medical device, not for diagnosis.",
        "references": [],
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": image}},
    }


def _licence() -> str:
    from importlib.metadata import files

    for path in files("diff-medical") or ():
        if path.name == "LICENSE" and path.locate().is_file():  # type: ignore[union-attr]
            return path.read_text()
    return "The licence of the package diff-medical applies.\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
