"""A simulator of one's own: it has the cells of the network, nothing takes it for one of tanh, None refuses by name."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.backends.protocol import BACKENDS, Backend
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.network import forward, rate_activities, rate_outputs
from neuroanp.baselines.ridge import ridge
from neuroanp.errors import InputError
from neuroanp.network.cell import CELLS, Cell
from neuroanp.network.network import OUTPUT
from neuroanp.noise import Streams
from neuroanp.registry import Registry, members
from neuroanp.tasks.scoring import squared_error
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.gradient_learner import GradientLearner
from neuroanp.trajectory import LayerActivity, Trajectory, Weights
from tests.close import close

SMALL = {
    "task": "copy", "backend": "own", "profile": "ideal", "network": {"layers": [{"cell": "relu", "units": 6}]},
    "training": {"updates": 2, "batch": 3, "controls": False}, "compute": {"dtype": "float64"},
}  # fmt: skip


def steps(weights: Weights, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return activities and outputs of the network of ReLU units by hand."""
    u = torch.as_tensor(inputs, dtype=weights["w"].dtype)
    x, xs = u.new_zeros(u.shape[1], weights.network.units["hidden"]), []
    for now in u:
        x = torch.relu(now @ weights["w_in"].T + x @ weights["w"].T)
        xs.append(x)
    return torch.stack(xs), torch.stack(xs) @ weights["w_out"].T


class Own:
    """Do a step of the one layer after the other, by what its cells say."""

    name: ClassVar[str] = "own"
    spiking: ClassVar[bool] = False
    digital: ClassVar[bool] = False
    recordable: ClassVar[bool] = False
    cells: ClassVar[Registry[Any]] = CELLS

    def __init__(self, dt: float, chunk: int = 64) -> None:
        self.dt = dt

    @classmethod
    def refuses(cls, network):
        return [] if len(network.layers) == 1 else ["backend 'own' has one layer; use backend 'rate'"]

    def highest_rate_Hz(self, network): ...

    def differentiable(self, network): ...

    def activity(self, network): ...

    def rehearse(self, network, neurons): ...

    def run(self, request):
        network, W, inputs, plan = request.network, request.weights, request.source, request.plan
        (layer,) = network.layers
        cell, into, back = cast("Cell", layer.cell), network.projection("w_in"), network.projection("w")
        nodes = request.substrate.perturbation(plan, inputs.shape[1], request.streams, request.artificial)
        noise = nodes.draw("hidden", 0, len(inputs))
        x = inputs.new_zeros(request.rows, layer.units)
        state, hs, xs = cell.start(request.rows, layer.units, inputs), [], []
        for t, u in enumerate(inputs):
            h = inputs.new_zeros(request.rows, network.lines["hidden"])
            h[:, network.ports(into)] += (u @ W["w_in"].T).repeat(plan.passes, 1)
            h[:, network.ports(back)] += x @ W["w"].T
            h += 0.0 if noise is None else noise[t].flatten(0, 1)
            state, x = cell.step(state, h)
            hs.append(h)
            xs.append(x)
        shape = (len(inputs), plan.passes, inputs.shape[1], -1)
        h, x = torch.stack(hs).view(shape), torch.stack(xs).view(shape)
        y, more = x @ W["w_out"].T, nodes.draw(OUTPUT, 0, len(inputs))
        did = LayerActivity(h, x, torch.zeros_like(x[0]))
        yield Trajectory(inputs, {"hidden": did}, y if more is None else y + more, 0, self.dt)


def own_outputs(weights, inputs, neurons=None):
    return steps(weights, inputs)[1]


def own_activity(weights, inputs, neurons=None):
    return {"hidden": steps(weights, inputs)[0]}


class Told(Own):
    """The same one, which says what its network is, by functions of its own."""

    def differentiable(self, network):
        return own_outputs

    def activity(self, network):
        return own_activity


class OfCells(Own):
    """The same one, which says that its network is what the cells say."""

    def differentiable(self, network):
        return rate_outputs

    def activity(self, network):
        return rate_activities


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """Register a simulator as "own", for the test alone."""

    def registered(kind: type) -> None:
        monkeypatch.setattr(BACKENDS, "_registered", {})
        BACKENDS.register("own")(kind)

    registered(Own)
    return registered


def run(tmp_path, **words):
    return na.train({**SMALL, **words}, runs=tmp_path, report=False, progress=False)


def test_it_learns_by_a_local_rule(tmp_path):
    assert np.isfinite(run(tmp_path).result["test_loss"])


@pytest.mark.parametrize("rule", ["anp", "bptt", "bptt1"])
@pytest.mark.parametrize("cell", CELLS.names())
def test_it_learns_what_the_rate_network_learns_whatever_the_cells_are(own, cell, rule):
    own(OfCells)
    network, training = {"layers": [{"cell": cell, "units": 6}]}, {"updates": 3, "batch": 3, "controls": False}
    document = {**SMALL, "rule": rule, "network": network, "training": training}
    trainers = [build_trainer(Experiment.of(configure({**document, "backend": name}))) for name in ("own", "rate")]
    begun = {name: W.clone() for name, W in trainers[0].substrate.weights.items()}
    for _ in range(3):
        mine, theirs = (trainer.step()["train_loss"] for trainer in trainers)
        assert mine == close(theirs, rel=1e-9)
    mine, theirs = (trainer.substrate.weights for trainer in trainers)
    for name, W in theirs.items():
        torch.testing.assert_close(mine[name], W, rtol=0, atol=1e-9)
        assert not torch.allclose(W, begun[name], rtol=0, atol=1e-6)


def test_a_network_that_it_refuses_is_refused_before_anything_runs(tmp_path):
    two = {"layers": [{"cell": "relu", "units": 6}, {"cell": "relu", "units": 5}]}
    with pytest.raises(InputError) as refused:
        run(tmp_path, network=two)
    assert "network.layers: backend 'own' has one layer; use backend 'rate'" in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_without_a_network_to_differentiate_bptt_is_refused_by_name_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match=r"^rule: backend 'own' has no network of its units that can be"):
        run(tmp_path, rule="bptt")
    assert not list(tmp_path.iterdir())


def test_without_features_the_ridge_control_is_refused_by_name_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match=r"^training\.controls: backend 'own' does not say what a readout of its"):
        run(tmp_path, training={"updates": 2, "batch": 3})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rule", ["bptt1", {"name": "bptt", "truncation": 2}])
def test_the_truncated_gradient_of_the_cells_is_not_its_own(own, tmp_path, rule):
    own(Told)
    with pytest.raises(InputError, match="rule"):
        run(tmp_path, rule=rule)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [Own, Told])
def test_no_format_takes_it_for_a_network_of_tanh_units(own, tmp_path, kind):
    """Not even one whose network says tanh: what the simulator does is its own."""
    own(kind)
    made = run(tmp_path, network={"hidden": 6})
    with pytest.raises(InputError, match="the units of backend 'own' are its own: no format here can hold them"):
        made.export("onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_it_says_is_what_bptt_and_ridge_take(own, tmp_path):
    own(Told)
    trainer = build_trainer(Experiment.of(configure({**SMALL, "rule": "bptt", "network": {"hidden": 6}})))
    assert isinstance(trainer.learner, GradientLearner)
    context = trainer.lab()
    found = trainer.learner.learn(trainer.learned, context)[1]
    network = trainer.substrate.network
    leaves = {name: read.W.clone().requires_grad_() for name, read in context.reads.items()}
    _, y = steps(Weights(leaves, network), context.inputs)
    L = (context.mask[:, None, None] * (y - context.targets).square()).sum() / (y.shape[1] * y.shape[2])
    expected = dict(zip(leaves, torch.autograd.grad(L, list(leaves.values())), strict=True))
    for name, dW in expected.items():
        torch.testing.assert_close(found.arrays[name], dW, rtol=1e-12, atol=1e-14)
    tanh = gradient(Weights({name: W.detach() for name, W in leaves.items()}, network), context)  # pyright: ignore
    assert not torch.allclose(tanh.arrays["w"], found.arrays["w"], rtol=0.1, atol=0)

    document = {**SMALL, "network": {"hidden": 6}, "training": {"updates": 1, "batch": 3}}
    done = na.train(document, runs=tmp_path, report=False, progress=False)
    made = Experiment.of(configure(document))
    untrained, test = made.untrained(Streams(0)), made.task.test(Streams(0).generator("test"))
    losses = {
        label: squared_error(ridge(made.task, untrained, Streams(0), activity=activity).predict(test), test)
        for label, activity in (("own", own_activity), ("tanh", lambda W, u: {"hidden": forward(W, u).x["hidden"]}))
    }
    assert done.result["controls"]["ridge"] == losses["own"]
    assert abs(losses["own"] / losses["tanh"] - 1) > 0.05


@pytest.mark.parametrize("member", sorted(members(Backend)))
def test_one_that_lacks_a_member_is_refused_when_it_is_registered_or_made(own, tmp_path, member):
    """What a class can have is asked of the class, what only its instances have of the one that is made."""
    whole = {name: value for name, value in vars(Own).items() if not name.startswith("__") or name == "__init__"}

    def used() -> None:
        own(type("Less", (), {name: value for name, value in whole.items() if name != member}))
        run(tmp_path)

    with pytest.raises(InputError, match=rf"^backend 'own' lacks {member}: neuroanp\.backends\.protocol\.Backend says"):
        used()
    assert not list(tmp_path.iterdir())
