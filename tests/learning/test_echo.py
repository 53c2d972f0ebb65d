"""Echo: responses against true impulse responses, updates against the gradient, and the rule it is mixed with."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.baselines.network import rate_outputs
from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.anp import ANP
from neuroanp.learning.echo import Echo, carried, how_far, later, predicted, products, way
from neuroanp.network.cell import RateCell
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.tanh import LeakyTanh, Tanh
from neuroanp.training import outer_products
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.echo_blocks import block_of
from neuroanp.training.echo_learner import EchoLearner
from neuroanp.trajectory import Weights


class Linear(RateCell):
    """x = h."""

    def step(self, state, h):
        return state, h


def heard(lab, rule: Echo, rounds: int) -> dict[str, torch.Tensor]:
    """Return what is known of echoes after some presentations of a network that stays as it is.

    The mean over the second half: what a step of least mean squares makes of noise of the outputs comes and goes.
    """
    learner = EchoLearner(rule)
    state, sums = learner.init(lab.weights), dict[str, torch.Tensor]()
    for update in range(rounds):
        state, _ = learner.learn(state, lab.context(update))
        if update >= rounds // 2:
            sums = {name: x + sums.get(name, 0.0) for name, x in state.items() if x.ndim}
    return {name: x / (rounds - rounds // 2) for name, x in sums.items()}


def exact(lab):
    batch = type("B", (), {"inputs": lab.inputs, "targets": lab.targets, "mask": lab.mask})()
    return autograd_gradient(rate_outputs, lab.weights, batch).arrays  # pyright: ignore[reportArgumentType]


def impulse(weights: Weights, lags: int) -> torch.Tensor:
    """What noise of a unit does to the outputs k steps on, of a linear network of one layer: W_out W^k."""
    found = [weights["w_out"]]
    for _ in range(1, lags):
        found.append(found[-1] @ weights["w"])
    return torch.stack(found)


@pytest.mark.parametrize("sigma", [1e-4, 1e-1])
def test_responses_are_the_impulse_responses_of_a_linear_network(make_lab, sigma):
    lab = make_lab(T=12, B=16, N=5, sigma=sigma, network=stack(3, [Stacked(Linear(), 5)], 2))
    B = heard(lab, Echo(lags=12), 300)["B hidden"]
    true = impulse(lab.weights, 12)
    error = (B - true).norm(dim=(1, 2)) / true[0].norm()
    assert bool((error[:6] < 0.05).all()), error
    assert bool((true[1:6].norm(dim=(1, 2)) > 0.2 * true[0].norm()).all())  # there is something to find


def test_two_layers_hear_their_own_echoes(make_lab):
    network = stack(3, [Stacked(Linear(), 4, recurrent=False), Stacked(Linear(), 5)], 2)
    lab = make_lab(T=10, B=16, sigma=1e-2, network=network)
    found, W = heard(lab, Echo(lags=10), 400), lab.weights
    for k in range(3):
        above = W["w_out"] @ torch.linalg.matrix_power(W["w_2"], k)
        for name, true in (("B hidden_2", above), ("B hidden_1", above @ W["w_1_2"])):
            assert_close(found[name][k], true, rtol=0, atol=0.05 * float(W["w_out"].norm()))


def test_with_the_true_responses_a_linear_network_gets_its_gradient(make_lab):
    lab = make_lab(T=7, B=4, N=5, sigma=1e-5, network=stack(3, [Stacked(Linear(), 5)], 2))
    learner = EchoLearner(Echo(lags=7))
    state = {**learner.init(lab.weights), "B hidden": impulse(lab.weights, 7)}
    found, true = learner.learn(state, lab.context())[1].arrays, exact(lab)
    for name in true:
        assert_close(found[name], true[name], rtol=1e-4, atol=1e-4 * float(true[name].abs().max()))


def test_without_memory_a_feedforward_network_of_tanh_gets_its_gradient_at_once(make_lab):
    """The echo of lag 0 starts as the weights to the outputs, and the unit's own gain is its slope."""
    lab = make_lab(T=5, B=4, sigma=1e-7, network=stack(3, [Stacked(Tanh(), 6, recurrent=False)], 2))
    found, true = EchoLearner(Echo()).learn(EchoLearner(Echo()).init(lab.weights), lab.context())[1], exact(lab)
    for name in true:
        assert_close(found.arrays[name], true[name], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("difference", ["innovation", "activity"])
def test_all_eta_of_units_that_know_nothing_is_node_perturbation(make_lab, difference):
    """With no responses nothing is predicted, c is the loss's own change to first order, and eta = 1 is ANP's mean."""
    lab = make_lab(T=7, B=4, N=6, sigma=1e-6)
    for gamma in (1.0, 0.7):
        rule = Echo(K=2, eta=1.0, gamma=gamma, lags=3, difference=difference)
        learner = EchoLearner(rule)
        deaf = {name: torch.zeros_like(x) for name, x in learner.init(lab.weights).items()}
        found = learner.learn(deaf, lab.context())[1].arrays
        anp = lab.update(ANP(reference="mean", K=2, gamma=gamma, difference=difference)).arrays
        for name in ("w_in", "w"):
            assert_close(found[name], anp[name], rtol=1e-3, atol=1e-4 * float(anp[name].abs().max()))


def test_the_control_variate_leaves_the_mean_and_takes_variance(make_lab):
    lab = make_lab(T=6, B=3, N=4, sigma=1e-4, network=stack(3, [Stacked(Linear(), 4)], 2), of_y=0.0)
    true = exact(lab)["w"]

    def of(B, rounds=600):
        learner = EchoLearner(Echo(K=1, eta=1.0, lags=6))
        state = {**learner.init(lab.weights), "B hidden": B}
        return torch.stack([learner.learn(state, lab.context(update))[1].arrays["w"] for update in range(rounds)])

    right = impulse(lab.weights, 6)
    knowing, deaf = of(right), of(torch.zeros_like(right))
    assert float(knowing.var(0).sum()) < 1e-3 * float(deaf.var(0).sum())
    assert_close(knowing.mean(0), true, rtol=1e-3, atol=1e-3 * float(true.abs().max()))
    cosine = float((deaf.mean(0) * true).sum() / deaf.mean(0).norm() / true.norm())
    assert cosine > 0.9, cosine


@settings(max_examples=30, deadline=None)
@given(
    T=st.integers(1, 9), M=st.integers(1, 3), batch=st.integers(1, 3), lags=st.integers(1, 6), outputs=st.integers(1, 3)
)
def test_what_errors_say_is_the_adjoint_of_what_echoes_predict(T, M, batch, lags, outputs):
    draw = torch.Generator().manual_seed(T + 10 * M)
    B, z = (torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((lags, outputs, 4), (T, M, batch, 4)))
    e = torch.randn((T + lags - 1, M * batch, outputs), generator=draw, dtype=torch.float64)
    said = float((predicted(B, z).flatten(1, 2) * e).sum())
    assert_close(float((carried(B, later(e, lags)) * z.flatten(1, 2)).sum()), said, rtol=1e-9, atol=1e-12)


def test_responses_descend_the_squared_error_of_the_prediction():
    draw = torch.Generator().manual_seed(0)
    B, z, dy, q = (
        torch.randn(n, generator=draw, dtype=torch.float64) for n in ((3, 2, 4), (6, 2, 5, 4), (6, 2, 5, 2), 4)
    )
    dy = torch.cat([dy, torch.zeros(2, 2, 5, 2).double()])  # the echoes of the last noise are heard by nobody
    leaf = B.clone().requires_grad_()
    (0.5 * (dy - predicted(leaf, z))[:6].square().sum()).backward()
    assert leaf.grad is not None
    p = dy - predicted(B, z)
    p[6:] = 0.0
    found = products(later(p, 3), z, 3)
    assert_close(found, -leaf.grad, rtol=1e-9, atol=1e-12)
    assert_close(way(found, q.abs()), found / q.abs(), rtol=1e-12, atol=0.0)
    assert bool((way(found, 0 * q) == 0).all())  # units that never moved


def test_responses_go_as_far_as_the_error_falls_and_never_back():
    draw = torch.Generator().manual_seed(0)
    p, by_way = (torch.randn((6, 2, 5, 3), generator=draw, dtype=torch.float64) for _ in range(2))
    by_way = by_way + torch.tensor([1.0, -1.0, 0.0]).double() * p
    far = how_far(p, by_way)
    assert float(far[1]) == 0.0
    assert float(far[0]) > 0.2
    leaf = far.clone().requires_grad_()
    (p - leaf * by_way).square().sum().backward()
    assert leaf.grad is not None
    assert_close(leaf.grad[0], torch.tensor(0.0).double(), rtol=0, atol=1e-10)
    assert bool((how_far(p, 0 * by_way) == 0).all())


@pytest.mark.parametrize("K", [1, 3])
def test_mean_squares_are_those_of_the_noise_itself(make_lab, K):
    """M/(M-1) makes up for what passes lose by being compared with their own mean."""
    lab = make_lab(T=40, B=32, sigma=0.3, network=stack(3, [Stacked(Linear(), 5)], 2))
    q = heard(lab, Echo(K=K, memory=0.3), 20)["q hidden"]
    assert_close(q, torch.full((5,), 0.09).double(), rtol=0.03, atol=0.0)


@pytest.mark.parametrize("cell", [LeakyTanh(leak=0.3), Tanh(), Linear()])
def test_a_units_own_gain_is_the_derivative_of_its_step(cell):
    h = torch.linspace(-2, 2, 7, dtype=torch.float64).reshape(1, 7)
    state = cell.start(1, 7, h)
    step = 1e-6
    numeric = (cell.step(state, h + step)[1] - cell.step(state, h - step)[1]) / (2 * step)
    assert_close(cell.derivative(h), numeric, rtol=1e-8, atol=1e-9)


def test_units_whose_gain_depends_on_more_have_none_and_still_hear(make_lab):
    lab = make_lab(T=6, B=4, sigma=1e-3, network=stack(3, [Stacked(GRU(), 4)], 2))
    assert GRU().derivative(torch.zeros(1, 16)) is None
    state = heard(lab, Echo(lags=4), 3)
    assert state["B hidden"].shape == (4, 2, 16)
    assert bool((state["B hidden"][0].abs() > 0).any())


@pytest.mark.parametrize(
    "rule", [Echo(), Echo(eta=0.3, K=2), Echo(readout="rls"), Echo(readout="perturb", hears="loss")]
)
@pytest.mark.parametrize("how", [{"chunk": 1}, {"chunk": 5}, {"memory": 0}, {"memory": 9000, "chunk": 2}])
def test_updates_have_the_same_bits_for_every_chunk_and_memory(make_lab, rule, how, monkeypatch):
    monkeypatch.setattr(outer_products, "ROWS", 12)  # blocks of four steps
    lab, learner = make_lab(T=11, B=3), EchoLearner(rule)
    state = learner.init(lab.weights)
    state, _ = learner.learn(state, lab.context(update=1))
    after, whole = learner.learn(state, lab.context())
    again, cut = learner.learn(state, lab.context(**how))
    assert after.keys() == again.keys()
    assert all(torch.equal(after[name], again[name]) for name in after)
    assert whole.arrays.keys() == cut.arrays.keys()
    assert all(torch.equal(whole.arrays[name], cut.arrays[name]) for name in whole.arrays)
    assert whole.diagnostics == cut.diagnostics


def test_blocks_hold_the_update_of_the_whole(make_lab, monkeypatch):
    lab, learner = make_lab(T=11, B=3), EchoLearner(Echo(eta=0.5, lags=6))
    state, _ = learner.learn(learner.init(lab.weights), lab.context(update=1))
    after, whole = learner.learn(state, lab.context())
    monkeypatch.setattr(outer_products, "ROWS", 6)
    again, cut = learner.learn(state, lab.context())
    for one, other in ((after, again), (whole.arrays, cut.arrays)):
        for name in one:
            assert_close(one[name], other[name], rtol=1e-9, atol=1e-14)


def test_the_loss_alone_can_be_heard(make_lab):
    """Of one output with a constant error the echo in the loss is that in the output, times the error."""
    network = stack(3, [Stacked(Linear(), 5)], 1)
    lab = make_lab(T=8, B=64, sigma=1e-4, network=network)
    lab.mask, lab.inputs, lab.targets = torch.ones(8).double(), 0 * lab.inputs, 0 * lab.targets + 3.0
    B = heard(lab, Echo(lags=8, hears="loss", readout="perturb"), 300)["B hidden"]
    assert_close(B[:3], -6.0 * impulse(lab.weights, 3), rtol=0, atol=0.1 * float(6 * lab.weights["w_out"].norm()))


def test_classes_of_feedback():
    said = {
        (hears, readout): Echo(hears=hears, readout=readout).feedback
        for hears in ("errors", "loss")
        for readout in ("perturb", "delta", "rls")
    }
    assert {value for (hears, _), value in said.items() if hears == "errors"} == {"E"}
    assert said["loss", "perturb"] == "S"
    assert said["loss", "delta"] == said["loss", "rls"] == "S+"
    assert not Echo(hears="loss", readout="perturb").hears_errors


def test_what_it_needs_is_what_its_options_look_at():
    """The scalar loss only where something is laid to it, the whole change only where that is compared."""
    loss, change = requirements.SCALAR_LOSS, requirements.ACTIVITY_CHANGE
    for options, needed in (
        ({}, set()),
        ({"readout": "rls"}, set()),
        ({"difference": "activity"}, set()),  # of the share alone, and there is none
        ({"eta": 0.5}, {loss}),
        ({"eta": 0.5, "difference": "activity"}, {loss, change}),
        ({"readout": "perturb"}, {loss, change}),
        ({"hears": "loss"}, {loss}),
    ):
        assert {loss, change} & {*Echo(**options).needs} == needed
    assert requirements.memory_per_unit("2 H + M T") in Echo(hears="loss").needs
    assert requirements.memory_per_unit("2 H O + M T") in Echo().needs


def test_eta_is_the_share_of_perturbation(make_lab):
    lab = make_lab(T=6, B=3)

    def of(eta):
        learner = EchoLearner(Echo(eta=eta, gamma=0.9))
        return learner.learn(learner.init(lab.weights), lab.context())[1].arrays

    nothing, half, whole = of(0.0), of(0.5), of(1.0)
    for name in ("w_in", "w"):
        assert_close(half[name], (nothing[name] + whole[name]) / 2, rtol=1e-9, atol=1e-12)
        assert float((whole[name] - nothing[name]).abs().max()) > 0.01
    assert_close(half["w_out"], nothing["w_out"], rtol=1e-12, atol=0.0)


@pytest.mark.slow
def test_units_that_spike_listen_to_the_noise_that_they_know():
    """Less the mean of the passes; where nobody knows it, that is said."""
    source = {
        "task": {"name": "xor", "start": 2, "pulse": 6, "gap": 2, "delay": 0, "window": 6, "test_size": 4},
        "backend": "lif", "network": {"hidden": 5}, "rule": {"name": "echo", "K": 3}, "training": {"batch": 4},
    }  # fmt: skip
    trainer = build_trainer(Experiment.of(configure(source)))
    lab, rule = trainer.lab(), Echo(K=3)
    (chunk,) = lab.run(rule.plan(), "noise")
    block = block_of(chunk, rule, rule.plan(), lab)
    assert chunk.noise is not None
    n = chunk.noise["hidden"]
    assert_close(block.noise["hidden"].i, n - n.mean(1, keepdim=True), rtol=1e-6, atol=1e-6)
    assert block.noise["hidden"].f is None
    quiet = build_trainer(Experiment.of(configure({**source, "perturbation": "none"})))
    with pytest.raises(InputError, match=r"echo of units that spike listens to noise that it knows"):
        quiet.step()
