"""What tests of tasks share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tasks.idx_files import random_set, write_set


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four files of MNIST, of a few random images."""
    return write_set(tmp_path_factory.mktemp("images"), random_set())
