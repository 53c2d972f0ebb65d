"""Units that find out what their arrays do: closed forms, the noise that is left, and runs that are cut anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.anp import ANP
from neuroanp.learning.credit import differences
from neuroanp.learning.echo import Echo
from neuroanp.learning.identification import RIDGE, WEIGHTS_FORGET, errors_of, listened, reached, with_errors
from neuroanp.learning.innovation import innovation
from neuroanp.learning.outputs import for_outputs
from neuroanp.network.network import INPUT
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.decorrelating import folded
from neuroanp.training.estimate import memory_of
from neuroanp.training.identifying import first_sums, identifies
from neuroanp.training.launch import launch, resume
from tests.close import close

TOLD = {"name": "anp", "K": 3, "reference": "mean", "readout": "delta", "difference": "innovation"}
FORGET = 0.9
IDENTIFIED = {"weights": "identified", "weights_forget": FORGET}
RULES = {"anp": {**TOLD, **IDENTIFIED}, "echo": {"name": "echo", "K": 3, "lags": 4, **IDENTIFIED}}
ONE = {"hidden": 10, "bias": True}
TWO = {"layers": [{"units": 8}, {"units": 6}], "skip": True}
GATED = {"layers": [{"units": 6, "cell": "gru"}]}


def config(rule="anp", changes=None, **training):
    """A network whose arrays err when they are written, and nothing else; noise is added, and known to us."""
    plain = {
        "task": {"name": "copy", "length": 3, "delay": 1, "symbols": 3, "test_size": 16},
        "network": ONE, "profile": "pcm", "dt": "2 us", "hardware": {"only": ["programming_error"]},
        "perturbation": {"name": "gaussian", "sigma": 0.05}, "rule": RULES[rule] if isinstance(rule, str) else rule,
        "optimizer": {"lr": 1e-12, "schedule": "constant"}, "compute": {"dtype": "float64"},
        "training": {"updates": 60, "batch": 32, "controls": False, **training},
    }  # fmt: skip
    return configure(plain, changes or {})


def taught(config, updates):
    trainer = build_trainer(Experiment.of(config))
    for _ in range(updates):
        trainer.step()
    return trainer


def found(trainer, layer):
    E = errors_of(trainer.learned[f"A {layer}"], trainer.learned[f"G {layer}"])
    return reached(trainer.substrate.network, layer, E)


def true_errors(trainer, layer):
    """What arrays do more than they are held to do, by the lines of a layer, in the order in which it listens."""
    network, W, reads = trainer.substrate.network, trainer.substrate.weights, trainer.reads()
    arrays = listened(network, layer)
    E = torch.zeros(network.lines[layer], sum(network.units[p.pre] for p in arrays), dtype=torch.float64)
    at = 0
    for p in arrays:
        units = network.units[p.pre]
        E[network.ports(p), at : at + units] = (reads[p.name].effective - W[p.name])[:, :units]
        at += units
    return E


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("network", [ONE, TWO, GATED], ids=["one", "two", "gated"])
def test_what_arrays_err_by_is_found(rule, network):
    """Nothing is written, so that the errors stay; what is found of them lies within what the noise leaves unsure.

    The error of a coefficient is sigma_i sqrt((G^-1)_jj), sigma_i of what is left, in units of which it is normal.
    """
    trainer = taught(config(rule, {"network": network}), 40)
    for each in trainer.substrate.network.layers:
        A, G, E = trainer.learned[f"A {each.name}"], trainer.learned[f"G {each.name}"], true_errors(trainer, each.name)
        assert E.abs().max() > 0.01
        left = (found(trainer, each.name) - E).abs()
        # the mean of M passes is taken out: of M differences M - 1 are independent, each of the whole variance
        unsure = 0.05 * torch.linalg.inv(G).diagonal().sqrt()
        assert float((left / unsure).square().mean()) < 2.0
        assert float(left.square().mean()) < 0.25 * float(E.square().mean())
        assert A.dtype == G.dtype == torch.float64


def test_what_is_left_is_the_noise_of_the_unit_and_what_it_leaves_unsure():
    """By held weights what errs, E C E^T; once identified sigma^2 (M-1)/M m (1 - forget) / ((1 + forget) n), (4.4).

    n = T B (M - 1) differences of an update are independent; 100 coefficients are found to 14 % of their mean square.
    """
    trainer = taught(config(), 60)
    plan, M = trainer.learner.plan, 4
    (chunk,) = trainer.lab().run(plan, "noise")
    noise = differences(chunk.noise["hidden"], plan)
    dh, W = differences(chunk.activities["hidden"].h, plan), trainer.substrate.weights
    left = {
        name: float((innovation("hidden", dh, chunk, V, plan) - noise).square().mean())
        for name, V in (("held", W), ("identified", with_errors(W, {"hidden": found(trainer, "hidden")})))
    }
    n = len(dh) * 32 * (M - 1)
    expected = 0.05**2 * (M - 1) / M * 10 * (1 - FORGET) / ((1 + FORGET) * n)
    assert left["identified"] == close(expected, rel=0.45)
    assert left["identified"] < 0.1 * left["held"]
    page = (Path(__file__).parents[2] / "docs" / "theory" / "echo.md").read_text(encoding="utf-8")
    share = 100 / (24 * 32 * (2 - 1)) * (1 - WEIGHTS_FORGET) / (1 + WEIGHTS_FORGET)
    assert f"the innovation: {100 * share:.1f} % of it, with a hundred".replace(" 0.", " .") in " ".join(page.split())


@pytest.mark.parametrize("forget", [FORGET, None, 0.0])
@pytest.mark.parametrize("decorrelation", [None, {"lr": 0.3}])
@pytest.mark.parametrize("network", [ONE, GATED], ids=["one", "gated"])
def test_sums_are_forgotten_and_are_of_what_held_weights_leave(network, decorrelation, forget):
    """A_2 = forget A_1 + sum (dh - W dx) dx^T, whatever was known of W in between; W dx where the array reaches.

    Where a matrix decorrelates activity, W D has the place of W.
    """
    rule = {**RULES["anp"], "decorrelation": decorrelation} | ({} if forget is None else {"weights_forget": forget})
    if forget is None:
        del rule["weights_forget"]
        forget = WEIGHTS_FORGET
    trainer = taught(config(rule, {"network": network}), 5)
    before, plan = dict(trainer.learned), trainer.learner.plan
    (chunk,) = trainer.lab().run(plan, "all")
    layer, there = chunk.activities["hidden"], trainer.substrate.network
    dx = differences(torch.cat([layer.x_prev.unsqueeze(0), layer.x[:-1]]), plan)
    rest = differences(layer.h, plan).clone()
    W = folded(trainer.substrate.weights, trainer.substrate.decorrelation)["w"][:, : there.units["hidden"]]
    assert (decorrelation is None) == torch.equal(W, trainer.substrate.weights["w"][:, : there.units["hidden"]])
    rest[..., there.ports(there.projection("w"))] -= dx @ W.T
    trainer.step()
    flat = dx.flatten(0, -2)
    expected = {"A": rest.flatten(0, -2).T @ flat, "G": flat.T @ flat}
    for kind, now in expected.items():
        name = f"{kind} hidden"
        torch.testing.assert_close(trainer.learned[name], forget * before[name] + now, rtol=1e-9, atol=1e-12)


def test_nothing_is_found_where_nothing_was_heard():
    assert torch.equal(errors_of(torch.zeros(3, 2), torch.zeros(2, 2)), torch.zeros(3, 2))
    G = torch.diag(torch.tensor([4.0, 4.0], dtype=torch.float64))
    A = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    assert float(errors_of(A, G)[0, 0]) == close(0.5 / (1 + RIDGE), rel=1e-12)


def test_data_are_not_listened_to():
    network = Experiment.of(config(changes={"network": TWO})).network
    assert all(p.pre != INPUT for layer in network.layers for p in listened(network, layer.name))
    assert [p.name for p in listened(network, "hidden_2")] == ["w_1_2", "w_2"]


@pytest.mark.parametrize("rule", list(RULES))
def test_stored_or_run_again_it_is_the_same(rule):
    """Each step is heard once, however many of them are stored."""
    stored, again = (taught(config(rule, memory=memory), 4) for memory in ("1 GiB", "2 KiB"))
    assert stored.learned.keys() == again.learned.keys()
    for name, value in stored.learned.items():
        if name[:2] in ("A ", "G "):
            torch.testing.assert_close(again.learned[name], value, rtol=1e-9, atol=1e-12)
    for name, W in stored.substrate.weights.items():
        torch.testing.assert_close(again.substrate.weights[name], W, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", list(RULES))
def test_what_was_heard_is_in_a_checkpoint(rule):
    made = config(rule, {"optimizer.lr": 0.01})
    whole, first = taught(made, 8), taught(made, 4)
    second = build_trainer(Experiment.of(made))
    second.load_state_dict(first.state_dict())
    for _ in range(4):
        second.step()
    now, then = second.state_dict(), whole.state_dict()
    assert now.keys() == then.keys()
    assert all(torch.equal(now[name], then[name]) for name in then)
    assert any(name.startswith("learner/A ") for name in then)


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    import os
    import signal

    from neuroanp.errors import RunError

    made = config("echo", {"optimizer.lr": 0.01}, updates=12, checkpoint_every=4)
    whole = launch(made, tmp_path / "whole")

    def stop(event, told=[]):  # noqa: B006 - remembers that it did
        if event["phase"] == "evaluate" and not told:
            told.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(RunError, match="interrupted"):
        launch(made, tmp_path / "cut", progress=stop)
    (path,) = (tmp_path / "cut").iterdir()
    assert resume(path).result["test_loss"] == whole.result["test_loss"]


def test_where_arrays_are_exact_little_is_found_and_nothing_is_lost():
    """What is found there is what the noise leaves unsure, and the update nearly that of held weights."""
    exact = {"profile": "ideal", "hardware": {}}
    identified = taught(config(changes=exact), 20)
    held = taught(config({**TOLD, "weights": "held"}, exact), 20)
    unsure = 0.05 * torch.linalg.inv(identified.learned["G hidden"]).diagonal().sqrt()
    assert float((found(identified, "hidden") / unsure).square().mean()) < 2.0
    (_, one), (_, other) = (t.learner.learn(t.learned, t.lab()) for t in (identified, held))
    a, b = (update.arrays["w"].flatten() for update in (one, other))
    assert float(torch.dot(a, b) / a.norm() / b.norm()) > 0.99


def test_rules_say_what_it_takes_and_leave_it_out_of_records_where_it_is_not_used():
    held, identified = ANP(difference="innovation"), ANP(difference="innovation", weights="identified")
    assert requirements.OWN_INNOVATION in held.needs
    assert requirements.IDENTIFIED_INNOVATION in identified.needs
    assert requirements.OWN_INNOVATION not in identified.needs
    assert requirements.IDENTIFIED_INNOVATION in Echo(weights="identified").needs
    assert "weights" not in {**held.model_dump(), **Echo().model_dump()}
    assert identified.model_dump()["weights"] == Echo(weights="identified").model_dump()["weights"] == "identified"
    assert "weights_forget" not in {**held.model_dump(), **Echo().model_dump()}
    assert identified.model_dump()["weights_forget"] == Echo(weights="identified").model_dump()["weights_forget"]
    other = ANP(difference="innovation", weights="identified", weights_forget=0.5)
    assert for_outputs(identified) == for_outputs(held) == for_outputs(other)
    assert identifies(identified)
    assert not identifies(held)
    assert first_sums(held, taught(config(), 0).substrate.weights) == {}


def test_memory_has_what_is_remembered():
    plain, more = (
        memory_of(Experiment.of(config(rule)))["identified"] for rule in ({**TOLD, "weights": "held"}, "anp")
    )
    assert (plain, more) == (0, 3 * 8 * (10 + 10) * 10)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"name": "anp", "weights": "identified"}, "difference 'activity' has none; set 'innovation'"),
        ({**TOLD, "weights": "learned"}, "'learned' is not one of held, identified"),
        ({**TOLD, "weights_forget": 0.5}, "weights_forget changes nothing with weights 'held'"),
        ({"name": "echo", "weights_forget": 0.5}, "weights_forget changes nothing with weights 'held'"),
        ({**TOLD, **IDENTIFIED, "weights_forget": 1.5}, "1.5 must be at most 1"),
        ({"name": "anp", "difference": "innovation", "reference": "running", "weights": "identified"}, "running"),
    ],
)
def test_what_makes_no_sense_is_told(rule, why):
    with pytest.raises(InputError, match=why):
        config(rule)


def test_units_that_spike_listen_to_noise_that_they_know(tmp_path):
    with pytest.raises(InputError, match=r"rule.weights: 'identified' is of rate units"):
        launch(config("echo", {"backend": "lif", "profile": "ideal", "hardware": {}}), tmp_path)
