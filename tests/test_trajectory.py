"""The types that cross rooms: sizes of Weights, counts of PassPlan."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.learning.anp import ANP
from neuroanp.network.compose import ONE_LAYER
from neuroanp.network.lines import with_bias_line
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

SIZES = st.integers(1, 9)


def weights(I: int, N: int, O: int, bias: bool) -> Weights:  # noqa: E741
    return Weights.one_layer(
        {"w_in": torch.ones(N, I + bias), "w": torch.ones(N, N), "w_out": torch.ones(O, N + bias)}, bias
    )  # fmt: skip


@given(I=SIZES, N=SIZES, O=SIZES, bias=st.booleans())
def test_sizes_do_not_count_the_bias_line(I, N, O, bias):  # noqa: E741
    w = weights(I, N, O, bias)
    assert (w.network.inputs, w.network.hidden, w.network.outputs) == (I, N, O)
    assert tuple(w) == ONE_LAYER
    assert len(w) == 3
    assert {name: tuple(W.shape) for name, W in w.items()}["w_in"] == (N, I + bias)


def test_weights_are_read_by_name_and_not_changed():
    w = weights(1, 2, 3, False)
    with pytest.raises(KeyError):
        w["w_back"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        w.network = w.network  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ONE_LAYER)
def test_weights_of_another_shape_than_the_network_s_are_refused(name):
    w = weights(1, 2, 3, True)
    for wrong in (torch.ones(9, 9), w[name][:, :-1], w[name].T):
        if wrong.shape != w[name].shape:
            with pytest.raises(ValueError, match=r"the arrays are .*, the network needs"):
                Weights({**w.arrays, name: wrong}, w.network)
    with pytest.raises(ValueError, match="the arrays are"):
        Weights({other: W for other, W in w.items() if other != name}, w.network)


@given(M=st.integers(2, 20))
def test_against_the_mean_every_pass_is_a_difference(M):
    plan = PassPlan((1.0,) * M, tuple(range(M)), "mean")
    assert (plan.passes, plan.differences) == (M, M)


def test_devices_know_neither_signs_nor_groups():
    plain = PassPlan((1.0, 0.0), (3, 5), ((0, 1),), pre=1)
    assert not plain.controlled
    assert plain.of_devices is plain
    assert plain.of_group(1) == plain.noise
    mirrored = PassPlan((0.5, -0.5, 0.0), (4, 4, 2), ((0, 1),), only=(0, 0, None))
    assert mirrored.controlled
    assert (mirrored.of_devices.noise, mirrored.of_devices.stream) == ((0.5, 0.5, 0.0), (0, 1, 2))
    assert not mirrored.of_devices.controlled
    assert (mirrored.of_group(0), mirrored.of_group(1)) == ((0.5, -0.5, 0.0), (0.0, 0.0, 0.0))


@given(K=st.integers(1, 20), reference=st.sampled_from(["two", "mean", "silent"]))
def test_the_rules_plans_count_as_written(K, reference):
    """two: M = 2K, R = K. mean: M = R = K+1. silent: M = K+1, R = K; every noisy pass has a stream of its own."""
    plan = ANP(reference=reference, K=K).plan()
    assert (plan.passes, plan.differences) == {"two": (2 * K, K), "mean": (K + 1, K + 1), "silent": (K + 1, K)}[
        reference
    ]
    assert len(plan.stream) == len(plan.noise) == plan.passes == len(set(plan.stream))
    if plan.pairs != "mean":
        assert all(0 <= p < plan.passes and 0 <= q < plan.passes and p != q for p, q in plan.pairs)
    assert (plan.pre is None) == (reference != "silent")


def test_an_update_needs_no_diagnostics():
    assert WeightUpdate({}).diagnostics == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"noise": ()}, "a factor and a stream for each pass"),
        ({"noise": (1.0,)}, "a factor and a stream for each pass, not 1 and 2"),
        ({"pairs": ((0, 2),)}, r"\(0, 2\) is not two different passes out of 0 .. 1"),
        ({"pairs": ((-1, 0),)}, "not two different passes"),
        ({"pairs": ((1, 1),)}, "not two different passes"),
        ({"pairs": ((0, 1, 1),)}, "not two different passes"),
        ({"pairs": ()}, "neither 'mean' nor"),
        ({"pairs": "median"}, "neither 'mean' nor"),
        ({"pre": 2}, "pre: 2 is not a pass out of 0 .. 1"),
        ({"only": (0,)}, "only: a group or None for each of 2 passes, not 1"),
        ({"pairs": ((0, 3),), "remembered": 1}, r"pairs: \(0, 3\) is not two different passes out of 0 .. 2"),
        ({"pre": 3, "remembered": 1}, "pre: 3 is not a pass out of 0 .. 2"),
    ],
)
def test_plans_that_cannot_be_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        PassPlan(**{"noise": (1.0, 1.0), "stream": (0, 1), "pairs": ((0, 1),), **options})


def test_the_bias_line_is_one_and_lets_gradients_through():
    values = torch.tensor([[2.0, 3.0]], requires_grad=True)
    extended = with_bias_line(values)
    assert extended.tolist() == [[2.0, 3.0, 1.0]]
    extended.square().sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[4.0, 6.0]]
    assert with_bias_line(values, False) is values
