"""Progress: parts and passes cover [0, 1] once, without gaps and without steps back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_core.progress import parts, passes


@given(count=st.integers(1, 9), steps=st.integers(1, 5))
def test_parts_and_passes_cover_the_whole_once(count: int, steps: int) -> None:
    expected = pytest.approx(
        [(part + step / steps) / count for part in range(count) for step in range(1, steps + 1)]
    )
    seen: list[float] = []
    for report in parts(seen.append, count):
        for step in range(1, steps + 1):
            report(step / steps)
    assert seen == expected
    seen.clear()
    report = passes(seen.append, count)
    for _ in range(count):
        for step in range(1, steps + 1):
            report(step / steps)
    assert seen == expected


def test_parts_may_be_nested_and_run_in_any_order() -> None:
    seen: list[float] = []
    first, second = parts(seen.append, 2)
    inner = parts(second, 4)
    inner[3](1.0)
    first(0.5)
    inner[0](0.0)
    assert seen == [1.0, 0.25, 0.5]


def test_without_a_callback_nothing_is_reported() -> None:
    for report in (*parts(None, 2), passes(None, 2)):
        report(1.0)
    assert parts(None, 0) == []
    with pytest.raises(ValueError, match="count is -1"):
        parts(None, -1)
