"""Models as folders and on the Hugging Face Hub: a checkpoint, and a card that the Hub reads.

    Denoiser.from_pretrained("runs/mine")         # a folder
    Denoiser.from_pretrained("org/name")          # a repository of the Hub
    model.save_pretrained("folder")               # folder/model.safetensors, folder/README.md

A name is looked up on this machine first. Only ORG/NAME that is neither a file nor a folder here,
nor in a folder here, is asked of the Hub, and only where the extra `diff-core[hub]` is installed.
The files stay in the cache of the Hub. HF_HUB_OFFLINE=1 keeps the network out.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import ClassVar, TypeVar

from diff_core.checkpoint import Card, CheckpointError, read_card
from diff_core.files import replacing

__all__ = ["MODEL", "Pretrained", "locate", "model_card"]

MODEL = "model.safetensors"
"""The name of a checkpoint in a folder of its own."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_INSTALL = "pip install 'diff-core[hub]'"

M = TypeVar("M", bound="Pretrained")


class Pretrained:
    """A model that remembers its checkpoint, to be saved as a folder of the Hub's form.

    library: the package that loads it, and task: the Hub's name of what it does
    """

    library: ClassVar[str] = "diff_core"
    task: ClassVar[str] = ""
    checkpoint: Path | None = None

    def of_checkpoint(self: M, path: str | os.PathLike[str]) -> M:
        """Return the model itself, which now remembers that it came from this file."""
        self.checkpoint = Path(path)
        return self

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, licence: str = "", overwrite: bool = False
    ) -> Path:
        """Write `folder`/model.safetensors, a copy of the checkpoint, and `folder`/README.md, its
        card; return the folder. `hf upload ORG/NAME folder` publishes it.

        licence: the SPDX identifier of the weights' licence, lower case ("apache-2.0"); the Hub
                 wants one, and only you know it

        Raises ValueError for a model that was not loaded from a checkpoint, or a missing
        library, FileExistsError for a file that is there unless `overwrite`.
        """
        if self.checkpoint is None:
            raise ValueError("the model came from no checkpoint; write one with diff_core.io.save")
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        kind = type(self)
        short = hasattr(import_module(self.library), kind.__name__)
        text = model_card(
            read_card(self.checkpoint), library=self.library, task=self.task, licence=licence,
            name=f"{self.library if short else kind.__module__}.{kind.__name__}",
        )  # fmt: skip
        files = [target / MODEL, target / "README.md"]
        if not overwrite and (held := [path for path in files if path.exists()]):
            raise FileExistsError(f"{held[0]} exists; give overwrite=True to replace it")
        with replacing(files[0]) as temporary:
            shutil.copyfile(self.checkpoint, temporary)
        with replacing(files[1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return target


def locate(name: str | os.PathLike[str]) -> Path:
    """Return the checkpoint that a file, a folder or a repository of the Hub, ORG/NAME, holds.

    A folder holds model.safetensors, or one checkpoint under another name. What is none of these
    comes back as it is, for the reader to report. Raises CheckpointError for a folder without a
    checkpoint or with several, and for a repository that cannot be had.
    """
    path = Path(name)
    if path.is_dir():
        return _in_folder(path)
    text = os.fspath(name).replace(os.sep, "/")
    is_file = path.exists() or path.suffix == ".safetensors" or path.parent.exists()
    if is_file or not _REPOSITORY.fullmatch(text):
        return path
    return _download(text)


def _in_folder(folder: Path) -> Path:
    if (model := folder / MODEL).is_file():
        return model
    found = sorted(folder.glob("*.safetensors"))
    found = [path for path in found if path.name != "state.safetensors"]  # of a training
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found) or "none"
    raise CheckpointError(
        f"{folder}: expected {MODEL} or one other checkpoint there; found {names}"
    )


def _download(repository: str) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise CheckpointError(
            f"{repository}: no such file or folder; to ask the Hugging Face Hub for it, {_INSTALL}"
        ) from None
    try:
        return Path(hf_hub_download(repository, MODEL))
    except Exception as error:  # of the network, the Hub or its cache; all say the same here
        raise CheckpointError(
            f"{repository}: no such file or folder, and the Hugging Face Hub does not give it: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error


def model_card(
    card: Card, *, library: str, name: str = "", task: str = "", licence: str = ""
) -> str:
    """Return the Markdown of a card in the form of the Hub, with its metadata in front as YAML.

    library: the package that loads the model, "diff_audio"
    name:    the class that loads it, "diff_audio.Denoiser"; "" leaves its example out
    task:    the Hub's pipeline tag, "audio-to-audio"

    Raises ValueError where huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import ModelCardData
    except ImportError:
        raise ValueError(f"model cards are made with huggingface_hub: {_INSTALL}") from None
    data = ModelCardData(
        library_name=library,
        license=licence or None,
        pipeline_tag=task or None,
        tags=["diffusion", card.name],
    )
    parts = [f"---\n{data.to_yaml().strip()}\n---\n", f"# {card.name}\n"]
    if card.purpose:
        parts.append(f"{card.purpose}\n")
    if name:
        module, _, kind = name.rpartition(".")
        parts.append(
            f"```python\nfrom {module} import {kind}\n\n"
            f'model = {kind}.from_pretrained("ORG/NAME")\n```\n'
        )
    if card.limits:
        parts.append(f"## Limits\n\n{card.limits}\n")
    if card.data:
        rows = zip(card.data, card.licences, strict=False)
        parts.append(_table("Training data", ("data", "licence"), rows))
    if card.scores:
        scores = ((key, f"{value:g}") for key, value in card.scores.items())
        parts.append(_table("Scores", ("score", "value"), scores))
    parts.append(
        f"## Training\n\n{card.steps} steps, {card.hours:g} hours, diff-core {card.code}. The "
        "whole recipe is in the checkpoint: `diff_core.io.read_card`.\n"
    )
    return "\n".join(parts)


def _table(title: str, head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """Return a section with a table; a cell holds no bar and no end of a line."""
    cells = ([" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in rows)
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---", "---"), *cells)]
    return "\n".join([f"## {title}", "", *lines, ""])
