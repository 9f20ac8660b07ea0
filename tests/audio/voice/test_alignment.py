from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_audio.voice.alignment import diagonal_prior, expand, monotonic_alignment, spread
from diff_audio.voice.training.flat_start import flat_start


def paths(tokens: int, frames: int):
    """Durations of every alignment, by the places where it goes on."""
    for cuts in itertools.combinations(range(1, frames), tokens - 1):
        edges = (0, *cuts, frames)
        yield [after - before for before, after in itertools.pairwise(edges)]


def value(score: torch.Tensor, durations: list[int]) -> float:
    owners = [i for i, d in enumerate(durations) for _ in range(d)]
    return sum(float(score[i, j]) for j, i in enumerate(owners))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_search_finds_the_best_of_all_alignments(seed: int, sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    frames = [n + int(torch.randint(0, 5, (), generator=generator)) for n in sizes]
    score = torch.randn(len(sizes), max(sizes), max(frames), generator=generator)
    found = monotonic_alignment(score, torch.tensor(sizes), torch.tensor(frames))
    for row, (tokens, length) in enumerate(zip(sizes, frames, strict=True)):
        durations = found[row].tolist()
        assert sum(durations) == length and durations[tokens:] == [0] * (max(sizes) - tokens)
        assert min(durations[:tokens]) >= 1
        best = max(value(score[row], path) for path in paths(tokens, length))
        assert math.isclose(value(score[row], durations[:tokens]), best, abs_tol=1e-5)


def test_what_is_beyond_the_ends_has_no_effect() -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(2, 4, 9, generator=generator)
    tokens, frames = torch.tensor([3, 4]), torch.tensor([7, 9])
    expected = monotonic_alignment(score, tokens, frames)
    score[0, 3:], score[0, :, 7:] = math.nan, 1e9
    score[0, 3:] = 1e9
    assert torch.equal(monotonic_alignment(score, tokens, frames), expected)


def test_more_symbols_than_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has 5 symbols and 4 frames"):
        monotonic_alignment(torch.zeros(2, 5, 6), torch.tensor([5, 5]), torch.tensor([6, 4]))


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), min_size=1, max_size=3))
def test_expand_is_repetition(durations: list[list[int]]) -> None:
    most, frames = max(map(len, durations)), max(map(sum, durations))
    padded = torch.tensor([row + [0] * (most - len(row)) for row in durations])
    values = torch.arange(1.0, padded.numel() + 1).reshape(*padded.shape, 1)
    found = expand(values, padded, frames)
    for row, steps in enumerate(durations):
        expected = torch.repeat_interleave(values[row, : len(steps)], torch.tensor(steps), dim=0)
        assert torch.equal(found[row, : sum(steps)], expected)
        assert not found[row, sum(steps) :].any()


def test_spread_is_even() -> None:
    found = spread(torch.tensor([3, 2]), torch.tensor([7, 9]), 4)
    assert found.tolist() == [[2, 2, 3, 0], [4, 5, 0, 0]]


def test_the_diagonal_prior_is_a_distribution_over_symbols() -> None:
    prior = diagonal_prior(5, 12, strength=2.0).double()
    assert torch.allclose(prior.exp().sum(0), torch.ones(12, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(prior, prior.flip(0, 1), atol=1e-5)
    from scipy.stats import betabinom

    expected = betabinom.logpmf(range(5), 4, 2.0 * 3, 2.0 * (12 - 3 + 1))
    assert torch.allclose(prior[:, 2], torch.tensor(expected), atol=1e-5)


def test_a_flat_start_finds_the_boundaries_of_distinct_sounds() -> None:
    generator = torch.Generator().manual_seed(1)
    sounds = 3.0 * torch.randn(8, 40, generator=generator)
    mels, texts, true = [], [], []
    for _ in range(40):
        text = torch.randint(0, 8, (12,), generator=generator)
        text[1:][text[1:] == text[:-1]] += 1
        text = text % 8
        durations = torch.randint(2, 15, (12,), generator=generator)
        mel = sounds[text].repeat_interleave(durations, dim=0).T
        mels.append(mel + 0.5 * torch.randn(mel.shape, generator=generator))
        texts.append(text)
        true.append(durations)
    found = flat_start(mels, texts)
    apart = torch.cat(
        [f.cumsum(0)[:-1] - t.cumsum(0)[:-1] for f, t in zip(found, true, strict=True)]
    ).abs()
    assert all(int(f.sum()) == m.shape[1] for f, m in zip(found, mels, strict=True))
    assert float((apart <= 2).float().mean()) > 0.9
