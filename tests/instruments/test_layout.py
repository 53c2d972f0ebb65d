"""Where arrays lie on the array of an instrument."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.instruments.layout import layout
from neuroanp.instruments.protocol import Identity

SHAPES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=4)


@given(SHAPES, st.sampled_from([1, 2]), st.integers(0, 2**32 - 1))
def test_no_device_is_taken_twice_and_each_is_found_again(
    shapes: list[tuple[int, int]], planes: int, seed: int
) -> None:
    named = {str(k): shape for k, shape in enumerate(shapes)}
    lines, bits = sum(m for _, m in shapes), planes * max(n for n, _ in shapes)
    identity = Identity("x", lines + 1, bits + 2)
    places = layout(named, planes, identity)
    rng = np.random.default_rng(seed)
    devices = {name: rng.standard_normal((planes, *shape)) for name, shape in named.items()}
    whole = np.sum([places[name].spread(each, identity) for name, each in devices.items()], 0)
    for name, each in devices.items():
        np.testing.assert_array_equal(places[name].taken(whole), each)
    assert np.count_nonzero(whole) == sum(each.size for each in devices.values())
    assert not whole[lines:].any()


def test_a_pair_is_two_bit_lines_of_one_word_line() -> None:
    identity = Identity("x", 3, 4)
    place = layout({"w": (2, 3)}, 2, identity)["w"]
    devices = np.zeros((2, 2, 3))
    devices[1, 0, 2] = 7.0  # G- of output 0, input 2
    assert place.spread(devices, identity)[2].tolist() == [0, 0, 7, 0]


@pytest.mark.parametrize(("lines", "bits"), [(4, 9), (9, 3)])
def test_a_network_that_is_too_large_is_refused(lines: int, bits: int) -> None:
    with pytest.raises(InputError, match=r"take 5 word lines and 4 bit lines \(w_in 3 x 4, w 2 x 4\), and x has"):
        layout({"w_in": (2, 3), "w": (2, 2)}, 2, Identity("x", lines, bits))
