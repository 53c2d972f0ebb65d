"""What docs/theory/echo.md states in closed form, held to the rule: by the equation's number there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.network import forward
from neuroanp.baselines.truncated import truncated_gradient
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.learning.anp import ANP
from neuroanp.learning.echo import Echo, carried, how_far, later, predicted, products, way
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.tanh import Tanh
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.training.echo_blocks import presented
from neuroanp.training.echo_learner import EchoLearner
from neuroanp.trajectory import Weights
from tests.close import close
from tests.learning.test_echo import Linear, exact, heard, impulse
from tests.learning.test_readouts import of_lab


def linear(inputs: int, units: int, outputs: int, recurrent: bool = True):
    return stack(inputs, [Stacked(Linear(), units, recurrent=recurrent)], outputs)


def updates(lab, rule: Echo, B: torch.Tensor, array: str, many: int) -> torch.Tensor:
    """Return updates with responses that are given, of noise that is drawn anew each time."""
    learner = EchoLearner(rule)
    state = {**learner.init(lab.weights), "B hidden": B}
    return torch.stack([learner.learn(state, lab.context(update))[1].arrays[array] for update in range(many)])


# ---- 1. linear networks ----


@pytest.mark.parametrize("cell", [Linear(), Tanh()])
def test_a_unit_knows_its_own_noise(make_lab, cell):
    """(1.1): exactly, of any units and any level."""
    lab, rule = make_lab(T=6, B=3, sigma=0.4, network=stack(3, [Stacked(cell, 5)], 2)), Echo(K=2)
    (block,) = presented(rule, rule.plan(), lab.context())
    (chunk,) = lab.context().run(rule.plan(), "noise")
    assert chunk.noise is not None
    n = chunk.noise["hidden"]
    assert_close(block.noise["hidden"].i, n - n.mean(1, keepdim=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lags", [1, 2, 4])
def test_lags_cut_off_what_the_adjoint_brings_from_later(make_lab, lags):
    """(1.5): what is lacking is (W^T)^H lambda_{t+H}, and H lags are backpropagation truncated to H steps."""
    T = 7
    lab = make_lab(T=T, B=4, sigma=1e-6, network=linear(3, 5, 2))
    learner, W = EchoLearner(Echo(lags=lags)), lab.weights
    state = {**learner.init(W), "B hidden": impulse(W, lags)}
    found = learner.learn(state, lab.context())[1].arrays
    truncated = truncated_gradient(W, of_lab(lab), lags).arrays  # pyright: ignore[reportArgumentType]
    act = forward(W, lab.inputs)
    e = (act.y - lab.targets) * lab.mask[:, None, None]  # 2/O of two outputs
    adjoint = torch.zeros(T + lags + 1, 4, 5, dtype=torch.float64)
    for t in range(T - 1, -1, -1):
        adjoint[t] = e[t] @ W["w_out"] + adjoint[t + 1] @ W["w"]
    lacking = adjoint[lags : lags + T] @ torch.linalg.matrix_power(W["w"], lags)
    lost = torch.einsum("tbi,tbj->ij", lacking, lab.inputs) / 4
    assert_close(exact(lab)["w_in"] - found["w_in"], lost, rtol=1e-3, atol=1e-4 * float(lost.abs().max()))
    for name in ("w_in", "w"):
        assert_close(found[name], truncated[name], rtol=1e-3, atol=1e-4 * float(truncated[name].abs().max()))


def test_echo_that_has_heard_nothing_is_one_step_of_backpropagation(make_lab):
    """(1.6): at the start B_0 is W_out, and other lags are nothing: BPTT(1; 1), of any gain."""
    lab = make_lab(T=6, B=3, sigma=1e-7)
    learner = EchoLearner(Echo(lags=5))
    found = learner.learn(learner.init(lab.weights), lab.context())[1].arrays
    truncated = gradient(lab.weights, of_lab(lab), 1).arrays  # pyright: ignore[reportArgumentType]
    for name in truncated:
        assert_close(found[name], truncated[name], rtol=1e-4, atol=1e-5 * float(truncated[name].abs().max()))


def test_under_noise_it_is_the_gradient_where_the_mean_of_the_passes_went(make_lab):
    """(1.4): of a linear network and squares exactly, however large the noise."""
    lab = make_lab(T=5, B=3, sigma=0.5, network=linear(3, 4, 2))
    learner, rule = EchoLearner(Echo(lags=5, K=2)), Echo(lags=5, K=2)
    (chunk,) = lab.context().run(rule.plan())
    W = Weights({name: w.clone().requires_grad_() for name, w in lab.weights.items()}, lab.weights.network)
    n = chunk.noise["hidden"].mean(1)
    x, loss = torch.zeros(3, 4, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t in range(5):
        x = lab.inputs[t] @ W["w_in"].T + x @ W["w"].T + n[t]
        y = x @ W["w_out"].T + chunk.noise["output"].mean(1)[t]
        loss = loss + lab.mask[t] * (y - lab.targets[t]).square().mean(-1).sum() / 3
    true = torch.autograd.grad(loss, [W["w_in"], W["w"]])
    state = {**learner.init(lab.weights), "B hidden": impulse(lab.weights, 5)}
    found = learner.learn(state, lab.context())[1].arrays
    for name, wanted in zip(("w_in", "w"), true, strict=True):
        assert_close(found[name], wanted, rtol=1e-9, atol=1e-12)


def test_of_weights_that_are_known_wrongly_it_hears_the_responses_of_those(make_lab):
    """(4.2): with W^ in place of W in the innovation, B_k is W_out W^^k, exactly: more noise or time mends nothing."""
    lab = make_lab(T=8, B=64, sigma=1e-2, network=linear(3, 4, 2), of_y=0.0)
    draw = torch.Generator().manual_seed(1)
    held = lab.weights
    there = {name: W.clone() for name, W in held.items()}
    there["w"] += 0.3 * torch.randn((4, 4), generator=draw, dtype=torch.float64) / 2
    lab.substrate.prepare = lambda: {name: ReadPlan(W) for name, W in there.items()}
    B = heard(lab, Echo(lags=8), 200)["B hidden"]
    wrong, true = impulse(held, 8), impulse(Weights(there, held.network), 8)
    assert float((true - wrong)[:6].norm()) > 0.3 * float(wrong[1:6].norm())
    assert float((B - wrong)[:6].norm()) < 0.02 * float(wrong[1:6].norm())


# ---- 2. how responses are found ----


def test_a_presentation_by_hand(make_lab):
    """(2.1), (2.2): first the step on what is heard now, then the way by what is left of it, and the power anew."""
    T, H, rule = 6, 3, Echo(lags=3, K=2, memory=0.25)
    lab, learner = make_lab(T=T, B=3, sigma=0.1, network=linear(3, 4, 2)), EchoLearner(rule)
    draw = torch.Generator().manual_seed(0)
    B, D = (torch.randn((H, 2, 4), generator=draw, dtype=torch.float64) for _ in range(2))
    q = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    (block,) = presented(rule, rule.plan(), lab.context())
    z, p, by_way = block.noise["hidden"].i.numpy(), block.dy.numpy().copy(), np.zeros(block.dy.shape)
    D -= 2 * B  # towards nothing: some way to go
    for t in range(T):
        for k in range(min(H, t + 1)):
            p[t] -= z[t - k] @ B[k].numpy().T
            by_way[t] += z[t - k] @ D[k].numpy().T
    s = np.maximum(0.0, (p * by_way).sum((0, 1, 2)) / (by_way**2).sum((0, 1, 2)))
    assert (s > 0).any()
    p -= s * by_way
    ahead = 0.75 * q.numpy() + 0.25 * (z**2).sum((0, 1, 2)) / (T * 3 * rule.K)
    leads = np.zeros((H, 2, 4))
    for k in range(H):
        leads[k] = np.einsum("tmbo,tmbi->oi", p[k:], z[: T - k]) / ahead
    state = {**learner.init(lab.weights), "B hidden": B, "way hidden": D, "q hidden": q, "updates": torch.tensor(1)}
    found = learner.learn(state, lab.context())[0]
    assert_close(found["q hidden"], torch.from_numpy(ahead), rtol=1e-10, atol=0.0)
    assert_close(found["B hidden"], B + torch.from_numpy(s)[:, None] * D, rtol=1e-10, atol=1e-13)
    assert_close(found["way hidden"], torch.from_numpy(leads), rtol=1e-9, atol=1e-13)


def search(unknowns: int, n: int, r: float, many: int, seed: int = 0, outputs: int = 32) -> torch.Tensor:
    """Return the squared error of responses, mean over outputs, after each presentation of white noise."""
    draw = torch.Generator().manual_seed(seed)

    def fresh(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=draw, dtype=torch.float64)

    true = fresh(1, outputs, unknowns)
    true /= true.norm(dim=-1, keepdim=True)
    B, D, found = torch.zeros_like(true), torch.zeros_like(true), []
    for _ in range(many):
        z = fresh(n, 1, 1, unknowns)
        p = predicted(true - B, z) + r**0.5 * fresh(n, 1, 1, outputs)
        by_way = predicted(D, z)
        s = how_far(p, by_way)
        B = B + s.unsqueeze(-1) * D
        D = way(products(p - s * by_way, z, 1), torch.ones(unknowns, dtype=torch.float64))
        found.append((B - true).square().sum() / outputs)
    return torch.stack(found)


def draws(unknowns: int, n: int, r: float, many: int) -> torch.Tensor:
    """Return the same, its mean over draws of the noise that outputs share."""
    return torch.stack([search(unknowns, n, r, many, seed) for seed in range(100)]).mean(0)


def left(error: float, unknowns: int, n: int, r: float) -> float:
    """Return the squared error after a presentation, by (2.6)."""
    best = error * (unknowns - 1) / (unknowns + (n - 1) * error / (error + r))
    return best + (best + r) / (n - 2)


@pytest.mark.parametrize(
    ("unknowns", "n", "share"), [(10, 100, 0.0834), (50, 200, 0.1978), (100, 100, 0.5026), (200, 50, 0.8163)]
)
def test_white_noise_takes_its_share_of_the_squared_error_at_each_presentation(unknowns, n, share):
    """(2.5): (HN - 1) (n - 1) / ((n + HN - 1) (n - 2)) of it is left, where outputs have no noise of their own."""
    error = draws(unknowns, n, 0.0, 4)
    assert float(error[0]) == close(1.0, rel=1e-12)  # nobody knows yet which way to go
    assert float(error[1]) == close(share, rel=0.025)
    assert float(error[3] / error[0]) ** (1 / 3) == close(share, rel=0.025)
    assert left(1.0, unknowns, n, 0.0) == close(share, rel=1e-3)  # (2.6) says the same


def test_one_unknown_has_but_one_way_to_go():
    """(2.5): whatever was heard, the next noise says all of it."""
    assert float(search(1, 20, 0.0, 2)[1]) < 1e-24


@pytest.mark.parametrize(
    ("unknowns", "n", "r", "share"), [(50, 200, 1.0, 0.3345), (50, 200, 3.0, 0.5089), (100, 50, 1.0, 0.8326)]
)
def test_own_noise_of_outputs_leaves_more(unknowns, n, r, share):
    """(2.6): after the first step that knows a way."""
    assert float(draws(unknowns, n, r, 2)[1]) == close(share, rel=0.01)
    assert left(1.0, unknowns, n, r) == close(share, rel=1e-3)


def test_own_noise_of_outputs_leaves_a_floor():
    """(2.6), all along, and its floor about r sqrt(HN) / n."""
    unknowns, n, r = 100, 400, 1.0
    error, expected = search(unknowns, n, r, 120), [1.0]
    for _ in range(119):
        expected.append(left(expected[-1], unknowns, n, r))
    ratio = error / torch.tensor(expected, dtype=torch.float64)
    assert float(ratio.min()) > 0.7  # of ways that lead back, half are not gone
    assert float(ratio.max()) < 1.1
    assert expected[-1] == close(r * unknowns**0.5 / n, rel=0.05)
    assert float(error[60:].mean()) == close(r * unknowns**0.5 / n, rel=0.2)


def test_least_mean_squares_end_at_a_floor():
    """(2.8), HN = 3, n = 8, s = .1, r = 1: .3 / (2 - .1 * 12) = .375."""
    draw = torch.Generator().manual_seed(0)
    missing, found = torch.zeros(4000, 3, 1, dtype=torch.float64), []
    for _ in range(60):
        z, own = (torch.randn((4000, 8, size), generator=draw, dtype=torch.float64) for size in (3, 1))
        missing = missing - 0.1 * z.mT @ (z @ missing + own)
        found.append(missing.square().sum() / 4000)
    assert float(torch.stack(found[30:]).mean()) == close(0.375, rel=0.03)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), memory=st.floats(0, 0.999), share=st.floats(0, 1), size=st.floats(1e-3, 1e3))
def test_no_noise_makes_the_error_grow_that_is_searched_on(seed, memory, share, size):
    """(2.3), (2.4): of any noise, any way and any responses, output by output."""
    draw = torch.Generator().manual_seed(seed)
    z = torch.randn((8, 2, 3, 5), generator=draw, dtype=torch.float64)
    z = (1 - share) * z + share * z[..., :1]
    for t in range(1, 8):
        z[t] = memory * z[t - 1] + (1 - memory) * z[t]
    B, D = (torch.randn((3, 2, 5), generator=draw, dtype=torch.float64) for _ in range(2))
    dy = torch.randn((10, 2, 3, 2), generator=draw, dtype=torch.float64)
    p, by_way = dy - predicted(B, z), size * predicted(D, z)
    after = dy - predicted(B + (how_far(p, by_way).unsqueeze(-1) * size) * D, z)
    before = p.square().sum((0, 1, 2))
    gained = (p * by_way).sum((0, 1, 2)).clamp_min(0.0).square() / by_way.square().sum((0, 1, 2))
    assert bool((after.square().sum((0, 1, 2)) <= before * (1 + 1e-12)).all())
    assert_close(after.square().sum((0, 1, 2)), before - gained, rtol=1e-9, atol=1e-9)


# ---- 3. units that saturate, and the share of node perturbation ----


def test_of_tanh_it_hears_the_mean_response_weighted_by_the_squared_gain(make_lab):
    """(3.1)."""
    T, N = 6, 4
    lab = make_lab(T=T, B=64, sigma=1e-4, network=stack(3, [Stacked(Tanh(), N)], 2), of_y=0.0)
    W = lab.weights
    lab.inputs[:, ::2] *= 4.0  # half of the samples saturate
    f = 1 - forward(W, lab.inputs).x["hidden"] ** 2
    f = f[-T:]
    B = heard(lab, Echo(lags=T), 300)["B hidden"]
    for k in range(4):
        J = W["w_out"].expand(T - k, 64, 2, N)
        for j in range(k, 0, -1):  # W_out F_{t+k} W ... F_{t+1} W
            J = (J * f[j : j + T - k].unsqueeze(-2)) @ W["w"]
        weight = f[: T - k].square()
        mean = (J * weight.unsqueeze(-2)).mean((0, 1)) / weight.mean((0, 1))
        plain = J.mean((0, 1))
        assert float((B[k] - mean).norm()) < 0.03 * float(W["w_out"].norm())
        if k:  # and not the plain mean
            assert float((B[k] - mean).norm()) < 0.2 * float((plain - mean).norm())


def test_the_mean_update_lies_between_echo_and_the_gradient(make_lab):
    """(3.4): (1 - kappa eta) of echo's and kappa eta of the gradient, for responses that are half of the true ones."""
    N, O, T = 30, 20, 3  # noqa: E741
    lab = make_lab(T=T, B=8, O=O, sigma=1e-4, network=linear(3, N, O), of_y=2e-4)
    half = 0.5 * impulse(lab.weights, T)
    true = exact(lab)["w_in"]

    def along(eta: float, many: int) -> float:
        mean = updates(lab, Echo(lags=T, eta=eta), half, "w_in", many).mean(0)
        return float((mean * true).sum() / true.square().sum())

    (block,) = presented(Echo(), Echo().plan(), lab.context())
    i, dy = block.noise["hidden"].i, block.dy
    kappa = float(((N + O) * i.square().mean(-1) / (i.square().sum(-1) + dy.square().sum(-1))).mean())
    alone = along(0.0, 1)
    assert 0.4 < alone < 0.7
    assert 0.3 < kappa < 0.4  # outputs move more than units do
    for eta in (0.5, 1.0):
        assert along(eta, 500) == close((1 - kappa * eta) * alone + kappa * eta, rel=0.05)


@pytest.mark.parametrize("K", [1, 4])
def test_variance_is_that_of_what_was_not_predicted(make_lab, K):
    """(3.5): kappa^2 (|a|^2 + a_i^2) / K, whatever the noise level; a: what each noise does to the credit."""
    N, batch = 100, 20
    lab = make_lab(T=1, B=batch, I=1, O=1, sigma=1e-3, network=linear(1, N, 1, recurrent=False), of_y=0.0)
    lab.mask, lab.inputs = torch.ones(1).double(), torch.ones(1, batch, 1).double()
    lab.targets[:] = lab.targets[:, :1]  # samples that are alike
    W = lab.weights
    W["w_out"].mul_(0.3)  # what outputs add to the norm is little then, and the credit hardly depends on it
    e = 2 * (forward(W, lab.inputs).y - lab.targets)[0, 0]
    for known in (0.0, 0.5):
        B = known * W["w_out"].unsqueeze(0)
        a = (1 - known) * (W["w_out"].T @ e)
        kappa = (N + 1) / (N + float(W["w_out"].square().sum()))
        found = updates(lab, Echo(K=K, lags=1, eta=1.0), B, "w_in", 150).var(0).sum() * batch
        assert float(found) == close(kappa**2 * (N + 1) * float(a.square().sum()) / K, rel=0.12)


# ---- 4. the loss alone ----


def test_the_echo_in_the_loss_is_the_mean_of_the_gradient(make_lab):
    """(4.1): B_k is the mean over samples and times of J^T e, where the sign of the error is averaged too."""
    lab = make_lab(T=4, B=128, O=1, sigma=1e-4, network=linear(3, 4, 1))
    lab.mask, lab.targets = torch.ones(4).double(), lab.targets + 2.0
    B = heard(lab, Echo(lags=4, hears="loss", readout="perturb"), 400)["B hidden"]
    e = 2 * (forward(lab.weights, lab.inputs).y - lab.targets)
    for k in range(2):
        mean = e[k:].mean() * impulse(lab.weights, 2)[k, 0]
        assert_close(B[k, 0], mean, rtol=0, atol=0.05 * float(mean.norm()))


def test_where_noise_remembers_its_credit_is_that_of_other_steps_too(make_lab):
    """(4.3): sums over steps by the correlation of the noise there; and echo's responses hold nothing of it."""
    T, N, batch, gamma = 5, 40, 4, 0.8
    lab = make_lab(T=T, B=batch, N=N, sigma=0.0, network=linear(3, N, 2), of_y=0.0)
    lab.mask = torch.ones(T).double()
    source = lab.substrate.source = OrnsteinUhlenbeck(sigma=1e-4, tau=2e-6, n_sources=1)
    W, rho = lab.weights, [source.autocorrelation(k * 1e-6) for k in range(T)]
    assert rho[1] == close(0.6065, rel=1e-3)
    e = forward(W, lab.inputs).y - lab.targets  # 2/O of two outputs
    powers = [torch.linalg.matrix_power(W["w"], k) for k in range(T)]

    def mean(rho: list[float]) -> torch.Tensor:
        """Return the mean of sum_t c_t i_t u_t^T / B over sigma^2."""
        g = torch.zeros(T, batch, N, dtype=torch.float64)
        for t in range(T):
            for s in range(T):
                for later_on in range(max(s, t), T):
                    weight = rho[abs(t - s)] * gamma ** (later_on - t)
                    g[t] += weight * (e[later_on] @ W["w_out"] @ powers[later_on - s])
        return torch.einsum("tbi,tbj->ij", g, lab.inputs) / batch

    rule = ANP(difference="innovation", gamma=gamma, K=31, reference="mean")
    found = torch.stack([lab.update(rule, update=update).arrays["w_in"] for update in range(60)]).mean(0)
    wanted, alone = mean(rho), mean([1.0, *[0.0] * (T - 1)])
    parts = torch.stack([alone.flatten(), (wanted - alone).flatten()], 1)
    own, others = torch.linalg.lstsq(parts, found.flatten().unsqueeze(1)).solution.flatten().tolist()
    assert float((wanted - alone).norm()) > 0.5 * float(alone.norm())
    assert others / own == close(1.0, rel=0.1)
    small = make_lab(T=T, B=16, N=5, sigma=0.0, network=linear(3, 5, 2), of_y=0.0)
    small.substrate.source = source
    B, true = heard(small, Echo(lags=T), 150)["B hidden"], impulse(small.weights, T)
    by_step = torch.tensor([[rho[abs(k - j)] for j in range(T)] for k in range(3)]).double()
    products_alone = torch.einsum("kj,jon->kon", by_step, true)
    assert float((products_alone - true[:3]).norm()) > 0.5 * float(true[:3].norm())
    assert float((B - true)[:3].norm()) < 0.05 * float(true[:3].norm())


# ---- 5. what hardware pays ----


@pytest.mark.parametrize("M", [2, 4])
def test_operations_of_a_unit(M):
    """(3 M + 1) H O multiply-accumulates a step and sequence; 2 H O + 1 numbers in its state."""
    T, batch, N, O, H = 9, 3, 7, 2, 5  # noqa: E741
    z, e = torch.randn(T, M, batch, N), torch.randn(T + H - 1, batch, O)
    B, p = torch.randn(H, O, N), torch.randn(T + H - 1, M, batch, O)
    with FlopCounterMode(display=False) as counted:
        predicted(B, z)
        predicted(B, z)  # of the way
        products(later(p, H), z, H)
        carried(B, later(e, H))
    assert counted.get_total_flops() == 2 * (3 * M + 1) * H * O * T * batch * N


def test_numbers_of_a_unit(make_lab):
    lab = make_lab(N=7, O=2)
    state = EchoLearner(Echo(lags=5)).init(lab.weights)
    assert sum(x.numel() for name, x in state.items() if name.endswith(" hidden")) == (2 * 5 * 2 + 1) * 7
