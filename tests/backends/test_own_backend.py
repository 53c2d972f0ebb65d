"""A simulator of one's own, of ReLU units: nothing takes it for one of tanh units, and None refuses by name."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.backends.protocol import BACKENDS, Backend
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.network import forward
from neuroanp.baselines.ridge import ridge
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.registry import members
from neuroanp.tasks.scoring import squared_error
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import configure
from neuroanp.training.learner import GradientLearner
from neuroanp.trajectory import Trajectory, Weights

SMALL = {
    "task": "copy", "backend": "relu", "profile": "ideal", "network": {"hidden": 6},
    "training": {"updates": 2, "batch": 3, "controls": False}, "compute": {"dtype": "float64"},
}  # fmt: skip


def steps(weights: Weights, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return activities and outputs of the network by hand."""
    u = torch.as_tensor(inputs, dtype=weights["w"].dtype)
    x, xs = u.new_zeros(u.shape[1], weights.hidden), []
    for now in u:
        x = torch.relu(now @ weights["w_in"].T + x @ weights["w"].T)
        xs.append(x)
    return torch.stack(xs), torch.stack(xs) @ weights["w_out"].T


class Relu:
    """Rectify the pre-activations."""

    name: ClassVar[str] = "relu"
    spiking: ClassVar[bool] = False
    digital: ClassVar[bool] = False
    units = neuron = highest_rate_Hz = None
    differentiable = activity = None

    def __init__(self, dt: float, chunk: int = 64) -> None:
        self.dt = dt

    def rehearse(self, neurons) -> None: ...

    def passes(self, substrate, reads, inputs, plan, streams, *, keep="all", book=True, artificial=True):
        nodes = substrate.perturbation(plan, inputs.shape[1], streams, artificial)
        noise = nodes.draw("hidden", 0, len(inputs))
        W = {name: read.W for name, read in reads.items()}
        x = x_prev = inputs.new_zeros(plan.passes, inputs.shape[1], len(W["w"]))
        hs, xs = [], []
        for t, u in enumerate(inputs):
            h = u @ W["w_in"].T + x @ W["w"].T + (0.0 if noise is None else noise[t])
            x = torch.relu(h)
            hs.append(h)
            xs.append(x)
        y, more = torch.stack(xs) @ W["w_out"].T, nodes.draw("output", 0, len(inputs))
        yield Trajectory(inputs, torch.stack(hs), torch.stack(xs), x_prev, y if more is None else y + more, 0, self.dt)


class Told(Relu):
    """The same one, which says what its network is."""

    @staticmethod
    def differentiable(weights, inputs, neurons=None):
        return steps(weights, inputs)[1]

    @staticmethod
    def activity(weights, inputs, neurons=None):
        return steps(weights, inputs)[0]


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """Register a simulator as "relu", for the test alone."""

    def registered(kind: type) -> None:
        monkeypatch.setattr(BACKENDS, "_registered", {})
        BACKENDS.register("relu")(kind)

    registered(Relu)
    return registered


def run(tmp_path, **words):
    return na.train({**SMALL, **words}, runs=tmp_path, report=False, progress=False)


def test_it_learns_by_a_local_rule(tmp_path):
    assert np.isfinite(run(tmp_path).result["test_loss"])


def test_without_a_network_to_differentiate_bptt_is_refused_by_name_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match=r"^rule: backend 'relu' has no network of its units that can be"):
        run(tmp_path, rule="bptt")
    assert not list(tmp_path.iterdir())


def test_without_features_the_ridge_control_is_refused_by_name_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match=r"^training\.controls: backend 'relu' does not say what a readout of its"):
        run(tmp_path, training={"updates": 2, "batch": 3})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rule", ["bptt1", {"name": "bptt", "truncation": 2}])
def test_the_truncated_gradient_of_tanh_units_is_not_its_own(own, tmp_path, rule):
    own(Told)
    with pytest.raises(InputError, match="rule"):
        run(tmp_path, rule=rule)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [Relu, Told])
def test_no_format_takes_it_for_a_network_of_tanh_units(own, tmp_path, kind):
    own(kind)
    made = run(tmp_path)
    with pytest.raises(InputError, match="the units of backend 'relu' are its own: no format here can hold them"):
        made.export("onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_it_says_is_what_bptt_and_ridge_take(own, tmp_path):
    own(Told)
    trainer = build_trainer(Experiment.of(configure({**SMALL, "rule": "bptt"})))
    assert isinstance(trainer.learner, GradientLearner)
    context = trainer.context()
    found = trainer.learner.step(context)
    leaves = {name: read.W.clone().requires_grad_() for name, read in context.reads.items()}
    _, y = steps(Weights(leaves), context.inputs)
    L = (context.mask[:, None, None] * (y - context.targets).square()).sum() / (y.shape[1] * y.shape[2])
    expected = dict(zip(leaves, torch.autograd.grad(L, list(leaves.values())), strict=True))
    for name, dW in expected.items():
        torch.testing.assert_close(found.arrays[name], dW, rtol=1e-12, atol=1e-14)
    tanh = gradient(Weights({name: W.detach() for name, W in leaves.items()}), context)  # pyright: ignore
    assert not torch.allclose(tanh.arrays["w"], found.arrays["w"], rtol=0.1, atol=0)

    done = na.train({**SMALL, "training": {"updates": 1, "batch": 3}}, runs=tmp_path, report=False, progress=False)
    made = Experiment.of(configure({**SMALL, "training": {"updates": 1, "batch": 3}}))
    untrained, test = made.untrained(Streams(0)), made.task.test(Streams(0).generator("test"))
    losses = {
        label: squared_error(ridge(made.task, untrained, Streams(0), activity=activity).predict(test), test)
        for label, activity in (("own", Told.activity), ("tanh", lambda W, u: forward(W, u).x))
    }
    assert done.result["controls"]["ridge"] == losses["own"]
    assert abs(losses["own"] / losses["tanh"] - 1) > 0.05


@pytest.mark.parametrize("member", sorted(members(Backend)))
def test_one_that_lacks_a_member_is_refused_when_it_is_registered_or_made(own, tmp_path, member):
    """What a class can have is asked of the class, what only its instances have of the one that is made."""
    whole = {name: value for name, value in vars(Relu).items() if not name.startswith("__") or name == "__init__"}

    def used() -> None:
        own(type("Less", (), {name: value for name, value in whole.items() if name != member}))
        run(tmp_path)

    with pytest.raises(
        InputError, match=rf"^backend 'relu' lacks {member}: neuroanp\.backends\.protocol\.Backend says"
    ):
        used()
    assert not list(tmp_path.iterdir())
