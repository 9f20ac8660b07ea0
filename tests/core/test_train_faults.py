"""What goes wrong around a run: torn logs, full disks, kills in a validation, two at once."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from torch import nn

from diff_core.train.curves import read_curves
from diff_core.train.log import Log, hours_trained, read_log

ROW = '{"step": 4, "seconds": 1800.0, "loss": 0.5, "rate": 0.01, "gradient": 2.0}'
TORN = [
    ROW[:70],  # what a full disk leaves
    ROW[:70] + "\n" + ROW[:1],
    "\0" * 4096,  # what a power cut leaves
    '{"step": 4, "sec\udcff',
    "[" * 5000,
    "3",
]


@pytest.mark.parametrize("torn", TORN, ids=range(len(TORN)))
def test_a_torn_line_costs_itself_and_nothing_else(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{ROW}\n{torn}", errors="surrogateescape")
    log = Log(path)
    log.add({"step": 8, "seconds": 1800.0, "loss": 0.25})
    log.add({"step": 12, "seconds": 3600.0, "loss": math.nan})
    log.close()
    assert [row["step"] for row in read_log(path)] == [4, 8, 12]
    assert hours_trained(path) == 1.0
    curves = read_curves(path)
    assert curves["loss"][4] == 0.5 and curves["loss"][8] == 0.25
    assert math.isnan(curves["loss"][12])


def test_a_log_is_one_line_a_row_and_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_log(path) == [] and hours_trained(path) == 0.0
    for row in ({"step": 1}, {"step": 2}):
        log = Log(path)  # a run that goes on opens the file again
        log.add(row)
        log.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1},
        {"step": 2},
    ]
