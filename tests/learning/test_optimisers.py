"""The optimisers against torch's own: steps, clipping and schedules over drawn sequences of updates."""

from __future__ import annotations

from itertools import pairwise
from math import cos, inf, pi, prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.learning.optimisers import Optimizer
from neuroanp.training.configure import configure
from neuroanp.trajectory import WeightUpdate
from tests.close import close
from tests.learning.of_torch import torchs

SHAPES = {"w_in": (3, 2), "w": (3, 3), "w_out": (1, 3)}
DTYPES = {torch.float64: 1e-13, torch.float32: 1e-5}
"""Rounding of 20 steps, as a part of the way that they go."""

options = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["adam", "sgd"]),
        "schedule": st.sampled_from(["cosine", "linear", "exponential", "step", "constant"]),
        "lr": st.floats(1e-4, 1.0),
        "warmup": st.integers(0, 19),
        "weight_decay": st.sampled_from([0.0, 1e-2, 0.5]),
        "beta1": st.sampled_from([0.0, 0.5, 0.9]),
        "beta2": st.sampled_from([0.0, 0.9, 0.999]),
        "eps": st.sampled_from([1e-8, 1e-2, 1.0]),  # a large one tells sqrt(v) + eps from sqrt(v + eps)
    }
)


def drawn(seed: int, steps: int, dtype: torch.dtype) -> list[dict[str, torch.Tensor]]:
    """A sequence of updates of very different sizes; an array has no update at all now and then."""
    rng = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(steps):
        sizes = 10.0 ** (4 * torch.rand(len(SHAPES), generator=rng) - 2) * (torch.rand(3, generator=rng) < 0.9)
        found.append(
            {
                name: (float(size) * torch.randn(shape, generator=rng, dtype=torch.float64)).to(dtype)
                for size, (name, shape) in zip(sizes, SHAPES.items(), strict=True)
            }
        )
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=25)
@given(options=options, clip=st.one_of(st.none(), st.floats(1e-2, 1e2)), seed=st.integers(0, 2**32 - 1))
def test_a_descent_is_that_of_torch(dtype, options, clip, seed):
    """W <- W - lr_k step_k over 20 updates: clipped norm, moments, bias correction, schedule."""
    optimizer, updates = Optimizer(clip=clip, **options), 20
    start = drawn(seed + 1, 1, dtype)[0]
    mine, state = {name: W.clone() for name, W in start.items()}, optimizer.init(start)
    theirs = {name: torch.nn.Parameter(W.clone()) for name, W in start.items()}
    descent, schedule = torchs(optimizer, [*theirs.values()], updates)
    way = {name: float(W.abs().max()) for name, W in start.items()}
    for update, grads in enumerate(drawn(seed, updates, dtype)):
        for name, parameter in theirs.items():
            parameter.grad = grads[name].clone()
        # torch divides by the norm + 1e-6, ours by the norm: a norm far from 0 is clipped alike
        norm = torch.nn.utils.clip_grad_norm_(theirs.values(), inf)
        if clip is not None and float(norm) > clip:
            torch.nn.utils.clip_grad_norm_(theirs.values(), clip * (1 + 1e-6 / float(norm)))
        direction, state = optimizer.step(WeightUpdate(grads), state)
        direction = optimizer.decayed(direction, mine)
        assert direction.diagnostics["update_norm"] == pytest.approx(float(norm), rel=1e-5, abs=0)
        rate = optimizer.rate(update, updates)
        assert rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-12 * optimizer.lr)
        descent.step()
        schedule.step()
        for name, W in mine.items():
            step = rate * direction.arrays[name]
            W -= step
            way[name] += float(step.abs().max())
            torch.testing.assert_close(W, theirs[name].detach(), rtol=0, atol=DTYPES[dtype] * way[name])


@given(
    largest=st.floats(1e-3, 1e3), sizes=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3), seed=st.integers(0, 99)
)
def test_clipping_keeps_the_direction_over_all_arrays(largest, sizes, seed):
    """Below the limit nothing changes, to the bit; above it the norm over all arrays is the limit."""
    rng = torch.Generator().manual_seed(seed)
    arrays = {
        name: size * torch.randn(shape, generator=rng, dtype=torch.float64)
        for size, (name, shape) in zip(sizes, SHAPES.items(), strict=True)
    }
    whole = torch.cat([g.flatten() for g in arrays.values()])
    found, state = Optimizer(name="sgd", clip=largest).step(WeightUpdate(arrays, {"loss": 3.0}), {})
    clipped = torch.cat([found.arrays[name].flatten() for name in arrays])
    assert state == {}
    assert found.diagnostics == {"loss": 3.0, "update_norm": pytest.approx(float(whole.norm()), rel=1e-12, abs=0)}
    if float(whole.norm()) <= largest:
        assert torch.equal(clipped, whole)
    else:
        torch.testing.assert_close(clipped, whole * (largest / whole.norm()), rtol=1e-12, atol=0)


@given(lr=st.floats(1e-6, 1e3), updates=st.integers(1, 400))
def test_the_cosine_begins_at_lr_halves_in_the_middle_and_would_end_at_zero(lr, updates):
    cosine = Optimizer(lr=lr, schedule="cosine")
    rates = [cosine.rate(update, updates) for update in range(updates + 1)]
    assert rates[0] == lr
    assert rates[-1] == pytest.approx(0.0, abs=1e-12 * lr)
    assert all(before > after for before, after in pairwise(rates))
    assert [a + b for a, b in zip(rates, reversed(rates), strict=True)] == close([lr] * len(rates), rel=1e-12)
    assert rates[updates // 3] == close(lr * cos(pi * (updates // 3) / updates / 2) ** 2, rel=1e-9)
    assert {Optimizer(lr=lr, schedule="constant").rate(update, updates) for update in range(updates + 1)} == {lr}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_leaves_what_it_was_given_alone(dtype):
    """State goes in and comes out: the same step twice is the same, and only the new state counts it."""
    optimizer = Optimizer(clip=1.0)
    first, second = drawn(3, 2, dtype)
    _, state = optimizer.step(WeightUpdate(first), optimizer.init(first))
    kept = {name: value.clone() for name, value in {**state, **second}.items()}
    once, again = (optimizer.step(WeightUpdate(second), state) for _ in range(2))
    assert all(torch.equal({**state, **second}[name], value) for name, value in kept.items())
    assert all(torch.equal(once[0].arrays[name], again[0].arrays[name]) for name in second)
    assert (int(state["count"]), int(once[1]["count"])) == (1, 2)
    assert once[1].keys() == optimizer.init(first).keys()
    assert all(value.dtype in (dtype, torch.int64) for value in once[1].values())


SCHEDULES = {
    "cosine": lambda p, f: f + (1 - f) * cos(pi * p / 2) ** 2,
    "linear": lambda p, f: 1 - p + f * p,
    "exponential": lambda p, f: f**p,
}


@given(
    schedule=st.sampled_from([*SCHEDULES]),
    floor=st.floats(1e-3, 0.9),
    lr=st.floats(1e-6, 1e2),
    warmup=st.integers(0, 50),
    rest=st.integers(1, 100),
)
def test_a_schedule_falls_to_its_floor_once_the_warm_up_is_over(schedule, floor, lr, warmup, rest):
    optimizer, updates = Optimizer(lr=lr, schedule=schedule, floor=floor, warmup=warmup), warmup + rest
    rates = [optimizer.rate(update, updates) for update in range(updates + 1)]
    assert rates[:warmup] == close([lr * (k + 1) / (warmup + 1) for k in range(warmup)], rel=1e-12)
    assert rates[warmup] == close(lr, rel=1e-12)
    expected = [lr * SCHEDULES[schedule](k / rest, floor) for k in range(rest + 1)]
    assert rates[warmup:] == close(expected, rel=1e-9)
    assert rates[-1] == close(lr * floor, rel=1e-9)


def test_a_floor_that_is_not_said_is_zero_and_a_hundredth_where_zero_is_never_reached():
    ends = {name: Optimizer(lr=2.0, schedule=name).rate(10, 10) for name in SCHEDULES}
    assert ends == close({"cosine": 0.0, "linear": 0.0, "exponential": 0.02}, rel=1e-12)


@given(rest=st.integers(1, 60), warmup=st.integers(0, 10), factor=st.floats(1e-3, 0.9))
def test_steps_fall_at_their_shares_of_the_updates_after_the_warm_up(rest, warmup, factor):
    shares = (0.1, 0.5, 0.7)
    optimizer = Optimizer(lr=3.0, schedule="step", milestones=shares, factor=factor, warmup=warmup)
    for k in range(rest):
        reached = [10 * k >= tenths * rest for tenths in (1, 5, 7)]  # in whole numbers
        assert optimizer.rate(warmup + k, warmup + rest) == close(3.0 * factor ** sum(reached), rel=1e-12)


@settings(max_examples=25)
@given(
    name=st.sampled_from(["adam", "sgd"]),
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
    decay=st.floats(1e-3, 5.0),
    seed=st.integers(0, 99),
)
def test_without_updates_weights_decay_by_the_product_of_what_is_left(name, schedule, decay, seed):
    """W_n = W_0 prod_k (1 - lr_k decay), whatever the optimiser."""
    optimizer, updates = Optimizer(name=name, lr=0.1, schedule=schedule, weight_decay=decay), 12
    start = drawn(seed, 1, torch.float64)[0]
    W, state = {key: w.clone() for key, w in start.items()}, optimizer.init(start)
    still = {key: torch.zeros_like(w) for key, w in start.items()}
    for update in range(updates):
        direction, state = optimizer.step(WeightUpdate(still), state)
        direction = optimizer.decayed(direction, W)
        W = {key: w - optimizer.rate(update, updates) * direction.arrays[key] for key, w in W.items()}
    left = prod(1 - optimizer.rate(update, updates) * decay for update in range(updates))
    for key, w in W.items():
        torch.testing.assert_close(w, left * start[key], rtol=1e-12, atol=0)


def test_decay_is_decoupled_neither_moments_nor_clipping_see_it():
    optimizer = Optimizer(clip=0.1, weight_decay=0.5)
    grads, W = drawn(5, 2, torch.float64)
    step, state = optimizer.step(WeightUpdate(grads, {"loss": 1.0}), optimizer.init(W))
    direction = optimizer.decayed(step, {**W, "another": torch.ones(1)})
    plain, same_state = Optimizer(clip=0.1).step(WeightUpdate(grads, {"loss": 1.0}), Optimizer().init(W))
    assert all(torch.equal(state[key], value) for key, value in same_state.items())
    assert direction.diagnostics == plain.diagnostics
    assert direction.arrays.keys() == W.keys()
    for key, w in W.items():
        torch.testing.assert_close(direction.arrays[key] - plain.arrays[key], 0.5 * w, rtol=1e-9, atol=1e-15)


def test_options_that_came_later_are_not_written_out_at_their_defaults():
    """What is written out is what it was before there was a choice: runs keep their names."""
    written = {"name", "lr", "schedule", "clip", "beta1", "beta2", "eps"}
    assert set(Optimizer().model_dump()) == written
    assert (
        set(configure({"task": "copy", "optimizer": {"weight_decay": 0.0, "warmup": 0}}).to_plain()["optimizer"])
        == written
    )
    said = {"warmup": 3, "floor": 0.1, "weight_decay": 0.01}
    assert Optimizer(**said).model_dump().items() >= said.items()
    stepped = configure({"task": "copy", "optimizer": {"schedule": "step", "milestones": [0.2], "factor": 0.5}})
    assert stepped.optimizer.milestones == (0.2,)
    assert configure(stepped.to_plain()) == stepped


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"floor": 0.1, "schedule": "constant"}, "floor: is of schedule cosine or linear or exponential"),
        ({"milestones": [0.5]}, "milestones: is of schedule step, and this is cosine"),
        ({"factor": 0.5, "schedule": "linear"}, "factor: is of schedule step"),
        ({"floor": 0.0, "schedule": "exponential"}, "never reached"),
        ({"milestones": [0.5, 0.2], "schedule": "step"}, "must be shares between 0 and 1 that rise"),
        ({"milestones": [0.0, 0.2], "schedule": "step"}, "must be shares between 0 and 1 that rise"),
        ({"weight_decay": 10.0, "lr": 0.1}, "takes lr x weight_decay = 1 of each weight"),
        ({"weight_decay": -0.1}, "must be at least 0"),
        ({"warmup": 1000}, "optimizer.warmup: 1000 leaves none of the 1000 updates"),
        ({"floor": 1.0}, "must be below 1"),
    ],
)
def test_options_that_make_no_sense_are_told_in_one_line(said, why):
    with pytest.raises(InputError) as caught:
        configure({"task": "copy", "optimizer": said})
    (line,) = caught.value.problems
    assert why in line
