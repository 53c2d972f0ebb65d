"""Sizes of noise that are known are found."""

from __future__ import annotations

import pytest

from benchmarks.noise_sizes import SETTING, WAY, sizes
from benchmarks.rules.cells import Cell
from tests.close import close


@pytest.mark.parametrize(
    ("condition", "sigma", "rho"), [("white", 0.01, 0.0), ("white_02", 0.02, 0.0), ("smtj_koenders", 0.02, 0.82)]
)
def test_noise_of_a_known_size_is_found(condition: str, sigma: float, rho: float) -> None:
    """Before and after weights have changed; by profile: jumps that remember make up what junctions add."""
    config = Cell("parity", condition, WAY).run(SETTING, 100).config
    for found in sizes(config, (0, 5)):
        assert found.hidden == close(sigma, rel=0.03)
        assert found.output == close(sigma, rel=0.15)  # two outputs at most, and junctions that remember
        assert abs(found.rho - rho) < 0.02


def test_noise_of_reads_grows_with_weights() -> None:
    """Phase-change cells make noise in proportion to what they hold: own noise is no smaller later, and is white."""
    config = Cell("parity", "pcm", WAY).run(SETTING, 100).config
    first, later = sizes(config, (0, 40))
    assert 0.01 < first.hidden < later.hidden
    assert abs(later.rho) < 0.02


def test_errors_of_cells_are_no_noise() -> None:
    """Where cells err but make no noise, what is added on purpose is all there is."""
    config = Cell("parity", "pcm", WAY).run(SETTING, 100).config
    hardware = config.hardware.model_copy(update={"only": ["programming_error"]})
    perturbation = config.perturbation.model_copy(update={"name": "gaussian", "sigma": 1e-4})
    (found,) = sizes(config.model_copy(update={"hardware": hardware, "perturbation": perturbation}), (2,))
    assert found.hidden == close(1e-4, rel=0.006)
