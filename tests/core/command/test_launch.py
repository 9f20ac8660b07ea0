"""The environment of a launcher, and what another job left of one."""

from __future__ import annotations

import pytest

import tiny_training
from diff_core.command import run
from diff_core.launch import LaunchError, launched

NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
MEETING = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
LEFT_OVER = [
    {"RANK": "abc"},
    {"RANK": "1"},
    {"RANK": "-1", "WORLD_SIZE": "2", **MEETING},
    {"WORLD_SIZE": "two"},
    {"WORLD_SIZE": "0"},
    {"WORLD_SIZE": "2", **MEETING},
    {"WORLD_SIZE": "2", "RANK": "2", **MEETING},
    {"WORLD_SIZE": "2", "RANK": "0"},
    {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost"},
    {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "x"},
    {"WORLD_SIZE": "1", "LOCAL_RANK": "x"},
]


@pytest.mark.parametrize("given", LEFT_OVER, ids=str)
def test_a_launcher_that_there_is_not_is_refused(monkeypatch, given):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LaunchError, match="unset RANK and WORLD_SIZE"):
        launched()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "0"}, (0, 1)),
        ({"RANK": "", "WORLD_SIZE": ""}, (0, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (0, 1)),
        ({"RANK": "1", "WORLD_SIZE": "3", **MEETING}, (1, 3)),
    ],
)
def test_a_launcher_is_believed(monkeypatch, given, expected):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


@pytest.mark.parametrize("given", [LEFT_OVER[0], LEFT_OVER[3], LEFT_OVER[7]], ids=str)
def test_a_command_says_so_in_one_line(tmp_path, monkeypatch, capsys, given):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert run(tiny_training.app, "tiny", ["tiny", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "unset RANK and WORLD_SIZE" in said
    assert not (tmp_path / "run").exists()
