"""The options that both judges of generated scans share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diff_core.command import options

__all__ = ["Brains", "Json", "Manifest", "Samples", "Subject", "Volume", "Weights"]

Samples = Annotated[Path, typer.Option(help="The folder of generated scans.")]
"""The option --samples."""
Manifest = Annotated[
    Path | None,
    typer.Option(
        help="JSON lines with file, split, modality, body and subject, for the folders of real "
        "scans."
    ),
]
"""The option --manifest."""
Subject = Annotated[
    str,
    typer.Option(
        metavar="REGEX",
        help="The person of a scan, from its file name: what the groups match. Default: the "
        "training recipe's; else manifest, BIDS, DICOM, or each file for itself.",
    ),
]
"""The option --subject."""
Volume = Annotated[
    bool, typer.Option("--volume", help="The samples are volumes of the generator of volumes.")
]
"""The option --volume."""
Brains = Annotated[
    bool,
    typer.Option(
        "--brains",
        help="The samples are brains with label maps, and the real ones lie in a folder of `train "
        "brain-prepare` or another of brains with label maps. No network is asked.",
    ),
]
"""The option --brains."""
Weights = Annotated[
    Path | None,
    typer.Option(
        help="The generator whose features are used, if it is not the shipped one.",
        rich_help_panel=options.MACHINE,
    ),
]
"""The option --weights."""
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one line of JSON.", rich_help_panel=options.MESSAGES),
]
"""The option --json."""
