"""The one line in which a command names a fault."""

from __future__ import annotations

import pytest

__all__ = ["one_line"]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What a command wrote on standard error, which must be one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text
