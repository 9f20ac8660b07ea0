"""Folders and repositories of the Hub: what is looked up where, and what a card holds.

The Hub is a server of this machine that speaks its protocol, so that the real client downloads.
"""

from __future__ import annotations

import hashlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import ModelCard, constants

from diff_core import Edm, FromX0, io
from diff_core.hub import MODEL, Pretrained, locate, model_card
from diff_core.nn import UNet

CARD = io.Card(
    "waves", "Draws waves.", data=("a | b", "c"), licences=("CC0", "CC BY 4.0"), hours=1.5,
    steps=7, scores={"loss at -1..0": 0.25}, limits="Not for ships.",
)  # fmt: skip


class Waves(Pretrained):
    task = "audio-to-audio"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("waves") / "waves.safetensors"
    io.save(path, FromX0(UNet(1, 1, 1, (4,)), Edm()), CARD)
    return path


def test_a_saved_folder_holds_the_checkpoint_and_a_card_that_the_hub_reads(checkpoint, tmp_path):
    folder = Waves().of_checkpoint(checkpoint).save_pretrained(tmp_path / "f", licence="cc0-1.0")
    assert (folder / MODEL).read_bytes() == checkpoint.read_bytes()
    assert locate(folder) == folder / MODEL
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict() == {
        "library_name": "diff_core", "license": "cc0-1.0", "pipeline_tag": "audio-to-audio",
        "tags": ["diffusion", "waves"],
    }  # fmt: skip
    for line in ("# waves", "Draws waves.", "Not for ships.", "| a \\| b | CC0 |",
                 "| c | CC BY 4.0 |", "| loss at -1..0 | 0.25 |"):  # fmt: skip
        assert line in card.text
    with pytest.raises(FileExistsError, match="overwrite=True"):
        Waves().of_checkpoint(checkpoint).save_pretrained(folder)
    Waves().of_checkpoint(checkpoint).save_pretrained(folder, overwrite=True)
    assert ModelCard.load(folder / "README.md").data.license is None  # nobody named one


def test_a_model_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"diff_core\.io\.save"):
        Waves().save_pretrained(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_has_one_checkpoint_beside_the_state_of_its_training(checkpoint, tmp_path):
    with pytest.raises(io.CheckpointError, match="found none"):
        locate(tmp_path)
    for name in ("own", "state"):
        (tmp_path / f"{name}.safetensors").write_bytes(checkpoint.read_bytes())
    assert locate(tmp_path) == tmp_path / "own.safetensors"
    (tmp_path / "other.safetensors").write_bytes(b"")
    with pytest.raises(io.CheckpointError, match=r"other\.safetensors, own\.safetensors"):
        locate(tmp_path)


@pytest.fixture
def hub(checkpoint, tmp_path, monkeypatch):
    """A Hub of this machine with the repository org/waves; gives the paths that were asked."""
    content, asked = checkpoint.read_bytes(), []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if "/resolve/" in self.path:  # the client also asks for a list of agents
                asked.append(self.path)
            found = self.path == f"/org/waves/resolve/main/{MODEL}"
            self.send_response(200 if found else 404)
            if not found:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            if self.path == f"/org/waves/resolve/main/{MODEL}":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    address = constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "agents"), raising=False)
    monkeypatch.chdir(tmp_path)
    yield asked
    server.shutdown()


def test_a_repository_is_downloaded_once_and_then_found_without_a_network(
    hub, checkpoint, monkeypatch
):
    path = locate("org/waves")
    assert path.read_bytes() == checkpoint.read_bytes() and io.load(path)[1] == CARD
    assert hub and all(asked.startswith("/org/waves/") for asked in hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    before = list(hub)
    assert locate("org/waves") == path and hub == before
    with pytest.raises(io.CheckpointError, match="org/none: no such file or folder"):
        locate("org/none")
    assert hub == before


def test_what_may_be_a_path_is_never_asked_of_the_hub(hub, checkpoint, tmp_path):
    (tmp_path / "runs").mkdir()
    for name in ("runs/mine", "org/waves.safetensors", "/org/waves", "./org/waves", "waves",
                 "a/b/c", "../org/waves", str(checkpoint)):  # fmt: skip
        assert locate(name) == Path(name)
    assert hub == []


def test_without_the_library_the_line_says_what_to_install(monkeypatch, tmp_path, checkpoint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(io.CheckpointError, match=r"pip install 'diff-core\[hub\]'"):
        locate("org/waves")
    with pytest.raises(ValueError, match=r"pip install 'diff-core\[hub\]'"):
        model_card(CARD, library="diff_core")
