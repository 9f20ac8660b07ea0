"""Slabs: every slice is kept, windows stay inside, directions follow the voxel size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_medical.slices.slabs import slab_axes, slabs, thin_slab


@given(depth=st.integers(1, 40), half=st.integers(1, 3), data=st.data())
def test_every_slice_is_kept_and_windows_stay_inside(
    depth: int, half: int, data: st.DataObject
) -> None:
    slices = 2 * half + 1
    stride = data.draw(st.integers(1, slices - 2))
    made = slabs(depth, slices, stride=stride)
    kept = {slab.slices[position] for slab in made for position in slab.kept}
    assert kept == set(range(depth))
    assert all(len(slab.slices) == slices for slab in made)
    if depth >= slices:
        for slab in made:
            assert list(slab.slices) == list(range(slab.slices[0], slab.slices[0] + slices))


@given(depth=st.integers(6, 40))
def test_inner_slices_are_kept_only_where_they_have_a_neighbour_on_both_sides(depth: int) -> None:
    for slab in slabs(depth, 5, stride=3):
        for position in slab.kept:
            at_end = slab.slices[position] in (0, depth - 1)
            assert at_end or 1 <= position <= 3


def test_three_slices_cost_one_window() -> None:
    assert len(slabs(302, 5, stride=3)) == 100


def test_a_thin_stack_repeats_its_ends_and_keeps_each_slice_once() -> None:
    assert thin_slab(1, 5) == (0, 0, 0, 0, 0)
    assert thin_slab(3, 5) == (0, 0, 1, 2, 2)
    (slab,) = slabs(3, 5, stride=3)
    assert sorted(slab.slices[p] for p in slab.kept) == [0, 1, 2]


@pytest.mark.parametrize(
    ("spacing", "axes"),
    [
        ((1.0, 1.0, 1.0), (0, 1, 2)),
        ((1.0, 1.0, 2.0), (0, 1, 2)),
        ((0.5, 0.5, 5.0), (2,)),
        ((5.0, 0.5, 0.5), (0,)),
        ((0.5, 5.0, 0.6), (1,)),
    ],
)
def test_directions(spacing: tuple[float, float, float], axes: tuple[int, ...]) -> None:
    assert slab_axes(spacing) == axes


@pytest.mark.parametrize(("depth", "stride"), [(0, 3), (9, 0), (9, 4)])
def test_bad_numbers_are_named(depth: int, stride: int) -> None:
    with pytest.raises(ValueError, match="depth|stride"):
        slabs(depth, 5, stride=stride)
