"""Encoders: what goes in can be read back out, and a task behind an encoder is the same task."""

from typing import Annotated

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.delayed_match import DelayedMatch, DelayedMatchConfig
from neuroanp.tasks.encoders import ENCODERS, Current, Encoder, Latency, Poisson, Population, on_off
from neuroanp.tasks.encoding import Encoded, encoded
from neuroanp.tasks.mackey_glass import MackeyGlass, MackeyGlassConfig
from neuroanp.tasks.sine import Sine, SineConfig
from neuroanp.tasks.xor import TemporalXor, TemporalXorConfig
from neuroanp.yaml_io import Chosen, Section, dump, parse, validate
from tests.close import close

DT = 1e-3
values = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    elements=st.floats(-1, 1, allow_subnormal=False),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def constant(value: float, steps: int = 1, sequences: int = 1) -> np.ndarray:
    return np.full((steps, sequences, 1), value)


def kinds(hold: int) -> list[Encoder]:
    latency = [Latency(hold=hold, each="step", tau=5e-3)] if hold > 1 else []
    return [
        Current(hold=hold),
        Poisson(hold=hold),
        Poisson(hold=hold, signed=False),
        Latency(hold=hold),
        Latency(hold=hold, signed=False),
        Population(hold=hold, n=3),
        *latency,
    ]


@given(values, st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=50)
def test_shapes_and_the_range_of_lines(inputs, hold, seed):
    T, B, inputs_a_step = inputs.shape
    for encoder in kinds(hold):
        lines = encoder.encode(inputs, rng(seed), DT)
        assert lines.shape == (T * hold, B, encoder.lines(inputs_a_step))
        assert lines.dtype == np.float64
        if encoder.spikes:
            assert np.isin(lines, [0.0, 1.0]).all()


@given(values, st.integers(1, 4))
def test_held_values_repeat(inputs, hold):
    for make in (Current, Population):
        once, held = make().encode(inputs, rng(), DT), make(hold=hold).encode(inputs, rng(), DT)
        np.testing.assert_array_equal(held, np.repeat(once, hold, axis=0))
    np.testing.assert_array_equal(Current().encode(inputs, rng(), DT), inputs)


@given(values)
def test_on_and_off_parts_make_the_value(inputs):
    on, off = np.split(on_off(inputs, True), 2, axis=-1)
    np.testing.assert_array_equal(on - off, inputs)
    assert not (on * off).any()
    np.testing.assert_array_equal(on_off(inputs, False), on)


# Poisson


@pytest.mark.parametrize("value", [1.0, 0.5, -0.8])
def test_spike_counts_have_binomial_moments(value):
    n, trials = 100, 4000
    encoder = Poisson(rate=400.0, hold=n)
    counts = encoder.encode(constant(value, 1, trials), rng(1), DT).sum(axis=0)  # (trials, 2)
    p = abs(value) * 400.0 * DT
    line = 0 if value > 0 else 1
    assert not counts[:, 1 - line].any()
    mean, variance = n * p, n * p * (1 - p)
    assert abs(counts[:, line].mean() - mean) < 4 * np.sqrt(variance / trials)
    # the sample variance of a near-normal count has a relative error of sqrt(2 / trials)
    assert counts[:, line].var() == close(variance, rel=4 * np.sqrt(2 / trials))


def test_spikes_are_independent_of_step_sequence_and_line():
    spikes = Poisson(rate=300.0).encode(np.full((2000, 2, 2), 1.0), rng(2), DT)[:, :, :2]
    centred = (spikes - spikes.mean(axis=0)) / spikes.std(axis=0)
    bound = 4 / np.sqrt(2000)
    assert abs(np.mean(centred[1:] * centred[:-1])) < bound
    assert abs(np.mean(centred[:, 0] * centred[:, 1])) < bound
    assert abs(np.mean(centred[..., 0] * centred[..., 1])) < bound


def test_values_are_read_back_from_the_rates():
    u = np.linspace(-1, 1, 9)
    encoder = Poisson(rate=500.0, hold=20_000)
    on, off = np.split(encoder.encode(u[None, None, :], rng(3), DT)[:, 0].mean(axis=0), 2)
    p = np.abs(u) * 0.5
    error = np.abs((on - off) / (500.0 * DT) - u)
    assert (error <= 4 * np.sqrt(p * (1 - p) / 20_000) / 0.5).all()


def test_the_numbers_drawn_depend_on_neither_rate_nor_sign():
    u = rng(4).uniform(-1, 1, (50, 3, 2))
    both, on = Poisson().encode(u, rng(5), DT), Poisson(signed=False).encode(u, rng(5), DT)
    np.testing.assert_array_equal(both[..., :2], on)
    fast = Poisson(rate=900.0).encode(u, rng(5), DT)
    assert ((fast - both) >= 0).all()  # a higher rate only adds spikes
    assert (fast != both).any()


def test_more_than_one_spike_a_step_is_refused():
    Poisson(rate=1000.0).check(1e-3)
    with pytest.raises(ValueError, match=r"1 kHz at steps of 2 ms is 2 spikes a step.*500 Hz"):
        Poisson(rate=1000.0).check(2e-3)
    with pytest.raises(InputError, match=r"a value of 2 needs 1\.8 spikes a step"):
        Poisson(rate=900.0).encode(constant(-2.0), rng(), DT)
    silent = Poisson(rate=900.0, signed=False).encode(constant(-2.0), rng(), DT)
    assert not silent.any()


# Latency


@given(st.floats(0.0, 1.0), st.floats(0.05, 0.9), st.floats(2e-3, 50e-3))
def test_the_spike_comes_when_the_charging_integrator_passes_theta(u, theta, tau):
    encoder = Latency(tau=tau, theta=theta, hold=60)
    spikes = encoder.encode(constant(u), rng(), DT)[:, 0]
    assert not spikes[:, 1].any()
    v = u * (1 - np.exp(-np.arange(61) * DT / tau))  # the membrane at the steps' borders
    crossed = (v[:-1] < theta) & (v[1:] >= theta)
    assume(np.abs(v - theta).min() > 1e-9)  # a passage on the border itself may round either way
    np.testing.assert_array_equal(spikes[:, 0], crossed)


@given(st.floats(0.31, 1.0), st.sampled_from([-1.0, 1.0]))
def test_the_value_is_read_back_from_the_latency_to_a_step(u, sign):
    tau, theta = 20e-3, 0.3
    spikes = Latency(tau=tau, theta=theta, hold=1000).encode(constant(sign * u), rng(), DT)[:, 0]
    (step,), (line,) = np.nonzero(spikes)
    assert line == (0 if sign > 0 else 1)
    low = theta / -np.expm1(-(step + 1) * DT / tau)
    high = theta / -np.expm1(-step * DT / tau) if step else np.inf
    assert low * (1 - 1e-12) <= u <= high * (1 + 1e-12)


def test_larger_values_spike_earlier_and_small_ones_never():
    u = np.linspace(0, 1, 101)
    spikes = Latency(theta=0.2, hold=300).encode(u[None, None, :], rng(), DT)[:, 0, :101]
    assert not spikes[:, u <= 0.2].any()
    when = spikes[:, u > 0.201].argmax(axis=0)
    assert (spikes[:, u > 0.201].sum(axis=0) == 1).all()
    assert (np.diff(when) <= 0).all()
    assert when[-1] < when[0]


def test_one_spike_for_each_new_value_or_for_each_step():
    u = np.array([1.0] * 10 + [0.0] * 5 + [1.0] * 10 + [0.6] * 10)[:, None, None]
    late = {a: int(-20.0 * np.log1p(-0.2 / a)) for a in (1.0, 0.6)}  # 4 and 8 ms
    once = Latency(theta=0.2).encode(u, rng(), DT)[:, 0, 0]
    assert np.flatnonzero(once).tolist() == [late[1.0], 15 + late[1.0], 25 + late[0.6]]
    held = Latency(theta=0.2, hold=2).encode(u, rng(), DT)[:, 0, 0]  # twice the steps, the same latencies
    assert np.flatnonzero(held).tolist() == [late[1.0], 30 + late[1.0], 50 + late[0.6]]
    each = Latency(theta=0.2, hold=6, each="step").encode(u, rng(), DT)[:, 0, 0]  # 0.6 spikes too late for 6 ms
    assert np.flatnonzero(each).tolist() == [6 * t + late[1.0] for t in range(25) if u[t, 0, 0] == 1.0]


def test_impossible_latencies_are_refused():
    Latency(tau=2e-3).check(DT)
    with pytest.raises(ValueError, match=r"tau 1 ms is no longer than a step of 1 ms"):
        Latency(tau=1e-3).check(DT)
    Latency(each="step", hold=5).check(DT)
    with pytest.raises(ValueError, match=r"spikes after 4\.46 ms, but a step of the task lasts 4 ms"):
        Latency(each="step", hold=4).check(DT)
    with pytest.raises(ValidationError, match="raise hold"):
        Latency(each="step")


# Population


def test_tuning_curves_have_their_centres_and_widths():
    u = np.linspace(-1.5, 1.5, 301)
    rates = Population(n=5, width=0.4).encode(u[None, None, :], rng(), DT).reshape(301, 5)
    for j, centre in enumerate([-1.0, -0.5, 0.0, 0.5, 1.0]):
        np.testing.assert_allclose(rates[:, j], np.exp(-((u - centre) ** 2) / (2 * 0.16)), rtol=1e-12)


@given(st.floats(-0.5, 2.0), st.integers(2, 9))
def test_the_value_is_read_back_from_two_neighbouring_curves(u, n):
    # ln(r_1 / r_2) = (c_2 - c_1) (c_1 + c_2 - 2 u) / (2 width^2), and unset the width is c_2 - c_1
    rates = Population(n=n, low=-0.5, high=2.0).encode(constant(u), rng(), DT)[0, 0]
    centres = np.linspace(-0.5, 2.0, n)
    j = int(np.clip(np.searchsorted(centres, u), 1, n - 1))
    width = 2.5 / (n - 1)
    decoded = 0.5 * (centres[j - 1] + centres[j]) - width * np.log(rates[j - 1] / rates[j])
    assert decoded == pytest.approx(u, abs=1e-9)


def test_lines_of_a_value_stand_together():
    rates = Population(n=2, width=1.0).encode(np.array([[[-1.0, 1.0]]]), rng(), DT)[0, 0]
    assert rates.round(6).tolist() == [1.0, round(np.exp(-2), 6), round(np.exp(-2), 6), 1.0]


# Tasks behind an encoder

TASKS = [
    Copy(CopyConfig(test_size=5)),
    TemporalXor(TemporalXorConfig(test_size=8)),
    DelayedMatch(DelayedMatchConfig(test_size=8)),
    Sine(SineConfig(steps=40, onset=4, periods=(10, 17), test_size=4)),
    MackeyGlass(MackeyGlassConfig(train_length=300, test_size=3)),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("hold", [1, 3])
def test_an_encoded_task_is_the_same_task(task, hold):
    for encoder in kinds(hold):
        wrapped = Encoded(task, encoder, DT)
        pairs = [(wrapped.sample(rng(7), 4), task.sample(rng(7), 4)), (wrapped.test(rng(8)), task.test(rng(8)))]
        for batch, plain in pairs:
            assert batch.raw is not None
            for part in ("inputs", "targets", "mask"):
                np.testing.assert_array_equal(getattr(batch.raw, part), getattr(plain, part))
            B = plain.inputs.shape[1]
            assert batch.inputs.shape == (task.steps * hold, B, encoder.lines(task.inputs))
            assert batch.inputs.shape == (wrapped.steps, B, wrapped.inputs)
            np.testing.assert_array_equal(batch.targets, np.repeat(plain.targets, hold, axis=0))
            np.testing.assert_array_equal(batch.mask[hold - 1 :: hold], plain.mask)
            assert batch.mask.sum() == plain.mask.sum()
        assert (wrapped.name, wrapped.outputs, wrapped.forecast) == (task.name, task.outputs, task.forecast)
        assert wrapped.config is task.config
        assert wrapped.fingerprint() == task.fingerprint()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_outputs_score_what_they_score_without_an_encoder(task):
    wrapped = Encoded(task, Poisson(hold=4), DT)
    batch, plain = wrapped.test(rng(9)), task.test(rng(9))
    right = wrapped.score(batch.targets, batch)
    assert right == task.score(plain.targets, plain)
    assert right["loss"] == 0.0
    y = rng(10).normal(size=batch.targets.shape)  # only the last of every four steps counts
    assert wrapped.score(y, batch) == task.score(y[3::4], plain)
    still, held = task.persistence(plain), wrapped.persistence(batch)
    assert (still is None) == (held is None)
    if still is not None and held is not None:
        assert wrapped.score(held, batch) == task.score(still, plain)


def test_spikes_differ_between_batches_and_come_back_with_the_stream():
    wrapped = Encoded(Sine(SineConfig()), Poisson(), DT)
    streams = Streams(0)
    one, again = (wrapped.sample(streams.generator("data", 1), 2).inputs for _ in range(2))
    other = wrapped.sample(streams.generator("data", 2), 2).inputs
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()  # the raw sequences are all the same: only the spikes are drawn


def test_currents_at_the_task_s_own_pace_need_no_wrapper():
    task = Copy(CopyConfig())
    assert encoded(task, Current(), DT) is task
    assert isinstance(encoded(task, Current(hold=2), DT), Encoded)
    assert isinstance(encoded(task, Population(), DT), Encoded)


def test_what_an_encoder_refuses_its_wrapper_refuses():
    with pytest.raises(ValueError, match="spikes a step"):
        encoded(Copy(CopyConfig()), Poisson(rate=2000.0), DT)


def test_a_batch_from_elsewhere_is_refused():
    task = Copy(CopyConfig())
    wrapped, plain = Encoded(task, Poisson(), DT), task.test(rng())
    with pytest.raises(ValueError, match="before an encoder"):
        wrapped.score(plain.targets, plain)
    with pytest.raises(ValueError, match="before an encoder"):
        wrapped.persistence(plain)


# Options


class Config(Section):
    encoder: Annotated[Encoder, Chosen("name", ENCODERS, default="current")] = Current()


@pytest.fixture
def registered(monkeypatch):
    """The four encoders under their names, whatever is installed."""
    known = {kind.model_fields["name"].default: kind for kind in (Current, Poisson, Latency, Population)}
    monkeypatch.setattr(ENCODERS, "_registered", known)


@pytest.mark.usefixtures("registered")
def test_encoders_are_chosen_by_name_and_come_back_from_a_file():
    text = "encoder: {name: poisson, rate: 0.3 kHz, hold: 2}"
    config = validate(parse(text, "run.yaml"), Config)
    assert config.encoder == Poisson(rate=300.0, hold=2)
    for encoder in (config.encoder, Latency(tau=3e-3), Population(n=4), Current()):
        written = dump({"encoder": encoder.model_dump(mode="json")})
        assert validate(parse(written, "run.yaml"), Config).encoder == encoder
    assert validate(parse("encoder: {}", "run.yaml"), Config).encoder == Current()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: poisson, rate: 200}", "has no unit; write e.g. '10 MHz'"),
        ("{name: poisson, rate: 0 Hz}", "not above zero"),
        ("{name: latency, tau: 20 Hz}", "is not a time"),
        ("{name: latency, theta: 1.0}", "must be below 1"),
        ("{name: population, n: 1}", "must be at least 2"),
        ("{name: population, low: 1.0}", "low 1.0 is not below high 1.0"),
        ("{name: current, hold: 0}", "must be at least 1"),
        ("{name: current, rate: 200 Hz}", "unknown key"),
        ("{name: poison}", "did you mean 'poisson'"),
    ],
)
def test_bad_options_are_refused(text, said):
    with pytest.raises(InputError) as caught:
        validate(parse(f"encoder: {text}", "run.yaml"), Config)
    assert said in "\n".join(caught.value.problems)


@pytest.mark.parametrize("kind", [Current, Poisson, Latency, Population])
def test_every_option_is_described(kind):
    assert all(field.description for name, field in kind.model_fields.items() if name != "name")
