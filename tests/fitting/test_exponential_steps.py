"""Steps that go with conductance as exponentials: found again, chosen by likelihood, turned into the law's numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.data import synthesize
from neuroanp.devices.ecram import LinearStep
from neuroanp.devices.exponential_step import ExponentialStep
from neuroanp.devices.protocol import Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.errors import InputError
from neuroanp.fitting import Fit, Options, bent_steps, fit_file, profile_text, pulse
from neuroanp.fitting.kalman import Form, Trains, bent, mean_step, score
from neuroanp.fitting.steps import Steps
from neuroanp.profiles import loads
from tests.close import close

SPAN = Span(20e-6, 80e-6)
TOLD = Options(g_min=SPAN.g_min, g_max=SPAN.g_max)
FALLING = {"dw": 0.012, "A_up": 0.2, "A_down": 0.15, "gamma_up": 1.5, "gamma_down": 2.0, "a": 1.0}
RISING = {"dw": 0.006, "up_down": 0.2, "A_up": -1.2, "A_down": -0.3, "gamma_up": 2.0, "gamma_down": 2.5, "a": -1.0}
"""Steps that vanish ahead of a bound, and steps that are the larger the further behind it is."""
KEYS = ("dw", "up_down", "c2c", "A_up", "A_down", "gamma_up", "gamma_down")


def law_of(numbers: dict[str, float], scatter: float) -> ExponentialStep:
    more = {"bound_up": 1.0, "bound_down": 1.0, "b": 0.0, "c2c": 0.3, "tolerance": 0.02, "max_pulses": 1000}
    return ExponentialStep(**{**numbers, **more}, write_noise=2 * scatter / numbers["dw"])


def fit(law: PulsedLaw, seed: int, folder: Path, options: Options = TOLD, devices: int = 1) -> Fit:
    path, rng = folder / "p.csv", np.random.default_rng(seed)
    path.write_text(synthesize.as_csv(synthesize.pulse(law, devices, 2, 250, SPAN, rng), digits=9))
    return fit_file(path, "pulse", options)


@pytest.mark.parametrize(
    ("numbers", "scatter"),
    [
        (FALLING, 0.001),
        pytest.param(FALLING, 0.03, marks=pytest.mark.slow),
        pytest.param(RISING, 0.01, marks=pytest.mark.slow),
    ],
)
def test_exponentials_are_chosen_and_given_back(numbers: dict[str, float], scatter: float, tmp_path: Path) -> None:
    found, law = fit(law_of(numbers, scatter), 0, tmp_path), law_of(numbers, scatter)
    assert (found.law, found.base, found.doubts) == ("exponential_step", "rram_es", ())
    assert any(note.startswith("exponential_step was chosen: its ln L is") for note in found.notes)
    for key in KEYS:  # intervals made twice as wide: this is one record
        p, true = found[key], getattr(law, key)
        assert abs(p.value - true) < p.high - p.low, key
    profile = loads(profile_text(found, "mine", "2026-02-03"))
    assert isinstance(profile.update, ExponentialStep)
    assert profile.update.a * numbers["a"] > 0
    # the steps of the profile are those of the law, wherever a device stands
    w = torch.linspace(-0.7, 0.7, 8, dtype=torch.float64)
    for rises in (True, False):
        steps = [_step(of, w, rises) for of in (law, profile.update)]
        assert (steps[1] - steps[0]).abs().max() < 0.25 * steps[0].max()


def _step(law: PulsedLaw, w: torch.Tensor, rises: bool) -> torch.Tensor:
    """Mean steps of a device of a law at w."""
    cells = law.sample((1, 1, 1), np.random.default_rng(0), frozenset(), torch.zeros(0, dtype=torch.float64))
    own = [cells[name].flatten().expand_as(w) for name in ("up", "down", "w_max", "w_min")]
    return (law.step(w, torch.full_like(w, 1.0 if rises else -1.0), *own, torch.zeros_like(w)) - w).abs()


@pytest.mark.slow
def test_straight_lines_are_not_bent_by_chance(tmp_path: Path) -> None:
    law = LinearStep(
        dw=0.006, bound_up=1.0, bound_down=1.0, gamma_up=0.1153, gamma_down=0.5085, noise="multiplicative", c2c=0.3,
        tolerance=0.02, max_pulses=1000, write_noise=10.0,
    )  # fmt: skip
    assert [fit(law, seed, tmp_path).law for seed in range(2)] == ["linear_step"] * 2


@pytest.mark.parametrize(
    ("own", "gamma", "fits"),
    [
        ([0.010, 0.003, 0.009, 0.002], (1.5, -2.0), True),  # S is 0.012 and 0.010
        ([0.010, 0.003, 0.009, 0.002], (1.5, 2.0), False),  # the law has one sign of a for both
        ([0.010, 0.030, 0.009, 0.002], (-1.5, 2.0), False),  # S+ is -0.010
        ([0.010, 0.003, 0.009, -0.030], (1.5, -2.0), False),  # S- is -0.006
        ([0.010, 0.003, 0.009, 0.002], (1e-3, -2.0), False),  # S+ is 3: a straight line
    ],
)
def test_only_what_the_law_can_hold_is_admitted(own: list[float], gamma: tuple[float, float], fits: bool) -> None:
    form, none = Form(True, False, bent=True), np.zeros((1, 4, 4))
    model = Steps(np.array([own]), np.array([-1.0, *gamma]), form, none, none[..., :3], np.eye(3), 0.0, 100)
    assert bent_steps._admitted(model) == fits


def test_a_record_that_does_not_bend_so_is_refused_in_its_own_words(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pulse, "bent_fit", lambda trains, near: None)
    with pytest.raises(InputError, match=r"p.csv: conductance_uS: the steps do not bend as exponential_step has it"):
        fit(law_of(FALLING, 0.01), 0, tmp_path, Options(law="exponential_step"))


@pytest.mark.slow
def test_several_devices_have_spreads(tmp_path: Path) -> None:
    law = law_of(FALLING, 0.003).model_copy(update={"dw_d2d": 0.15})
    found = fit(law, 3, tmp_path, devices=6)
    assert found.law == "exponential_step"
    assert found["dw"].low < law.dw < found["dw"].high
    assert found["dw_d2d"].low < 0.15 < found["dw_d2d"].high


def test_bent_lines_are_straight_without_exponents() -> None:
    w = np.linspace(-1, 1, 9)
    assert bent(w, np.zeros(9))[0].tolist() == close(w.tolist())
    for gamma in (1e-9, 1e-6, 0.3, -2.0):
        h, slope = bent(w, np.full(9, gamma))
        told = np.array([x * sum((gamma * x) ** k / np.prod(np.arange(1.0, k + 2)) for k in range(30)) for x in w])
        assert np.abs(h - told).max() < 1e-12
        assert slope.tolist() == close(np.exp(gamma * w).tolist())


def test_the_gradient_in_the_exponents_is_that_of_the_likelihood() -> None:
    rng = np.random.default_rng(0)
    v = np.cumsum(rng.standard_normal((80, 2)), axis=0) / 20
    direction = np.where(np.arange(79) % 20 < 10, 1.0, -1.0)[:, None] * np.ones((1, 2))
    trains = Trains(v, direction, direction != 0, v[:-1] * 0.9)
    form = Form(True, True, bent=True)
    assert form.bends == slice(1, 3)
    own = np.tile([0.05, 0.02, 0.04, 0.01], (2, 1))
    shared = np.array([np.log(0.3), 0.7, -0.4, np.log(0.02)])
    gradient = score(trains, own, shared, form)[1].sum(0)
    for place in range(4):
        step = 1e-5 * np.eye(4)[place]
        up, down = (score(trains, own, shared + sign * step, form)[0] for sign in (1, -1))
        assert gradient[4 + place] == close((up - down) / 2e-5, rel=1e-4)


def test_the_law_says_what_the_lines_say() -> None:
    """s - k h(w) and S (1 - A e^(gamma w)) are the same steps, with errors that go along."""
    form, shared = Form(True, False, bent=True), np.array([-1.0, 1.5, -2.0])
    own = np.array([[0.010, 0.003, 0.009, 0.002]])
    model = Steps(own, shared, form, np.zeros((1, 4, 4)), np.zeros((1, 4, 3)), np.eye(3), 0.0, 100)
    whole = bent_steps._as_exponentials(model)
    w = np.linspace(-1, 1, 5)
    for at, sign, gamma in ((0, 1.0, 1.5), (2, -1.0, -2.0)):
        size, lost = whole.own[0, at], whole.own[0, at + 1]
        told = mean_step(own.T, w[:, None], np.full((5, 1), sign), shared[1:])[:, 0]
        assert (size - lost * np.exp(gamma * w)).tolist() == close((sign * told).tolist())
    nudged = bent_steps._as_exponentials(replace(model, shared=shared + np.array([0, 1e-6, 2e-6])))
    moved = (nudged.own - whole.own)[0] / 1e-6
    assert (whole.pull[0] @ [0, 1, 2]).tolist() == close(moved.tolist(), rel=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("scatter", [0.01, 0.03, 0.08])
def test_intervals_hold_the_truth(scatter: float, tmp_path: Path) -> None:
    law, trials, hits = law_of(FALLING, scatter), 100, Counter()
    told, refused = Options(law="exponential_step", g_min=SPAN.g_min, g_max=SPAN.g_max, anyway=True), 0
    for seed in range(1000, 1000 + trials):
        try:
            found = fit(law, seed, tmp_path, told)
        except InputError:
            refused += 1
            continue
        hits.update(key for key in KEYS if found[key].low <= getattr(law, key) <= found[key].high)
    assert refused <= 0.1 * trials
    # of reads that scatter by many steps the interval of c2c is too narrow, which a note says
    held = [key for key in KEYS if scatter < 0.08 or key != "c2c"]
    assert {key: hits[key] for key in held if hits[key] < 0.88 * (trials - refused)} == {}
