"""The benchmark of what responses could know: true responses by automatic differentiation, fits by a library."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import benchmarks.echo_operating_points as points
from benchmarks.echo_operating_points import KINDS, Seen, features, fitted, responses, seen
from benchmarks.rules.cells import TUNING
from neuroanp.training.build import Experiment
from tests.close import close

T, B, N = 5, 7, 3


@pytest.fixture
def drawn() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return W, W_out, what drives a network, and its activities."""
    draw = torch.Generator().manual_seed(0)
    W, W_out, drive = (torch.randn(shape, dtype=torch.float64, generator=draw) for shape in ((N, N), (1, N), (T, B, N)))
    x = [torch.zeros(B, N, dtype=torch.float64)]
    for step in drive:
        x.append(torch.tanh(step + x[-1] @ W.T))
    return W, W_out, drive, torch.stack(x[1:])


def test_responses_are_derivatives_of_later_outputs(drawn) -> None:
    W, W_out, drive, x = drawn
    found = list(responses(W, W_out, 1 - x.square(), 4))
    assert [len(J) for J in found] == [5, 4, 3, 2]
    for k, J in enumerate(found):
        for t in range(T - k):
            now = x[t].clone().requires_grad_()
            later = now
            for step in range(t + 1, t + k + 1):
                later = torch.tanh(drive[step] + later @ W.T)
            (exact,) = torch.autograd.grad((later @ W_out.T).sum(), now)
            torch.testing.assert_close(J[t, :, 0], exact, rtol=1e-9, atol=0)


@pytest.mark.parametrize("each_step", [False, True])
def test_a_fit_is_weighted_least_squares_of_each_unit(drawn, each_step: bool) -> None:
    W, W_out, _, x = drawn
    f = 1 - x.square()
    J, weight = list(responses(W, W_out, f, 2))[1][:, :, 0], f[:4].square()
    given = [torch.ones_like(J), x[:4], x[1:, :, :1]]
    guess, A = fitted(J, weight, given, each_step), torch.stack([each.expand_as(J) for each in given], -1)
    for unit in range(N):
        for steps in [slice(t, t + 1) for t in range(4)] if each_step else [slice(0, 4)]:
            a, root = A[steps, :, unit].flatten(0, 1), weight[steps, :, unit].flatten().sqrt().unsqueeze(-1)
            best = torch.linalg.lstsq(a * root, J[steps, :, unit].reshape(-1, 1) * root).solution
            torch.testing.assert_close(guess[steps, :, unit].reshape(-1, 1), a @ best, atol=1e-5, rtol=1e-4)


def test_what_a_response_may_depend_on_belongs_to_its_own_step_and_to_that_of_the_answer() -> None:
    u, x, y = (torch.arange(4.0).reshape(4, 1, 1) * size for size in (1, 10, 100))
    first = {kind: [float(each[0]) for each in features(kind, 2, u, x, y)] for kind in KINDS}
    assert first["one for all"] == first["each step"] == [1]
    assert first["own activity"] == [1, 0]
    assert first["output"] == [1, 200]
    assert first["activity, output, product"] == [1, 0, 200, 0]
    second = [float(each[1]) for each in features("inputs, output, products", 2, u, x, y)]
    assert second == [1, 1, 2, 300, 300, 600, 2]
    assert len(features("inputs, output, products", 2, u.expand(4, 1, 3), x, y)) == 1 + 4 + 1 + 4 + 4  # of two inputs


class Small(NamedTuple):
    """A network of three units, what it is shown, what it does, and its gradient by backpropagation."""

    W: dict[str, Tensor]
    u: Tensor
    target: Tensor
    mask: Tensor
    x: Tensor
    e: Tensor
    gradient: Tensor

    def seen(self, lags: int) -> Seen:
        return seen(self.W, self.u, self.target, self.mask, lags)


def small(scale: float) -> Small:
    """Make one whose inputs and targets are of such a size."""
    draw = torch.Generator().manual_seed(1)
    shapes = {"w_in": (N, 2), "w": (N, N), "w_out": (1, N)}
    W = {name: torch.randn(shape, dtype=torch.float64, generator=draw) for name, shape in shapes.items()}
    u, target = (torch.randn(T, 40, wide, dtype=torch.float64, generator=draw) * scale for wide in (2, 1))
    mask = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    leaf, x = W["w"].clone().requires_grad_(), [torch.zeros(40, N, dtype=torch.float64)]
    for step in u:
        x.append(torch.tanh(step @ W["w_in"].T + x[-1] @ leaf.T))
    e = (torch.stack(x[1:]) @ W["w_out"].T - target) * mask.reshape(-1, 1, 1)
    (gradient,) = torch.autograd.grad(0.5 * e.square().sum(), leaf)  # a mask of 0 and 1 is its own square
    return Small(W, u, target, mask, torch.stack(x).detach(), e.detach(), gradient)


@pytest.mark.parametrize("lags", [2, T])
def test_bias_is_held_to_the_gradient_of_all_lags(lags: int) -> None:
    network = small(1.0)
    torch.testing.assert_close(network.seen(lags).gradient, network.gradient, rtol=1e-9, atol=0)


def test_units_that_do_not_saturate_have_one_response_and_no_bias_but_that_of_lags_left_out() -> None:
    network = small(1e-4)
    found = network.seen(T)
    assert all(share > 1 - 1e-6 for share in found.share.values())
    assert all(bias < 1e-6 for bias in found.bias.values())
    update = torch.zeros(N, N, dtype=torch.float64)  # of the true responses of a linear network, two lags
    for k, B in enumerate((network.W["w_out"], network.W["w_out"] @ network.W["w"])):
        update += torch.einsum("tbo,oj,tbi->ji", network.e[k:], B, network.x[: T - k])
    left = (update - network.gradient).square().sum() / network.gradient.square().sum()
    assert left > 0.01
    assert all(bias == close(float(left), rel=1e-3) for bias in network.seen(2).bias.values())


def test_of_units_that_saturate_one_response_is_the_mean_by_squared_gain_and_more_knowledge_explains_more() -> None:
    network = small(1.0)
    found, f = network.seen(T), 1 - network.x[1:].square()
    left = whole = 0.0
    for J in list(responses(network.W["w"], network.W["w_out"], f, T))[1:]:
        true, weight = J[:, :, 0], f[: len(J)] ** 2
        mean = (weight * true).sum((0, 1)) / weight.sum((0, 1))
        left, whole = left + (weight * (true - mean) ** 2).sum(), whole + (weight * true**2).sum()
    assert found.share["one for all"] == close(float(1 - left / whole), rel=1e-6)
    assert 0.05 < found.share["one for all"] < 0.95
    for kind in KINDS[1:]:
        assert found.share[kind] > found.share["one for all"]
    assert found.bias["one for all"] > 1e-3


@dataclass(frozen=True)
class Learning:
    """A network whose sequences tell which update they are of."""

    update: int = 0
    updates: int = 8
    batch: int = 2

    @property
    def substrate(self) -> SimpleNamespace:
        return SimpleNamespace(weights={"w": torch.eye(1)})

    def lab(self) -> SimpleNamespace:
        own = torch.full((3, self.batch, 1), float(self.update))
        return SimpleNamespace(inputs=own, targets=-own, mask=torch.ones(3))


def test_a_network_is_looked_at_on_sequences_that_it_learns_from_next(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}

    def looked(W, u, target, mask):
        found.update(u=u, target=target)

    monkeypatch.setattr(points, "seen", looked)
    points.look(Learning(update=5), 6)  # pyright: ignore[reportArgumentType]
    assert found["u"][0, :, 0].tolist() == [6, 6, 7, 7, 8, 8]
    assert found["target"][0, :, 0].tolist() == [-6, -6, -7, -7, -8, -8]


def test_networks_of_tuning_seeds_are_looked_at_a_quarter_of_the_way_and_before_the_last_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Trainer:
        updates, now = 8, 0

        def step(self) -> None:
            self.now += 1

    tried, kept = [], {}

    def built(experiment: Experiment) -> tuple[Trainer, None]:
        tried.append((experiment.config.seed, experiment.config.task_name, experiment.config.rule.name))
        return Trainer(), None

    def looked(trainer: Trainer, sequences: int) -> Seen:
        share: dict[str, float] = {}
        bias: dict[str, float] = {}
        for kind in KINDS:
            share[kind], bias[kind] = trainer.now, trainer.now / 10
        return Seen(torch.zeros(1), share, bias)

    monkeypatch.setattr(points, "build_trainer", lambda experiment: built(experiment)[0])
    monkeypatch.setattr(points, "look", looked)
    monkeypatch.setattr(points, "arguments", lambda *given, **named: Namespace(seeds=2, sequences=4))
    monkeypatch.setattr(points, "keep", lambda name, title, body, module: kept.update({name: body}))
    points.main()
    assert tried == [(seed, task, "echo") for task in ("parity", "xor", "mackey_glass") for seed in TUNING]
    lines = [" ".join(line.split()) for line in kept["echo_operating_points"].splitlines()]
    assert lines.count("| parity | a quarter of the way | one for all | 2.00 | 0.2 |") == 1
    assert lines.count("| parity | at the end | one for all | 7.00 | 0.7 |") == 1
    assert len(lines) == 2 + 3 * 2 * len(KINDS)
