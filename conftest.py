"""What pytest leaves out, and which tests are a GPU's."""

from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("triton") else ["neuroanp/kernels/triton_*.py"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are skipped where there is no CUDA: `-m cuda` are those."""
    for item in items:
        if any("CUDA" in mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif")):
            item.add_marker("cuda")
