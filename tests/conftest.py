"""How the suite runs: one thread a process, the same random numbers and examples every time."""

import importlib.util
import os

import pytest
from hypothesis import settings

# Before torch is imported, and for the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `--hypothesis-profile=default` looks at new examples.
settings.register_profile("suite", settings(), deadline=None, derandomize=True)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Each test draws the same numbers, whichever ran before it in the same process."""
    import torch

    torch.manual_seed(0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests that need pesq where it is not installed: it can only be compiled."""
    if importlib.util.find_spec("pesq") is not None:
        return
    left_out = [item for item in items if item.get_closest_marker("pesq")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
