"""Read noise drawn in place: the normals of the address times the factor, and nothing of other passes."""

from __future__ import annotations

import pytest
import torch

from neuroanp.backends.reads import draw_pass
from neuroanp.kernels.draws import reference
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
