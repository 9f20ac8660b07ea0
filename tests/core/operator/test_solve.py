"""Conjugate gradients, against a direct solver and against what theory says of their steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diff_core.solve import conjugate_gradients


def system(seed: int, rows: int, size: int, spread: float) -> tuple[Tensor, Tensor]:
    """A symmetric positive matrix per row, with eigenvalues from 1 to `spread`, and b."""
    g = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(rows, size, size, generator=g, dtype=torch.float64))
    values = 1 + (spread - 1) * torch.rand(rows, size, 1, generator=g, dtype=torch.float64)
    matrix = basis @ (values * basis.mT)
    return matrix, torch.randn(rows, size, generator=g, dtype=torch.float64)


def product(matrix: Tensor, v: Tensor) -> Tensor:
    return (matrix @ v.unsqueeze(-1)).squeeze(-1)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 4),
    size=st.integers(1, 12),
    spread=st.floats(1, 1e3),
)
def test_solves_as_a_direct_solver(seed: int, rows: int, size: int, spread: float) -> None:
    matrix, b = system(seed, rows, size, spread)
    solution = conjugate_gradients(lambda v: product(matrix, v), b)
    expected = torch.linalg.solve(matrix, b)
    torch.testing.assert_close(solution.x, expected, rtol=1e-7, atol=1e-7)
    true = (b - product(matrix, solution.x)).norm(dim=1) / b.norm(dim=1)
    torch.testing.assert_close(solution.residual, true, rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_takes_one_step_for_each_distinct_eigenvalue(distinct: int) -> None:
    values = torch.arange(1.0, distinct + 1, dtype=torch.float64).repeat(20)
    b = torch.randn(2, 20 * distinct, dtype=torch.float64)
    solution = conjugate_gradients(lambda v: values * v, b)
    assert solution.steps == distinct
    torch.testing.assert_close(solution.x, b / values)


def test_a_row_does_not_depend_on_the_others() -> None:
    matrix, b = system(3, 3, 10, 100.0)
    b[1] *= 1e-6  # and one that has nothing to solve
    b[2] = 0
    together = conjugate_gradients(lambda v: product(matrix, v), b, tolerance=1e-4)
    for i in range(3):
        one = matrix[i : i + 1]
        alone = conjugate_gradients(
            lambda v, one=one: product(one, v), b[i : i + 1], tolerance=1e-4
        )
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-10, atol=0)
    assert together.residual[2] == 0 and (together.residual <= 1e-4).all()


def test_shapes_of_signals_and_of_single_numbers() -> None:
    b = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(conjugate_gradients(lambda v: 4 * v, b).x, b / 4)
    torch.testing.assert_close(
        conjugate_gradients(lambda v: 4 * v, b[:, 0, 0, 0]).x, b[:, 0, 0, 0] / 4
    )


def test_singular_but_consistent_gives_the_shortest_solution() -> None:
    matrix = torch.randn(4, 7, dtype=torch.float64)
    gram = matrix.mT @ matrix
    b = torch.randn(2, 4, dtype=torch.float64) @ matrix
    got = conjugate_gradients(lambda v: v @ gram, b).x
    torch.testing.assert_close(got, b @ torch.linalg.pinv(gram, hermitian=True))


def test_reports_what_it_did_not_reach() -> None:
    matrix, b = system(5, 2, 30, 1e4)
    solution = conjugate_gradients(lambda v: product(matrix, v), b, max_steps=3)
    true = (b - product(matrix, solution.x)).norm(dim=1) / b.norm(dim=1)
    assert solution.steps == 3 and (solution.residual > 1e-3).all()
    torch.testing.assert_close(solution.residual, true)


def test_stops_at_a_direction_of_no_curvature() -> None:
    signs = torch.tensor([[1.0, 2.0, 3.0], [1.0, -2.0, -3.0]], dtype=torch.float64)
    b = torch.ones(2, 3, dtype=torch.float64)
    solution = conjugate_gradients(lambda v: signs * v, b)
    torch.testing.assert_close(solution.x[0], 1 / signs[0])
    assert (solution.x[1] == 0).all() and solution.residual[1] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"b": torch.ones(2, 3, dtype=torch.long)}, "b is of type torch.int64"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"tolerance": 1.0}, "tolerance is 1.0"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"apply": lambda v: v[:, :2]}, r"apply returned shape \(2, 2\).*\(2, 3\)"),
    ],
)
def test_errors_name_the_argument(arguments: dict, message: str) -> None:
    defaults = {"apply": lambda v: v, "b": torch.ones(2, 3)}
    with pytest.raises(ValueError, match=message):
        conjugate_gradients(**(defaults | arguments))
