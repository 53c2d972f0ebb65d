"""Read noise drawn in place: the normals of the address times the factor, and nothing of other passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.backends.reads import draw_pass
from neuroanp.kernels.draws import draw_passes, reference
from neuroanp.kernels.philox import Address


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1.0, -0.3])
@pytest.mark.parametrize("shape", [(3, 1, 2, 5), (2, 3, 40, 300), (1, 2, 1, 9001), (2, 2, 3, 0)])
def test_noise_of_a_pass_is_drawn_in_place(shape, factor, dtype):
    xi, at = torch.full(shape, 7.0, dtype=dtype), Address(key=1 << 40 | 9, update=3, stream=2, t=11)
    m = shape[1] - 1
    draw_pass(xi, m, factor, at)
    expected = torch.from_numpy(reference("normal", at, shape[0], shape[2:], xi.numpy().dtype)) * factor
    assert torch.equal(xi[:, m], expected)
    assert bool((xi[:, :m] == 7.0).all())


def test_steps_beyond_the_last_address_are_refused():
    with pytest.raises(ValueError, match="'t'"):
        draw_pass(torch.zeros(2, 1, 1, 4), 0, 1.0, Address(0, 0, 0, 2**32 - 1))


@pytest.mark.parametrize("shape", [(5,), (3, 40), (7, 1), (300, 41), (2, 9001), (2, 3, 6), (2, 0)])
def test_noise_of_all_passes_is_each_passes_own(shape):
    """Streams in common, silent passes, more rows than are made at once, rows longer than that."""
    at, streams, factors = (
        Address(key=1 << 40 | 9, update=3, stream=0, t=11),
        (4, 0, 4, 2**32 - 1),
        (1.0, -0.5, 0.25, 0.0),
    )
    found = draw_passes(at, streams, factors, 3, shape)
    assert found.shape == (3, 4, *shape)
    for m, (stream, factor) in enumerate(zip(streams, factors, strict=True)):
        expected = reference("normal", at._replace(stream=stream), 3, shape, np.float32) * np.float32(factor)
        assert np.array_equal(found[:, m], expected)
