"""The control that trains the readout alone: the number of a whole training of it, at the cost of what is needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

from neuroanp.errors import DivergedError
from neuroanp.learning import passes
from neuroanp.learning.anp import ANP
from neuroanp.learning.echo import Echo
from neuroanp.learning.outputs import for_outputs
from neuroanp.records.shared import FOLDER
from neuroanp.tasks.copy import Copy
from neuroanp.training import pass_learner, presynaptic
from neuroanp.training.batches import ROOM, Batches
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.estimate import memory_of
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.launch import launch
from neuroanp.training.readout import key_of, readout_trainer

from .test_resume import SMALL

TWO = {"layers": [{"cell": "tanh", "units": 7}, {"cell": "gru", "units": 5}], "skip": True}
LIF = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}, "encoder": {"name": "poisson"}}
CASES: dict[str, dict[str, Any]] = {
    "mean": {},
    "discounted": {"rule.gamma": 0.8},
    "run twice": {"training.memory": "1 B", "training.chunk": 2},
    "trial": {"rule.loss": "trial"},
    "innovation": {"rule.difference": "innovation"},
    "paper": {"rule": {"name": "anp", "preset": "paper"}},
    "variate": {"rule.control_variate": "batch"},
    "sgd, clipped": {"optimizer": {"name": "sgd", "lr": 0.1, "clip": 0.05}},
    "np": {"rule": {"name": "np", "K": 3}},
    "np with a trace": {"rule": {"name": "np", "trace": "3 us"}},
    "bptt": {"rule": {"name": "bptt"}},
    "float64": {"compute.dtype": "float64"},
    "two layers": {"network": TWO},
    "pcm": {"profile": "pcm"},
    "smtj": {"profile": "smtj_koenders"},
    "lif": LIF,
    "told": {"rule.readout": "delta"},
    "told, two layers": {"rule.readout": "delta", "network": TWO},
    "told, least squares": {"rule.readout": "rls", "rule.forget": 0.9},
    "inferred": {"rule": {"name": "np", "readout": "delta", "errors": "inferred"}},
}  # fmt: skip
ECHO: dict[str, dict[str, Any]] = {
    "echo": {"rule": {"name": "echo", "lags": 3}},
    "echo, least squares": {"rule": {"name": "echo", "readout": "rls", "K": 2}},
    "echo, perturbed": {"rule": {"name": "echo", "readout": "perturb"}},
}
FLOAT64 = {**SMALL, "compute": {"dtype": "float64"}}


def experiment(changes: dict[str, Any]) -> Experiment:
    return Experiment.of(configure(SMALL, {"training.updates": 6, "training.controls": True, **changes}))


def held_out(trainer) -> HeldOutBatch:
    task = trainer.task
    return HeldOutBatch.of(task.test(trainer.streams.generator("test")), trainer.substrate.weights.like, task.loss)


@pytest.mark.parametrize("case", CASES)
def test_it_learns_what_a_whole_trainer_of_the_readout_learns(case):
    """The same bits: weights, moments and losses of each update, and the number that is reported."""
    of = experiment(CASES[case])
    whole, spared = build_trainer(of, trained=frozenset(of.network.readout)), readout_trainer(of, Batches(ROOM))
    for _ in range(6):
        assert whole.step() == spared.step()
    assert {n: W.tolist() for n, W in whole.substrate.weights.items()} == {
        n: W.tolist() for n, W in spared.substrate.weights.items()
    }
    assert {n: m.tolist() for n, m in whole.moments.items()} == {n: m.tolist() for n, m in spared.moments.items()}
    assert spared.test_loss(held_out(spared)) == whole.evaluate(held_out(whole)).test_loss


@pytest.mark.parametrize("case", ECHO)
def test_the_readout_beside_frozen_units_that_listen_is_the_same_to_rounding(case):
    of = experiment({**ECHO[case], "compute.dtype": "float64"})
    whole, spared = build_trainer(of, trained=frozenset(of.network.readout)), readout_trainer(of, Batches(ROOM))
    for _ in range(6):
        found, expected = spared.step(), whole.step()
        assert found["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-10, abs=0)
    for name, W in whole.substrate.weights.items():
        torch.testing.assert_close(spared.substrate.weights[name], W, rtol=1e-8, atol=0.0)


@pytest.mark.parametrize("case", ["mean", "np", "two layers", "lif"])
def test_it_forms_no_factor_and_no_product_of_arrays_that_do_not_learn(case, monkeypatch):
    general(monkeypatch)
    of, widths, weigh = experiment(CASES[case]), Counter(), passes.weighted_sum

    def weighed(factor, d):
        widths[d.shape[-1]] += 1
        return weigh(factor, d)

    monkeypatch.setattr(passes, "weighted_sum", weighed)
    asked: list[str] = []
    lines = presynaptic.Presynaptic.by_array

    def by_array(self, network, learns):
        found = lines(self, network, learns)
        asked.extend(found)
        return found

    monkeypatch.setattr(presynaptic.Presynaptic, "by_array", by_array)
    readout_trainer(of, Batches()).step()
    assert set(widths) == {of.network.outputs}
    assert set(asked) == set(of.network.readout)


def general(monkeypatch):
    """Have updates made step by step, where one can look on."""
    monkeypatch.setattr(pass_learner, "plain", lambda lab: False)


def test_it_keeps_no_pass_until_the_last_loss_is_known(monkeypatch):
    general(monkeypatch)
    of = experiment({"training.memory": "1 B"})
    spared = readout_trainer(of, Batches())
    runs = []
    run = type(spared.backend).run
    monkeypatch.setattr(
        type(spared.backend), "run", lambda self, request: runs.append(request.keep) or run(self, request)
    )
    spared.step()
    assert runs == ["changes"]  # the run itself has to present everything twice: for losses, then for activities
    build_trainer(of).step()
    assert runs[1:] == ["loss", "changes"]


def test_it_books_no_read_and_lets_the_same_time_pass():
    of = experiment({"profile": "pcm"})
    whole, spared = build_trainer(of, trained=frozenset(of.network.readout)), readout_trainer(of, Batches())
    whole.step(), spared.step()
    first = readout_trainer(of, Batches()).substrate.ledger.reads
    assert spared.substrate.ledger.reads == first
    assert whole.substrate.ledger.reads > first
    assert spared.substrate.now == whole.substrate.now > 0


def test_a_run_and_its_control_draw_each_batch_once(tmp_path, monkeypatch):
    drawn: Counter[int] = Counter()
    sample = Copy.sample

    def counted(self, rng, batch):
        drawn[batch] += 1
        return sample(self, rng, batch)

    monkeypatch.setattr(Copy, "sample", counted)
    record = launch(experiment({}).config, tmp_path)
    assert "frozen_recurrence" in (record.result or {})["controls"]
    assert drawn[SMALL["training"]["batch"]] == 6


def test_batches_beyond_the_room_are_drawn_again_the_same():
    of = experiment({})
    one = build_trainer(of).lab().source
    size = build_trainer(of)._sample().size
    few = Batches(2 * size)
    for trainer in (replace(build_trainer(of), batches=few) for _ in range(2)):
        for update in range(4):
            trainer.update = update
            assert torch.equal(trainer.lab().source, one) == (update == 0)
    assert [*few._kept] == [0, 1]


SAME = [
    {"rule.gamma": 0.8}, {"training.evaluate_every": 7}, {"training.checkpoint_every": 3}, {"training.log_every": 2},
    {"training.evaluate_after": ["1 h"]},
]  # fmt: skip
OTHER = [
    {"seed": 1}, {"rule.K": 3}, {"rule.reference": "two"}, {"rule.norm": "layer"}, {"rule.difference": "innovation"},
    {"rule.loss": "trial"}, {"rule.damping": 1e-3}, {"rule": {"name": "np"}}, {"rule": {"name": "bptt"}},
    {"optimizer.lr": 2e-3}, {"optimizer.clip": 1.0}, {"training.updates": 7}, {"training.batch": 5},
    {"training.chunk": 2}, {"network.hidden": 13}, {"network.bias": False}, {"task.delay": 2}, {"profile": "pcm"},
    {"perturbation.sigma": 0.02}, {"compute.dtype": "float64"}, {"compute.threads": 2}, {"dt": "2 us"},
    {"profile": "pcm", "hardware.without": ["read_noise"]},
]  # fmt: skip


def test_runs_share_it_only_where_it_sees_no_difference():
    """Where keys are the same so is the number, to the bit; all keys of configurations that differ otherwise differ."""
    assert {key_of(experiment(changes)) for changes in [{}, *SAME]} == {key_of(experiment({}))}
    others = [key_of(experiment(changes)) for changes in [{}, *OTHER]]
    assert len(set(others)) == len(others)
    found = []
    for changes in [{}, *SAME]:
        trainer = build_trainer(of := experiment(changes), trained=frozenset(experiment(changes).network.readout))
        assert of.network.readout
        for _ in range(6):
            trainer.step()
        found.append(trainer.evaluate(held_out(trainer)).test_loss)
    assert len(set(found)) == 1


@pytest.mark.parametrize("readout", ["perturb", "delta", "rls"])
@pytest.mark.parametrize("hears", ["errors", "loss"])
def test_beside_echo_the_readout_alone_learns_with_the_options_that_it_has(readout, hears):
    """No more of them: what another readout has no use for is refused, of the control as of the rule."""
    own = {"forget": 0.5, "ridge": 0.01} if readout == "rls" else {}
    alone = for_outputs(Echo(readout=readout, hears=hears, K=3, eta=0.5, **own))
    assert alone == ANP(reference="mean", K=3, gamma=0.0, readout=readout, **own)
    for name, value in {"forget": 0.5, "ridge": 0.01}.items() if not own else ():
        with pytest.raises(ValueError, match=f"{name} changes nothing with readout '{readout}'; set readout 'rls'"):
            Echo(readout=readout, hears=hears, **{name: value})


class Derived(ANP):
    """Somebody's own: what its outputs see of a discount nobody knows."""


def test_a_rule_that_somebody_derived_stays_as_it_is():
    assert for_outputs(Derived(gamma=0.9)).gamma == 0.9
    assert for_outputs(ANP(gamma=0.9, loss="trial")) == ANP(gamma=0.0, loss="trial")


def test_a_second_run_takes_the_number_of_the_first_and_says_so(tmp_path, monkeypatch):
    first = launch(experiment({}).config, tmp_path)
    alone = launch(experiment({"rule.gamma": 0.5}).config, tmp_path / "alone")
    trained = []
    monkeypatch.setattr("neuroanp.training.loop.readout_trainer", lambda *_: trained.append(1))
    second = launch(experiment({"rule.gamma": 0.5}).config, tmp_path)
    numbers = [(record.result or {})["controls"]["frozen_recurrence"] for record in (first, second, alone)]
    assert not trained
    assert numbers[0] == numbers[1] == numbers[2]
    assert first.result is not None
    assert second.result is not None
    assert first.result["test_loss"] != second.result["test_loss"]
    said = [line for line in second.manifest["log"] if line.startswith("control ")]
    assert said == [f"control frozen_recurrence: the same for {first.path.name}, which computed it"]
    assert not [line for line in first.manifest["log"] if line.startswith("control ")]
    assert (tmp_path / FOLDER).is_dir()


def test_the_readout_need_not_be_trained_alone(tmp_path, monkeypatch):
    """Everything else comes out as it does with it, and nothing is kept for it meanwhile."""
    whole = launch(experiment({}).config, tmp_path / "whole").result or {}
    monkeypatch.setattr("neuroanp.training.loop.readout_trainer", lambda *_: pytest.fail("the readout was trained"))
    kept = []
    batches = "neuroanp.training.loop.Batches"
    monkeypatch.setattr(batches, lambda room: (kept.append(room), Batches(room))[1])
    other = experiment({"training.frozen": False})
    fitted = launch(other.config, tmp_path / "fitted").result or {}
    del whole["controls"]["frozen_recurrence"]
    assert {**fitted, "run": None} == {**whole, "run": None}
    assert kept == [0]
    assert key_of(other) == key_of(experiment({}))
    assert "frozen" not in experiment({}).config.to_yaml()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("frozen", False, False), ("controls", False, False), ("updates", 0, False), ("updates", 1, True)],
)
def test_when_the_readout_is_trained_alone(option, value, expected):
    """And only then is memory and time set aside for it."""
    training = experiment({}).config.training.model_copy(update={option: value})
    assert training.trains_readout is expected


def test_the_estimate_counts_what_the_control_takes():
    parts = {frozen: memory_of(experiment({"training.frozen": frozen})) for frozen in (True, False)}
    differ = {name for name in parts[True] if parts[True][name] != parts[False][name]}
    assert differ == {"control", "batches"}
    assert parts[False]["control"] == parts[False]["batches"] == 0


def test_a_run_that_is_forced_computes_it_again(tmp_path):
    config = experiment({}).config
    before = launch(config, tmp_path)
    (number,) = (tmp_path / FOLDER).glob("*/number.json")
    old = number.read_text()
    after = launch(config, tmp_path, force=True)
    assert number.read_text() != old  # made later
    assert before.result == after.result


def test_a_diverged_control_is_said_in_each_run_that_has_it(tmp_path, monkeypatch):
    def diverging(of, batches):
        trainer = readout_trainer(of, batches)
        trainer.step = lambda: (_ for _ in ()).throw(DivergedError("diverged at update 1 of 6"))
        return trainer

    monkeypatch.setattr("neuroanp.training.loop.readout_trainer", diverging)
    first = launch(experiment({}).config, tmp_path)
    monkeypatch.undo()
    second = launch(experiment({"rule.gamma": 0.5}).config, tmp_path)
    for record in (first, second):
        assert (record.result or {})["controls"]["frozen_recurrence"] is None
        assert "control frozen_recurrence diverged at update 1 of 6" in record.manifest["log"]


def test_controls_that_are_left_for_later_come_with_the_next_launch(tmp_path):
    """The result is there without them, and is then the one of a run that had them at once."""
    config = experiment({"training.evaluate_after": ["1 h"]}).config
    first = launch(config, tmp_path, later=True)
    assert first.manifest["status"] == "finished"
    assert first.result is not None
    assert first.result["controls"] == {}
    assert first.manifest["pending"] == ["controls"]
    with pytest.MonkeyPatch.context() as no_training:  # all that is asked for is there
        no_training.setattr("neuroanp.training.launch.Training", lambda *_: pytest.fail("trained again"))
        assert launch(config, tmp_path, later=True).result == first.result
    second, at_once = launch(config, tmp_path), launch(config, tmp_path / "at once")
    assert second.manifest["pending"] == []
    assert {**second.result, "run": ""} == {**at_once.result, "run": ""}  # pyright: ignore
    assert second.sealed
    rows = [record.metrics().columns for record in (second, at_once)]
    assert {k: v for k, v in rows[0].items() if k != "wall_s"} == {k: v for k, v in rows[1].items() if k != "wall_s"}
    arrays = [record.load_arrays("predictions") for record in (second, at_once)]
    assert (
        [{n: a.tobytes() for n, a in each.items()} for each in arrays[:1]]
        == [  # pyright: ignore
            {n: a.tobytes() for n, a in each.items()}
            for each in arrays[1:]  # pyright: ignore
        ]
    )


def test_a_network_that_is_programmed_alone_gets_its_controls_later_too(tmp_path):
    learned = launch(experiment({"training.controls": False}).config, tmp_path / "learned")
    config = experiment({"network.weights": str(learned.path), "training.updates": 0}).config
    launch(config, tmp_path, later=True)
    second, at_once = launch(config, tmp_path), launch(config, tmp_path / "at once")
    assert {**second.result, "run": ""} == {**at_once.result, "run": ""}  # pyright: ignore
    assert second.metrics().columns["update"] == at_once.metrics().columns["update"] == [0]


def test_the_steps_of_least_squares_know_no_rate_and_all_other_arrays_do():
    """One update of the same hidden units: with delta and with rls they change alike, the outputs as they should."""
    source = {**FLOAT64, "optimizer": {"name": "adam", "schedule": "constant", "lr": 1e-3}}

    def after(**changes):
        trainer = build_trainer(Experiment.of(configure(source, {f"rule.{k}": v for k, v in changes.items()})))
        first = {name: W.clone() for name, W in trainer.substrate.weights.items()}
        row = trainer.step()
        return row, {name: W - first[name] for name, W in trainer.substrate.weights.items()}

    (delta_row, delta), (row, rls) = after(readout="delta"), after(readout="rls")
    assert row["lr"] == delta_row["lr"] == 1e-3
    for name in ("w_in", "w"):
        torch.testing.assert_close(rls[name], delta[name], rtol=1e-9, atol=0.0)
    source["optimizer"] = {**source["optimizer"], "lr": 1e-2}
    _, faster = after(readout="rls")
    torch.testing.assert_close(faster["w_out"], rls["w_out"], rtol=1e-9, atol=0.0)
    torch.testing.assert_close(faster["w"], 10 * rls["w"], rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("rule", [{"name": "echo", "readout": "rls"}, {"name": "anp", "readout": "rls"}])
def test_the_control_of_a_frozen_network_learns_its_readout_by_the_same_rule(rule):
    made = Experiment.of(configure({**FLOAT64, "rule": rule}))
    control, run = readout_trainer(made, Batches()), build_trainer(made)
    first = {name: W.clone() for name, W in control.substrate.weights.items()}
    rows = [control.step() for _ in range(3)]
    assert all(torch.equal(control.substrate.weights[name], first[name]) for name in ("w_in", "w"))
    run.step()
    run_alone = {"w_out": run.substrate.weights["w_out"] - first["w_out"]}
    control = readout_trainer(made, Batches())
    control.step()
    torch.testing.assert_close(
        control.substrate.weights["w_out"] - first["w_out"], run_alone["w_out"], rtol=1e-6, atol=0.0
    )
    assert rows[0]["update_norm"] == 0.0  # of what an optimiser steps
