"""Computed weights in whole runs: one write like any other, then outputs alone; what they would ignore is refused."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.baselines.network import forward
from neuroanp.baselines.protocol import scored
from neuroanp.baselines.regression import Moments
from neuroanp.baselines.sampled import sample
from neuroanp.baselines.solved import exact_error
from neuroanp.diagnosing.asked import Asked
from neuroanp.diagnosing.diagnosis import of_config
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.sampled_learner import Data, SampledLearner
from neuroanp.trajectory import Weights
from tests.close import close

from .test_resume import same

SMALL = {
    "task": {"name": "lorenz", "train_length": 400, "test_size": 8},
    "network": {"hidden": 20, "bias": True},
    "rule": {"name": "sampled"},
    "training": {"updates": 20, "batch": 20, "controls": False},
}
ESN = {"rule": {"name": "esn"}}
LEAKY = {"rule": {"name": "esn"}, "network": {"layers": [{"cell": {"name": "leaky_tanh", "leak": 0.3}, "units": 20}]}}


def made(**changes):
    return build_trainer(Experiment.of(configure(SMALL, changes)))


def batch(trainer) -> Data:
    return Data.of(trainer.lab())


def fits(trainer, data: Data, weights) -> tuple[float, float]:
    """Return the loss of a network on data, and with outputs that least squares would give its own activity."""
    exact = Weights({name: W.double() for name, W in weights.items()}, weights.network)
    run = forward(exact, data.u)
    on = data.mask > 0
    x = np.concatenate([run.x["hidden"].numpy(), np.ones((*data.u.shape[:2], 1))], -1)[on].reshape(-1, 21)
    t = data.targets[on].reshape(-1, 1)
    best = x @ np.linalg.lstsq(x, t, rcond=None)[0]
    return float(np.mean((run.y.numpy()[on].reshape(-1, 1) - t) ** 2)), float(np.mean((best - t) ** 2))


@pytest.mark.parametrize("changes", [{}, ESN], ids=["sampled", "esn"])
def test_the_first_update_computes_all_arrays_and_its_outputs_are_the_least_squares(changes):
    trainer = made(**changes, **{"rule.ridge": 1e-14})
    data, first = batch(trainer), {name: W.clone() for name, W in trainer.substrate.weights.items()}
    row = trainer.step()
    assert row["train_loss"] == close(fits(trainer, data, Weights(first, trainer.substrate.network))[0], rel=1e-4)
    assert row["update_norm"] == 0.0
    assert not any(torch.equal(W, first[name]) for name, W in trainer.substrate.weights.items())
    loss, best = fits(trainer, data, trainer.substrate.weights)
    assert loss == close(best, rel=2e-2)
    assert loss < 0.5 * row["train_loss"]


def test_the_units_are_those_of_the_pairs_that_the_seed_draws():
    trainer = made()
    data = batch(trainer)
    trainer.step()
    rng = Streams(0).generator("sampled", 0)
    hidden = sample(trainer.learner.rule, *data, 20, trainer.limits["w_in"], rng)  # pyright: ignore
    w_in = trainer.substrate.weights["w_in"].double().numpy()
    np.testing.assert_allclose(w_in, np.concatenate([hidden.w_c, hidden.b[:, None]], 1), rtol=1e-6)
    other = made(seed=1)
    other.step()
    assert not torch.equal(other.substrate.weights["w_in"], trainer.substrate.weights["w_in"])


def test_the_recurrence_is_the_one_with_which_outputs_err_least_where_they_were_not_fitted():
    """Each ridge strength makes a network that is run by itself; the least and the weakest are different ones here."""
    trainer = made(**{"rule.delays": 12, "training.batch": 10})
    lab, learner = trainer.lab(), cast("SampledLearner", trainer.learner)
    data, errors, tried = Data.of(lab), [], list(learner.hidden(Data.of(lab), lab))
    for arrays in tried:
        twin = {name: W.float() for name, W in trainer.substrate.weights.items()}
        twin |= {name: torch.as_tensor(W).float() for name, W in arrays.items()}
        exact = Weights({name: W.double() for name, W in twin.items()}, lab.network)
        x = torch.cat([forward(exact, data.u).x["hidden"], torch.ones(*data.u.shape[:2], 1).double()], -1).numpy()
        sums = [Moments(21, 1) for _ in range(2)]
        for moments, of in zip(sums, (slice(0, 8), slice(8, 10)), strict=True):
            moments.add(scored(x[:, of], data.mask), scored(data.targets[:, of], data.mask))
        limits = np.full(21, trainer.limits["w_out"])
        errors.append(exact_error(*sums, learner.rule.strengths(), limits))  # pyright: ignore
    assert len(tried) == 7
    assert max(errors) > 1.05 * min(errors)
    trainer.step()
    best = tried[int(np.argmin(errors))]
    np.testing.assert_allclose(trainer.substrate.weights["w"].numpy(), best["w"], rtol=1e-6, atol=1e-7)


def test_an_update_after_it_fits_the_outputs_to_all_that_the_chip_has_done_since():
    """Two more batches: the least squares over both of them, and no other array is touched."""
    trainer = made(**{"rule.ridge": 1e-12}, profile="pcm", hardware={"only": ["programming_error"]})
    trainer.step()
    written = {name: W.clone() for name, W in trainer.substrate.weights.items()}
    grams, crosses = [], []
    for _ in range(2):
        data, reads = batch(trainer), trainer.lab().reads
        held = Weights({name: read.W.double() for name, read in reads.items()}, trainer.substrate.network)
        assert not torch.equal(held["w"].float(), written["w"])  # what programming made of them
        trainer.step()
        on = data.mask > 0
        x = forward(held, data.u).x["hidden"].numpy()
        x = np.concatenate([x, np.ones((*x.shape[:2], 1))], -1)[on].reshape(-1, 21)
        grams.append(x.T @ x)
        crosses.append(x.T @ data.targets[on].reshape(-1, 1))
    for name in ("w_in", "w"):
        assert torch.equal(trainer.substrate.weights[name], written[name])
    found = trainer.learned
    np.testing.assert_allclose((found["fit gram"] + found["held gram"]).numpy(), sum(grams), rtol=1e-4)
    np.testing.assert_allclose((found["fit cross"] + found["held cross"]).numpy(), sum(crosses), rtol=1e-3, atol=1e-3)
    rows = int(found["fit rows"][0]), int(found["held rows"][0])
    assert rows == (2 * 16 * 36, 2 * 4 * 36)  # a fifth of 20 sequences, 36 scored steps each
    assert int(found["updates"]) == 3


def test_outputs_are_refitted_to_what_the_chip_did_under_its_noise():
    """Of junctions that move every unit: the sums of squares hold their variance, beyond those without noise."""
    trainer = made(profile="smtj_koenders", **{"rule.scale": 0.05, "training.batch": 100})
    trainer.step()
    data = batch(trainer)
    exact = Weights({name: W.double() for name, W in trainer.substrate.weights.items()}, trainer.substrate.network)
    x = forward(exact, data.u).x["hidden"].numpy()[data.mask > 0]
    trainer.step()
    squares = (trainer.learned["fit gram"] + trainer.learned["held gram"]).diagonal().numpy()[:-1]
    more = (squares - (x**2).sum((0, 1))) / x[..., 0].size
    sigma = trainer.substrate.node_sigmas(artificial=False)["hidden"]
    assert float(np.median(more)) > 0.3 * sigma**2 > 0


@pytest.mark.parametrize(
    "changes",
    [{}, {"profile": "pcm"}, ESN, LEAKY | {"profile": "smtj_koenders"}],
    ids=["sampled", "pcm", "esn", "leaky"],
)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(changes):
    whole, first, second = (made(**changes) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())


def test_it_is_deployed_by_a_write_like_any_other_within_what_arrays_hold():
    trainer = made(profile="pcm")
    before = trainer.substrate.ledger.report()
    row = trainer.step()
    after = trainer.substrate.ledger.report()
    assert row["saturated"] == 0.0
    for name, W in trainer.substrate.weights.items():
        assert float(W.abs().max()) <= trainer.limits[name] * (1 + 1e-6)
    assert float(trainer.substrate.weights["w_in"].abs().max()) == close(trainer.limits["w_in"])  # the box is felt
    assert after["pulses"] > before["pulses"]
    assert after["reads"] - before["reads"] == 3 * 20 * trainer.task.steps  # the batch is presented once
    held = trainer.reads()["w_in"].W
    assert 0 < float((held - trainer.substrate.weights["w_in"]).abs().mean()) < 0.2 * trainer.limits["w_in"]


def test_where_hidden_arrays_do_not_learn_outputs_are_fitted_to_those_that_are_there():
    """The control of the frozen recurrence: the readout of the network as it was drawn."""
    experiment = Experiment.of(configure(SMALL, {"rule.ridge": 1e-14}))
    trainer = build_trainer(experiment, trained=frozenset(["w_out"]))
    data, first = batch(trainer), {name: W.clone() for name, W in trainer.substrate.weights.items()}
    trainer.step()
    assert all(torch.equal(trainer.substrate.weights[name], first[name]) for name in ("w_in", "w"))
    loss, best = fits(trainer, data, trainer.substrate.weights)
    assert loss == close(best, rel=2e-2)


def test_nothing_perturbs_the_units_for_it():
    assert not any(made().substrate.node_sigmas(True).values())
    assert any(made(rule={"name": "anp"}).substrate.node_sigmas(True).values())


def test_a_whole_run_ends_below_the_ridge_readout_of_the_untrained_network(tmp_path: Path):
    options = {"training.controls": True, "training.updates": 1, "training.batch": 200, "task.train_length": 3000}
    record = launch(configure(SMALL, options | {"network.hidden": 60}), tmp_path)
    assert record.manifest["feedback"] == "LS"
    assert record.result["passes"] == 1
    assert record.result["test_loss"] < 0.3 * record.result["controls"]["ridge"]
    assert any("none: weights are computed" in line for line in record.manifest["log"])
    assert not any("nothing perturbs the units" in line for line in record.manifest["log"])


def test_a_refit_comes_after_it_and_makes_up_for_programming(tmp_path: Path):
    options = {"profile": "pcm", "training.updates": 1, "training.batch": 100, "task.train_length": 3000}
    plain = launch(configure(SMALL, options), tmp_path)
    refit = launch(configure(SMALL, options | {"training.refit": 100}), tmp_path)
    assert refit.manifest["feedback"] == "LS"
    said = "computes for exact weights, and with one update nothing makes up for what pcm does to them"
    assert [any(said in line for line in run.manifest["log"]) for run in (plain, refit)] == [True, False]
    assert refit.manifest["refit"]["writes"] >= 1
    assert refit.result["test_loss"] < plain.result["test_loss"]


def test_it_is_compared_with_others_in_one_command(tmp_path: Path, in_turn):
    """With options of the optimizer that are given to the others alone."""
    changes = {"training.updates": 2, "network.hidden": 6}
    found = na.compare(
        SMALL, overrides=changes, rules=["anp", "esn", "sampled", "bptt"], seeds=[0],
        for_rule={"anp": {"optimizer.lr": 1e-2}}, runs=tmp_path, report=False, progress=False, workers=1,
    )  # fmt: skip
    assert {run.result["rule"] for run in found.runs} == {"anp", "esn", "sampled", "bptt"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network.bias": False}, "network.bias: rule 'sampled' puts each unit between two points of the data"),
        ({"network.output_gain": 0.1}, "network.output_gain: changes nothing: rule 'sampled' computes"),
        ({"training.batch": 4}, "training.batch: 4 is too few: rule 'sampled' chooses its ridge by a fifth"),
        ({"optimizer.lr": 0.1}, "optimizer.lr: 0.1 changes nothing: rule 'sampled' writes what it computed"),
        ({"optimizer.clip": 1.0}, "optimizer.clip: 1.0 changes nothing"),
        ({"optimizer.weight_decay": 1e-3}, "optimizer.weight_decay: 0.001 changes nothing"),
        ({"perturbation": {"name": "gaussian"}}, "'gaussian' is noise to learn from"),
        ({"network": {"layers": [{"units": 5}, {"units": 4}], "bias": True}}, "computes networks of one layer"),
        ({"network": {"layers": [{"cell": "gru", "units": 5}], "bias": True}}, "units of cell tanh, not 'gru'"),
        ({"network": {"layers": [{"cell": "leaky_tanh", "units": 5}], "bias": True}}, "units of cell tanh, not 'leaky"),
        ({"network": {"layers": [{"units": 5, "recurrent": False}], "bias": True}}, "computes a recurrence"),
        ({"task": {"name": "digits", "loss": "cross_entropy"}}, "'sampled' is least squares, and the loss is the"),
        ({"rule": {"name": "esn"}, "network": {"layers": [{"cell": "relu", "units": 5}]}}, "cell tanh or leaky_tanh"),
        ({"rule": {"name": "esn", "radius": 9.0}, "profile": "pcm"}, "rule.radius: 9 makes weights of w up to"),
        ({"rule": {"name": "esn", "input_scale": 9.0}, "profile": "pcm"}, "rule.input_scale: 9 makes weights of w_in"),
        ({"backend": "lif", "dt": "1 ms"}, "rule: 'sampled' computes weights of rate networks"),
    ],
)
def test_what_it_cannot_do_or_would_ignore_is_refused(changes, said, tmp_path: Path):
    with pytest.raises(InputError) as error:
        launch(configure(SMALL, changes), tmp_path)
    assert said in "\n".join([str(error.value), *error.value.problems])
    assert not [*tmp_path.iterdir()]


def test_what_an_array_cannot_hold_is_held_where_it_is_said_to_be(tmp_path: Path):
    """The remedy of a refusal works."""
    source = {**SMALL, "rule": {"name": "esn", "radius": 9.0}, "profile": "pcm"}
    with pytest.raises(InputError) as error:
        launch(configure(source), tmp_path)
    most = float("\n".join(error.value.problems).partition("take at most ")[2])
    launch(configure(source, {"rule.radius": most, "training.updates": 1}), tmp_path)


def test_it_is_not_diagnosed():
    with pytest.raises(InputError, match="rule: 'sampled' computes weights and makes no update"):
        of_config(configure(SMALL), Asked())
