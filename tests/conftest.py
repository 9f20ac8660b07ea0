"""How the suite runs: one thread a process, no time limits on hypothesis."""

import importlib.util
import os

import pytest
from hypothesis import settings

# Before torch is imported, and for the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("suite", settings(), deadline=None)
settings.load_profile("suite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests that need pesq where it is not installed: it can only be compiled."""
    if importlib.util.find_spec("pesq") is not None:
        return
    left_out = [item for item in items if item.get_closest_marker("pesq")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
