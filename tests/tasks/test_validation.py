"""Validation sequences: of a stream of their own, or kept of finite training data; never those of the test."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.tasks.digits import Digits, DigitsConfig
from neuroanp.tasks.encoders import Poisson
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.lorenz import Lorenz, LorenzConfig
from neuroanp.tasks.mackey_glass import MackeyGlass, MackeyGlassConfig
from neuroanp.tasks.protocol import TASKS, HoldsOut
from neuroanp.tasks.validation import split, usual_size
from neuroanp.tasks.weather import Weather, WeatherConfig
from tests.tasks.needed import data_of

ROWS = 400


def scored(batch) -> set[float]:
    """The targets of the scored steps."""
    return set(batch.targets[batch.mask > 0].ravel().tolist())


def seen(batch) -> set[float]:
    """All numbers that a network is shown, and those that it is told."""
    return {*batch.inputs[..., 0].ravel().tolist(), *batch.targets.ravel().tolist()}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table each of whose rows has a number of its own."""
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    numbers = np.random.default_rng(1).permutation(ROWS)
    path.write_text("\n".join(["x", *(f"{float(number):.1f}" for number in numbers)]) + "\n")
    return path


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(horizon=st.integers(1, 30), window=st.integers(2, 40), data=st.data())
def test_no_row_of_a_validation_target_is_in_training(table, horizon, window, data):
    washout = data.draw(st.integers(0, window - 1))
    options = {"path": table, "target": "x", "horizon": horizon, "window": window, "washout": washout, "split": 0.85}
    task = Weather(WeatherConfig(**options, missing=()))
    size = data.draw(st.integers(1, task.spare))
    rest, validation = split(task, size)
    kept = validation.batch(np.random.default_rng(0))
    assert kept.inputs.shape[:2] == (window, size)
    everything = seen(rest.sample(np.random.default_rng(data.draw(st.integers(0, 99))), 4000))
    assert not scored(kept) & everything
    assert not scored(kept) & scored(task.test(np.random.default_rng(0)))
    stride = window - washout
    rows = task.scaled(np.loadtxt(table, skiprows=1)[:, None])[:, 0]
    first = int(0.85 * ROWS) - size * stride
    assert scored(kept) == set(rows[first : int(0.85 * ROWS)].tolist())  # they tile the end of the training part
    assert everything == set(rows[:first].tolist())  # and all that is left is learned from


@pytest.mark.parametrize("direction", ["ahead", "recall"])
@settings(max_examples=12, deadline=None)
@given(horizon=st.integers(1, 20), steps=st.integers(2, 40), data=st.data())
def test_no_value_of_a_validation_target_is_in_training(direction, horizon, steps, data):
    washout = data.draw(st.integers(0, steps - 1))
    sizes = {"horizon": horizon, "steps": steps, "washout": washout, "train_length": 300}
    task = MackeyGlass(MackeyGlassConfig(**sizes, direction=direction, test_size=4))
    size = data.draw(st.integers(1, task.spare))
    rest, validation = split(task, size)
    kept = validation.batch(np.random.default_rng(0))
    everything = seen(rest.sample(np.random.default_rng(0), 4000))
    assert len(scored(kept)) == size * (steps - washout)
    assert not scored(kept) & everything
    beyond = horizon if direction == "recall" else 0
    assert len(everything) == 300 - beyond - size * (steps - washout)
    whole = seen(task.sample(np.random.default_rng(0), 4000))
    assert len(whole) == 300
    assert everything | scored(kept) <= whole
    assert not seen(task.test(np.random.default_rng(0))) & whole


@settings(max_examples=12, deadline=None)
@given(horizon=st.integers(1, 20), steps=st.integers(2, 40), data=st.data())
def test_no_sample_of_a_lorenz_validation_target_is_in_training(horizon, steps, data):
    washout = data.draw(st.integers(0, steps - 1))
    sizes = {"horizon": horizon, "steps": steps, "washout": washout, "train_length": 300}
    task = Lorenz(LorenzConfig(**sizes, test_size=4))
    size = data.draw(st.integers(1, task.spare))
    rest, validation = split(task, size)
    kept = validation.batch(np.random.default_rng(0))
    everything, whole = (seen(each.sample(np.random.default_rng(0), 4000)) for each in (rest, task))
    assert len(scored(kept)) == size * (steps - washout)
    assert not scored(kept) & everything
    assert len(everything) == 300 - size * (steps - washout)
    assert everything | scored(kept) == whole  # the targets tile the end of the training part
    assert not seen(task.test(np.random.default_rng(0))) & whole


@given(size=st.integers(1, 718))
@settings(max_examples=8, deadline=None)
def test_validation_images_are_training_images_that_are_no_longer_learned_from(size):
    task = Digits(DigitsConfig(steps=1, window=1))
    rest, validation = split(task, size)

    def images(batch) -> set[bytes]:
        return {batch.inputs[0, b].tobytes() for b in range(batch.inputs.shape[1])}

    kept, left = (
        images(validation.batch(np.random.default_rng(0))),
        images(rest.sample(np.random.default_rng(0), 20_000)),
    )
    assert len(kept) == size  # every image is another
    assert len(left) == 1437 - size
    assert not kept & (left | images(task.test(np.random.default_rng(0))))


@pytest.mark.parametrize("name", TASKS.names())
def test_every_task_keeps_validation_sequences_and_its_test_sequences_stay(name, images, tmp_path):
    own = data_of(name, images, tmp_path) | ({"test_size": 10} if name == "mnist" else {})
    task = TASKS.get(name)(TASKS.get(name).config(**own))
    size = usual_size(task, np.random.default_rng(0))
    rest, validation = split(task, size)
    streams = Streams(0)
    kept, again = (validation.batch(streams.generator("validation")) for _ in range(2))
    assert np.array_equal(kept.inputs, again.inputs, equal_nan=kept.world is not None)
    assert kept.inputs.shape == (task.steps, size, task.inputs)
    if kept.world is not None:
        like = torch.zeros(1, dtype=torch.float64)
        assert torch.equal(kept.world.reset(1, like), again.world.reset(1, like))
    before, after = (each.test(streams.generator("test")) for each in (task, rest))
    assert np.array_equal(before.inputs, after.inputs, equal_nan=before.world is not None)
    assert np.array_equal(before.targets, after.targets, equal_nan=before.world is not None)
    assert (rest.name, rest.inputs, rest.outputs, rest.steps) == (task.name, task.inputs, task.outputs, task.steps)
    assert rest.fingerprint() == task.fingerprint()
    assert (rest is task) != isinstance(task, HoldsOut)
    assert size <= before.inputs.shape[1]


def test_what_is_drawn_is_of_a_stream_of_its_own():
    """Neither the test's sequences nor those of any batch, and others for another seed."""
    task = TASKS.get("copy")(TASKS.get("copy").config(length=10, test_size=16))
    _, validation = split(task, 16)
    drawn = [validation.batch(Streams(seed).generator("validation")) for seed in (0, 1)]
    others = [
        task.test(Streams(0).generator("test")),
        *(task.sample(Streams(0).generator("data", k), 16) for k in (0, 1)),
    ]
    for one, other in [*product(drawn, others), drawn]:
        assert not np.array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize(
    ("task", "spare"),
    [(Digits(DigitsConfig()), 718), (MackeyGlass(MackeyGlassConfig(train_length=1000)), 13)],
    ids=["digits", "mackey_glass"],
)
def test_more_than_half_of_the_training_data_are_not_kept(task, spare):
    assert task.spare == spare
    split(task, spare)
    with pytest.raises(InputError, match=f"training.validation: {spare + 1} sequences are too many.* for {spare}"):
        split(task, spare + 1)
    assert usual_size(task, np.random.default_rng(0)) <= 2 * spare / 5


def test_kept_sequences_are_encoded_as_the_others_are():
    """The same rows under every encoder, spikes from the validation stream."""
    task = MackeyGlass(MackeyGlassConfig(train_length=500))
    seen_by = encoded(task, Poisson(hold=4), 1e-3)
    rest, validation = split(seen_by, 3)
    kept = validation.batch(np.random.default_rng(0))
    plain = split(task, 3)[1].batch(np.random.default_rng(0))
    assert kept.raw is not None
    assert np.array_equal(kept.raw.inputs, plain.inputs)
    assert kept.inputs.shape == (4 * task.steps, 3, seen_by.inputs)
    assert set(np.unique(kept.inputs)) <= {0.0, 1.0}
    assert np.array_equal(kept.inputs, seen_by.encode(plain, np.random.default_rng(0)).inputs)
    assert not scored(kept) & seen(rest.sample(np.random.default_rng(0), 500).raw)
