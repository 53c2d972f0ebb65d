"""What tests of benchmarks share."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rules.numbers import Numbers


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    return Numbers(tmp_path / "numbers.json")
