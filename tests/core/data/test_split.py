"""Splits: reproducible, disjoint, of the size asked for; leaks refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_core.data.split import assign, refuse_shared

NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=80, unique=True)


@given(names=NAMES, val=st.floats(0, 0.5), test=st.floats(0, 0.49), seed=st.integers(0, 9))
def test_each_unit_has_one_split_of_about_its_share(
    names: list[str], val: float, test: float, seed: int
) -> None:
    made = assign(names, val=val, test=test, seed=seed)
    assert made == assign(reversed(names), val=val, test=test, seed=seed)
    assert set(made) == set(names)
    counts = {split: list(made.values()).count(split) for split in ("train", "val", "test")}
    assert counts["train"] >= 1
    for split, share in (("val", val), ("test", test)):
        assert counts[split] <= max(1, share * len(names) + 1e-6)
        if len(names) > 2:
            assert (counts[split] >= 1) == (share > 0)


def test_another_seed_is_another_choice_and_names_not_places_decide() -> None:
    names = [f"s{i}" for i in range(200)]
    held = [{n for n, s in assign(names, val=0.1, seed=k).items() if s == "val"} for k in range(3)]
    assert [len(h) for h in held] == [20, 20, 20]
    assert held[0] != held[1] != held[2]
    more = assign([*names, "new"], val=0.1)
    assert len({n for n in names if more[n] == "val"} ^ held[0]) <= 1


def test_bad_shares_and_leaks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 0\.6 and 0\.5"):
        assign(["a"], val=0.6, test=0.5)
    refuse_shared({"a": ["train", "train"], "b": ["val"]}, "speaker")
    with pytest.raises(ValueError, match="subject b is in the splits test and val, and 1 more"):
        refuse_shared({"b": ["val", "test"], "c": ["val", "train"]}, "subject")
