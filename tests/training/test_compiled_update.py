"""A whole update in a few compiled calls against the general path, which does it step by step."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import torch

from neuroanp.kernels import updates
from neuroanp.profiles import available
from neuroanp.substrates.chip_reads import ReadChip
from neuroanp.training import compiled_update, plain_form
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.plain_form import plain
from tests.close import close

from .test_resume import same

BASE = {
    "task": {"name": "copy", "length": 3, "delay": 5, "symbols": 2, "test_size": 4},
    "network": {"hidden": 9},
    "rule": {"name": "anp"},
    "perturbation": {"name": "gaussian"},
    "training": {"updates": 3, "batch": 3, "controls": False},
}
WAVE = {"name": "mackey_glass", "steps": 40, "washout": 3, "train_length": 200, "test_size": 1}
RULES = {
    "two": {"reference": "two", "K": 2},
    "pair": {"reference": "two"},
    "mean": {"reference": "mean", "K": 4},
    "silent": {"reference": "silent", "K": 3},
    "mirrored": {"reference": "antithetic", "K": 2},
    "discounted": {"gamma": 0.9, "reference": "mean"},
    "own step": {"gamma": 0.0},
    "trial": {"loss": "trial"},
    "by layer": {"norm": "layer", "damping": 1e-3, "scale": "all"},
    "damped": {"damping": 1e-3, "scale": "one"},
    "never": {"eps": 1e3},
    "told": {"readout": "delta", "reference": "mean", "K": 2},
    "told one": {"readout": "delta", "reference": "silent", "K": 2},
    "inferred": {"readout": "delta", "errors": "inferred", "K": 2},
    "inferred, mean": {"readout": "delta", "errors": "inferred", "reference": "mean", "K": 3},
    "told, least squares": {"readout": "rls", "gamma": 0.0, "reference": "two"},
}
MORE = {
    "plain": {},
    "bias": {"network.bias": True},
    "one": {"training.batch": 1},
    "wave": {"task": WAVE},
    "wide": {"task": {"name": "copy", "length": 2, "delay": 1, "symbols": 20, "test_size": 4}, "network.bias": True},
    "long": {"task": {**WAVE, "steps": 90}, "training.batch": 100, "network.hidden": 13},
}


class General(PassLearner):
    """Takes the general path: what is not the learner itself is not taken for it."""


def ready(changes, general=False):
    made = build_trainer(Experiment.of(configure(BASE, changes)))
    return replace(made, learner=General(learner(made).rule)) if general else made


def learner(trainer) -> PassLearner:
    assert isinstance(trainer.learner, PassLearner)
    return trainer.learner


def is_plain(trainer) -> bool:
    lab = trainer.lab()
    return learner(trainer).form(lab) is not None and plain(lab)


def agree(found, expected):
    """To rounding: of sums over all steps, whose terms cancel."""
    assert found.arrays.keys() == expected.arrays.keys()
    for name, W in expected.arrays.items():
        assert found.arrays[name].shape == W.shape
        assert float((found.arrays[name] - W).norm()) <= 1e-4 * float(
            W.norm()
        )  # a few roundings of 1 in differences of .05
    assert found.diagnostics == close(expected.diagnostics)


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("rule", RULES)
def test_it_is_the_update_of_the_general_path(rule, more):
    """Of weights, and of the books of all that is read."""
    changes = {**MORE[more], **{f"rule.{key}": value for key, value in RULES[rule].items()}}
    changes["perturbation.sigma"] = 0.05
    fast, slow = (ready(changes, general) for general in (False, True))
    assert is_plain(fast)
    (state, found), (expected_state, expected) = (t.learner.learn(t.learned, t.lab()) for t in (fast, slow))
    agree(found, expected)
    assert found.steps.keys() == expected.steps.keys() == ({"w_out"} if rule.endswith("squares") else set())
    assert state.keys() == expected_state.keys()
    for name, R in expected_state.items():
        assert float((state[name] - R).norm()) <= 4e-5 * float(R.norm())
    assert fast.substrate.ledger.report() == slow.substrate.ledger.report()


@pytest.mark.parametrize("more", ["plain", "bias", "long"])
def test_books_are_those_of_the_general_path(more):
    """Of a profile that states how arrays are read, its noise and converters aside."""
    changes = {**MORE[more], "profile": "pcm", "hardware.only": ["write_noise"]}
    fast, slow = (ready(changes, general) for general in (False, True))
    assert is_plain(fast)
    assert isinstance(fast.substrate, ReadChip)
    assert fast.substrate.weighs_reads
    agree(*(trainer.learner.learn({}, trainer.lab())[1] for trainer in (fast, slow)))
    found, expected = (trainer.substrate.ledger.report() for trainer in (fast, slow))
    assert found["energy"]["array_reads"] == close(expected["energy"]["array_reads"])
    assert {**found, "energy": 0, "energy_J": 0} == {**expected, "energy": 0, "energy_J": 0}


DEVICES = {
    "profile": {},
    "bias, one sequence": {"network.bias": True, "training.batch": 1},
    "wide, mean": {**MORE["wide"], "rule.reference": "mean", "rule.K": 4, "network.hidden": 70},
    "silent, many rows": {"rule.reference": "silent", "training.batch": 30},
    "silent, noisy units": {"rule.reference": "silent", "perturbation": {"name": "gaussian", "sigma": 0.02}},
    "rows of normals": {"training.batch": 300, "task.delay": 1, "rule.loss": "trial"},
    "own step": {"rule.gamma": 0.0},
    "told": {"rule.readout": "delta", "network.bias": True},
}


def on_device(profile, more):
    """Return an update of the compiled loops and of the general path, each with its trainer."""
    base = {key: value for key, value in BASE.items() if key != "perturbation"}
    fast, slow = (build_trainer(Experiment.of(configure({**base, "profile": profile}, more))) for _ in range(2))
    slow = replace(slow, learner=General(learner(slow).rule))
    fast.step()  # noise that stands still, and drift
    slow.load_state_dict(fast.state_dict())
    assert is_plain(fast)
    for made in (fast, slow):
        yield made, made.learner.learn({}, made.lab())[1]


def same_books(fast, slow):
    """To the bit but for energy, a sum that is taken in another order."""
    assert fast.substrate.ledger.conversions == slow.substrate.ledger.conversions
    found, expected = (trainer.substrate.ledger.report() for trainer in (fast, slow))
    assert found["energy"] == {kind: None if J is None else close(J) for kind, J in expected["energy"].items()}
    assert {**found, "energy": 0, "energy_J": 0} == {**expected, "energy": 0, "energy_J": 0}


@pytest.mark.parametrize("more", DEVICES)
@pytest.mark.parametrize("profile", [name for name in available() if name != "sram_cim"])  # read bit by bit
def test_on_devices_it_is_the_update_of_the_general_path(profile, more):
    """Of arrays with read noise, converters, tiles and drivers' noise, of junctions, and of the books of reads."""
    (fast, found), (slow, expected) = on_device(profile, DEVICES[more])
    agree(found, expected)
    same_books(fast, slow)


@pytest.mark.parametrize("profile", ["pcm", "pcm_tiles"])
def test_mirrored_units_beside_reads_that_are_not(profile):
    changes = {"rule.reference": "antithetic", "perturbation": {"name": "gaussian", "sigma": 0.02}}
    (fast, found), (slow, expected) = on_device(profile, changes)
    agree(found, expected)
    same_books(fast, slow)


@pytest.mark.parametrize(
    "only",
    [["adc", "thermal_noise", "amplifier_noise"], ["dac", "dac_noise"], ["adc_mismatch"], ["read_noise"], ["adc"]],
)
def test_each_part_of_a_read_may_be_alone(only):
    (fast, found), (slow, expected) = on_device("pcm_tiles", {"network.hidden": 70, "hardware.only": only})
    agree(found, expected)
    same_books(fast, slow)


def test_conversions_that_clip_are_counted(tmp_path):
    profile = tmp_path / "narrow.yaml"
    meta = "{name: narrow, summary: s, source: bench, status: illustrative}"
    profile.write_text(f"extends: pcm\nmeta: {meta}\nperiphery: {{adc: {{full_scale: 2 uA}}}}\n")
    (fast, found), (slow, expected) = on_device(str(profile), {})
    agree(found, expected)
    same_books(fast, slow)
    assert 0.01 < fast.substrate.ledger.report()["clipped"] < 0.99


BOTH = """extends: pcm
meta: {name: both, summary: s, source: bench, status: illustrative}
stochastic:
  {law: koenders, mean: 42 mV, sigma_white: 1 mV, amplitude: 6 mV, flip: 0.08, n_sources: 2, kappa: 1,
   volts_per_unit: 0.3 V, energy_per_bit: 20 fJ}
"""


SLOW = {
    "rtn": "{law: rtn, tau_high: 1 s, tau_low: 1 s, amplitude: 20 mV, n_sources: 1, kappa: 1, volts_per_unit: 0.3 V}",
    "one_over_f": "{law: one_over_f, f_low: 1 Hz, f_high: 100 kHz, amplitude: 20 mV, n_sources: 1, kappa: 1, "
    "volts_per_unit: 0.3 V}",
}


@pytest.mark.parametrize("law", SLOW)
@pytest.mark.parametrize("more", ["profile", "bias, one sequence"])
def test_what_is_slower_than_a_presentation_is_common_to_passes(law, more, tmp_path):
    profile = tmp_path / "slow.yaml"
    meta = "{name: slow, summary: s, source: bench, status: illustrative}"
    profile.write_text(f"extends: ideal\nmeta: {meta}\nstochastic: {SLOW[law]}\n")
    (_, found), (_, expected) = on_device(str(profile), {**DEVICES[more], "rule.damping": 1e-6})
    if law == "one_over_f":  # most of it is slow, and what is left tells passes apart
        agree(found, expected)
        return
    for update in (found, expected):  # nothing differs but roundings, 1e-7 each: no signal, on any processor
        assert all(float(W.norm()) < 1e-6 for W in update.arrays.values())


def test_no_memory_is_read_before_it_is_written():
    """Of passes without noise, whose drivers add none: what lies in memory that others gave back is not 0."""
    changes = {**DEVICES["silent, many rows"], "network.hidden": 70}
    trainer, _ = on_device("pcm_tiles", changes)
    found = []
    for _ in range(4):
        junk = [np.full(size, np.nan, np.float32) for size in range(1000, 400_000, 7919)]
        del junk
        found.append(trainer[0].learner.learn({}, trainer[0].lab())[1])
    assert all(same(found[0].arrays, each.arrays) for each in found)


@pytest.mark.parametrize("more", ["profile", "bias, one sequence"])
def test_arrays_and_junctions_are_noisy_together(more, tmp_path):
    profile = tmp_path / "both.yaml"
    profile.write_text(BOTH)
    (fast, found), (slow, expected) = on_device(str(profile), DEVICES[more])
    agree(found, expected)
    same_books(fast, slow)


@pytest.mark.parametrize("profile", ["ideal", "pcm_tiles", "rram_wan", "smtj_koenders"])
def test_stretches_of_time_follow_one_another(profile, monkeypatch):
    """Their noise is that of their steps, and units go on from where they were."""
    monkeypatch.setattr(plain_form, "block_steps", lambda batch: 7)
    monkeypatch.setattr(compiled_update, "NEAR", 4 * 2 * 3 * 9 * 3)  # noise of three steps is drawn at once
    (_, found), (slow, expected) = on_device(profile, {"perturbation": {"name": "gaussian", "sigma": 0.02}})
    assert slow.lab().steps == 11
    agree(found, expected)


@pytest.mark.parametrize("profile", ["ideal", "pcm_tiles", "rram_wan", "smtj_koenders"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_bits_do_not_depend_on_chunk_and_memory(share, profile, monkeypatch):
    """Nor on what is stored of the passes: none of them, the last ones, or all."""
    monkeypatch.setattr(plain_form, "block_steps", lambda batch: 7)  # several stretches, the last of them short
    monkeypatch.setattr(compiled_update, "NEAR", 4 * 2 * 100 * 13 * 3)  # noise of three steps is drawn at once
    changes = {**MORE["long"], "rule.reference": "mean", "profile": profile}
    found = ready(changes)
    other = ready({**changes, "training.chunk": 7})
    other.memory = int(share * learner(other).stored_bytes(other.lab()))
    steps = other.lab().steps
    assert 0 < learner(other).plan_of(other.lab()).replayed < steps or share == 0
    assert steps > 2 * 7
    for trainer in (found, other):
        for _ in range(2):
            trainer.step()
    assert same(found.state_dict(), other.state_dict())


def test_an_only_stretch_is_never_run_twice(monkeypatch):
    """It would take as much memory then."""
    trainer, asked = ready({}), []
    trainer.memory = 0
    plain = updates.forward
    monkeypatch.setattr(updates, "forward", lambda *args: (asked.append(1), plain(*args)))
    trainer.step()
    assert len(asked) == 1


def test_nothing_scored_is_no_error_of_its_own():
    fast, slow = ready({}), ready({}, True)
    for trainer in (fast, slow):
        lab = trainer.lab()
        update = trainer.learner.learn({}, replace(lab, mask=torch.zeros_like(lab.mask)))[1]
        assert isnan(float(update.diagnostics["loss"]))


def test_a_source_may_lie_in_memory_as_it_likes():
    trainer = ready({})
    lab = trainer.lab()
    turned = replace(lab, source=lab.source.transpose(0, 1).contiguous().transpose(0, 1))
    agree(trainer.learner.learn({}, turned)[1], trainer.learner.learn({}, lab)[1])


@pytest.mark.parametrize("profile", ["ideal", "pcm_tiles"])
def test_bits_do_not_depend_on_threads(profile):
    from threadpoolctl import threadpool_limits

    changes = {**MORE["long"], "network.hidden": 70, "profile": profile}
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            trainer = ready(changes)
            trainer.step()
            found.append(trainer.state_dict())
    assert same(*found)


def test_blas_gets_its_threads_back():
    from threadpoolctl import threadpool_info, threadpool_limits

    from neuroanp.kernels.blas import one_thread

    def threads():
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with one_thread():
            assert set(threads()) == {1}
        assert threads() == before


def test_arrays_that_do_not_learn_cost_nothing():
    trainer = replace(ready({}), trained=frozenset({"w_out"}))
    update = trainer.learner.learn({}, trainer.lab())[1]
    whole = ready({})
    assert torch.equal(update.arrays["w_out"], whole.learner.learn({}, whole.lab())[1].arrays["w_out"])
    assert not update.arrays["w"].any()
    assert not update.arrays["w_in"].any()


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "pcm", "hardware.read": "sampled"},
        {"profile": "sram_cim"},
        {"compute.dtype": "float64"},
        {"rule.credit": "batch"},
        {"rule.control_variate": "batch"},
        {"rule.difference": "innovation"},
        {"network": {"layers": [{"cell": "leaky_tanh", "units": 4}]}},
        {"network": {"layers": [{"units": 4}, {"units": 5}]}},
        {"rule": {"name": "np"}},
        {"network.hidden": 725},
    ],
)
def test_all_else_takes_the_general_path(changes, monkeypatch):
    trainer = ready(changes)
    assert not is_plain(trainer)
    monkeypatch.setattr(compiled_update, "CompiledUpdate", None)
    trainer.step()
