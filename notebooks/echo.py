# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Echo, seen at work
#
# **What does a unit learn from hearing the outputs, and when does that help?**
#
# Echo is a rule without a backward pass: a unit makes noise of its own, hears what the outputs do some steps later,
# and so learns its influence on them. [docs/theory/echo.md](../docs/theory/echo.md) derives what is only looked at
# here:
#
# 1. on a linear network the responses that are found are the true ones, $W_{out} W^k$;
# 2. with them the update is the gradient; of units that saturate it is so nearly, and what lacks is bias;
# 3. responses are found by steepest descent with a line search, which no noise makes diverge; least mean squares
#    diverge on noise with a memory, or noise that units share;
# 4. the share $\eta$ of node perturbation takes bias and brings variance.
#
# It takes half a minute, and leaves its figures where it is run, as does `python notebooks/echo.py`.

# %%
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate, pairwise, repeat
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from neuroanp.diagnosing.gradient import gradient_of
from neuroanp.learning.anp import ANP
from neuroanp.learning.credit import return_to_go
from neuroanp.learning.echo import Echo, how_far, later, predicted, products, way
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.echo_blocks import presented
from neuroanp.training.learner import make_learner
from neuroanp.training.trainer import Trainer

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110, "font.size": 9})


def network(cell: str, rule: dict[str, Any], *, length: int = 5, delay: int = 10, **more: Any) -> Trainer:
    """Return a network of 20 units that is to copy symbols: 20 steps, batch 32, five inputs, four outputs."""
    source = {
        "task": {"name": "copy", "length": length, "delay": delay, "symbols": 4},
        "network": {"layers": [{"cell": cell, "units": 20}]}, "rule": rule, "profile": "ideal",
        "training": {"updates": 400, "batch": 32}, "optimizer": {"lr": 5e-3, "clip": 1.0},
        "compute": {"dtype": "float64"},
    }  # fmt: skip
    return build_trainer(Experiment.of(configure({**source, **more})))


def listening(trainer: Trainer, rule: Any, many: int) -> Iterator[tuple[dict[str, Tensor], Any]]:
    """Present batch after batch to a network that stays as it is; yield what is known of echoes, and the update."""
    learner = make_learner(rule)
    state = learner.init(trainer.substrate.weights)
    for trainer.update in range(many):
        state, update = learner.learn(state, trainer.lab())
        yield state, update


def powers(trainer: Trainer, lags: int) -> Tensor:
    """Return W_out W^k, (lags, outputs, units)."""
    W = trainer.substrate.weights
    return torch.stack(list(accumulate(repeat(W["w"], lags - 1), torch.matmul, initial=W["w_out"])))


# %% [markdown]
# ## 1. What a unit hears
#
# A linear network that does not learn. $B_k$ starts as $W_{out}$ at lag 0 and as nothing at the others; after each
# presentation (32 sequences, twice) it is nearer to $W_{out} W^k$. Of late lags less is to be heard, and less often:
# what follows the last step is nothing.

# %%
LAGS = 20
linear = network("linear", {"name": "echo", "lags": LAGS})
true = powers(linear, LAGS)
known = {many: state["B hidden"] for many, (state, _) in enumerate(listening(linear, Echo(lags=LAGS), 300), 1)}
size = true[0].norm()
radius = linear.spectral_radius()
assert radius is not None
print(f"spectral radius of W: {radius:.3f}")
for many in (1, 3, 10, 100, 300):
    error = float((known[many] - true).norm() / true[1:].norm())
    print(f"after {many:3} presentations: |B - W_out W^k| / |W_out W^k, k > 0| = {error:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
lags = range(LAGS)
for many, colour in zip((2, 10, 300), COLOURS, strict=False):
    left.semilogy(lags, (known[many] - true).norm(dim=(1, 2)) / size, color=colour, label=f"error after {many}")
left.semilogy(lags, true.norm(dim=(1, 2)) / size, "k--", label="$W_{out} W^k$ itself")
left.set(xlabel="lag k", ylabel="norm, $|W_{out}|$ = 1", ylim=(1e-4, 2), title="responses of all units")
left.legend(frameon=False, fontsize=7)
for unit, colour in zip((0, 1, 2), COLOURS, strict=False):
    right.plot(lags, true[:, 0, unit], color=colour, label=f"unit {unit}: $W_{{out}} W^k$")
    right.plot(lags, known[300][:, 0, unit], "o", ms=3, color=colour)
right.set(xlabel="lag k", ylabel="response of output 0", title="three units: found (dots), true (lines)")
right.legend(frameon=False, fontsize=7)
figure.savefig("echo_responses.png")

# %% [markdown]
# ## 2. What it makes of it
#
# The update of the recurrent weights beside the exact gradient of the same batch, by backpropagation through time on
# a twin without noise. Before anything was heard it is that of one step of backpropagation. Units that saturate answer
# otherwise at every step; one response for all leaves a bias, the more the further a network has learned. Node
# perturbation has no bias to speak of, and its noise does not fall.


# %%
def cosine(a: Tensor, b: Tensor) -> float:
    """Return the cosine of two arrays."""
    return float((a * b).sum() / (a.norm() * b.norm()))


def cosines(trainer: Trainer, rule: Any, many: int) -> list[float]:
    """Return the cosine of the update of w to the gradient, presentation after presentation."""
    return [
        cosine(update.arrays["w"], gradient_of(trainer, trainer.lab()).arrays["w"])
        for _, update in listening(trainer, rule, many)
    ]


MANY, SEVERAL = 150, (0, 1, 2, 3, 5, 8, 12, 20, 35, 60, 100, 150)
tanh = network("tanh", {"name": "echo", "lags": LAGS})
trained = network("tanh", {"name": "echo", "lags": LAGS})
for _ in range(400):
    row = trained.step()
print(f"trained by echo for 400 updates: training loss {row['train_loss']:.4f}")
curves = {
    "linear": cosines(linear, Echo(lags=LAGS), MANY),
    "tanh, untrained": cosines(tanh, Echo(lags=LAGS), MANY),
    "tanh, trained": cosines(trained, Echo(lags=LAGS), MANY),
    "tanh, trained, 4 lags": cosines(trained, Echo(lags=4), MANY),
    "tanh, trained, ANP": cosines(trained, ANP(reference="mean", K=1), MANY),
}
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (label, curve), colour in zip(curves.items(), COLOURS, strict=True):
    several = [fmean(curve[a:b]) for a, b in pairwise(SEVERAL)]
    axes.semilogx(SEVERAL[1:], several, ".-", color=colour, label=label)
    print(f"{label:22} cosine {curve[0]:.3f} at first, {fmean(curve[-50:]):.3f} (mean of the last 50)")
axes.set(
    xlabel="presentations (means over those since the last point)", ylabel="cosine to the gradient", ylim=(-0.2, 1.03)
)
axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
figure.savefig("echo_cosine.png")

# %% [markdown]
# ## 3. How responses are found
#
# Echo goes down the squared error of its prediction, as far as is best on the *next* noise. The first design took a
# step of a fixed length, least mean squares: $s = \min(a / HN, 0.5 / n)$, with n the number of noisy samples and
# $a = \max(0.3, 0.7 / (1 + j n / HN))$ at the j-th presentation. That is stable where
# $s \, n \, \lambda_{max} < 2$, with $\lambda_{max}$ the largest eigenvalue of the correlation matrix of the noise
# over units and lags: 1 of white noise. A magnetic junction remembers ($\lambda_{max}$ about the sum of its
# autocorrelation over positive and negative lags), and noise that all units share has $\lambda_{max}$ about as large as
# there are units.

# %%
H, FEW, SHAPE = 12, 60, (20, 2, 32, 20)


def first_design(B: Tensor, q: Tensor, z: Tensor, dy: Tensor, j: int) -> Tensor:
    """Return responses after a step of normalised least mean squares, as echo was designed at first."""
    p = error_of(B, z, dy)
    n, unknowns = z[..., 0].numel() * (z.shape[1] - 1) / z.shape[1], B.shape[0] * B.shape[2]
    a = max(0.3, 0.7 / (1.0 + j * n / unknowns))
    return B + min(a / unknowns, 0.5 / n) * way(products(later(p, len(B)), z, len(B)), q)


def error_of(B: Tensor, z: Tensor, dy: Tensor) -> Tensor:
    """Return what is not predicted of the outputs' change; what follows the last step is nothing."""
    p = -predicted(B, z)
    p[: len(dy)] += dy
    p[len(dy) :] = 0.0
    return p


def squared(z: Tensor) -> Tensor:
    """Return the mean squares q of the noise itself, of which passes lose a part by comparison with their mean."""
    M = z.shape[1]
    return z.square().mean((0, 1, 2)) * M / (M - 1)


def of_device(profile: str) -> tuple[list[float], list[float], float]:
    """Return the errors of both ways by presentation, and lambda_max, of a network under the noise of a profile."""
    trainer = network("linear", {"name": "echo", "lags": H}, profile=profile)
    wanted = powers(trainer, H)
    echo = [far(state["B hidden"], wanted) for state, _ in listening(trainer, Echo(lags=H), FEW)]
    B, lms, noise = first(wanted), list[float](), list[Tensor]()
    for trainer.update in range(FEW):
        (block,) = presented(Echo(), Echo().plan(), trainer.lab())
        z = block.noise["hidden"].z
        noise.append(z)
        B = first_design(B, squared(z), z, block.dy, trainer.update)
        lms.append(far(B, wanted))
    return echo, lms, largest(noise)


def of_noise(
    shape: tuple[int, ...], share: float, of_outputs: float, many: int
) -> tuple[list[float], list[float], float]:
    """Return the same of noise made here, (T, M, B, N), of which units share a part of the variance.

    Args:
        of_outputs: standard deviation of what outputs have of their own; that of the noise is 1. many: presentations.
    """
    wanted = powers(linear, H)
    draw = torch.Generator().manual_seed(0)

    def fresh(*size: int) -> Tensor:
        return torch.randn(size, generator=draw, dtype=torch.float64)

    found, direction, B = first(wanted), torch.zeros_like(wanted), first(wanted)
    echo, lms, noise = list[float](), list[float](), list[Tensor]()
    for j in range(many):
        n = fresh(*shape) * (1 - share) ** 0.5 + fresh(*shape[:-1], 1) * share**0.5
        z, own = n - n.mean(1, keepdim=True), of_outputs * fresh(*shape[:-1], len(wanted[0]))
        noise.append(z)
        dy = predicted(wanted, z)[: len(z)] + own - own.mean(1, keepdim=True)
        p, by_way = error_of(found, z, dy), predicted(direction, z)
        by_way[len(z) :] = 0.0
        s = how_far(p, by_way)
        found = found + s.unsqueeze(-1) * direction
        direction = way(products(later(p - s * by_way, H), z, H), squared(z))
        B = first_design(B, squared(z), z, dy, j)
        echo.append(far(found, wanted))
        lms.append(far(B, wanted))
    return echo, lms, largest(noise[:60])


def first(wanted: Tensor) -> Tensor:
    """Return responses as they start: the weights to the outputs at lag 0."""
    B = torch.zeros_like(wanted)
    B[0] = wanted[0]
    return B


def far(B: Tensor, wanted: Tensor) -> float:
    """Return |B - B*| / |B* - its start|."""
    return float((B - wanted).norm() / wanted[1:].norm())


def largest(noise: list[Tensor]) -> float:
    """Return the largest eigenvalue of the correlation matrix over units and lags, of all noise that was made."""
    z = torch.cat(noise, 2)
    side_by_side = z.unfold(0, H, 1).flatten(0, 2).flatten(1)
    return float(torch.linalg.eigvalsh(torch.corrcoef(side_by_side.T))[-1])


kinds: dict[str, Callable[[], tuple[list[float], list[float], float]]] = {
    "white (ideal)": lambda: of_device("ideal"),
    "telegraph (smtj_koenders)": lambda: of_device("smtj_koenders"),
    "white, units share a tenth": lambda: of_noise(SHAPE, 0.1, 0.0, FEW),
    "white, units share a half": lambda: of_noise(SHAPE, 0.5, 0.0, FEW),
}
figure, panels = plt.subplots(1, len(kinds), figsize=(11, 2.9), layout="constrained", sharey=True)
for (kind, run), panel in zip(kinds.items(), panels, strict=True):
    echo, lms, eigenvalue = run()
    panel.semilogy(range(1, FEW + 1), lms, color=COLOURS[1], label="least mean squares")
    panel.semilogy(range(1, FEW + 1), echo, color=COLOURS[0], label="echo's line search")
    panel.set(title=kind, xlabel="presentations", ylim=(3e-3, 1e3))
    said = "diverge" if lms[-1] > 1e3 else f"are at {lms[-1]:.2g}"
    print(
        f"{kind:27} lambda_max {eigenvalue:5.2f}, s n lambda_max {0.5 * eigenvalue:4.2f}: least mean squares {said}, "
        f"echo is at {echo[-1]:.2g}"
    )
panels[0].set_ylabel("$|B - W_{out} W^k|$, 1 at the start")
panels[0].legend(frameon=False, fontsize=7)
figure.savefig("echo_line_search.png")

# %% [markdown]
# How fast, and how far? Of white noise, n samples a presentation, HN unknowns and outputs with noise of their own
# (r times the variance of a unit's), the squared error of an output's responses goes as
#
# $$\epsilon_m = \frac{HN - 1}{HN + (n - 1) \epsilon / (\epsilon + r)} \epsilon, \qquad
# \epsilon' = \epsilon_m + \frac{\epsilon_m + r}{n - 2}$$
#
# at first by $HN / (n + HN)$ a presentation, then as $r HN / n$ over their number, as least squares over all that was
# heard do, down to about $r \sqrt{HN} / n$. Least mean squares end at $s HN r / (2 - s (n + HN + 1))$.

# %%
T, B, N, MORE = 400, 4, 20, 200
echo, lms, _ = of_noise((T, 2, B, N), 0.0, 1.0, MORE)
unit = float(powers(linear, H)[1:].square().sum() / 4)  # |B* - its start|^2 of one output
n, unknowns = T * B, H * N
expected = [unit]
for _ in range(MORE - 1):
    last = expected[-1]
    best = last * (unknowns - 1) / (unknowns + (n - 1) * last / (last + 1))
    expected.append(best + (best + 1) / (n - 2))
s = 0.5 / n
floors = {
    "echo": (unit * torch.tensor(echo[-100:]).square().mean(), unknowns**0.5 / n),
    "least mean squares": (
        unit * torch.tensor(lms[-100:]).square().mean(),
        s * unknowns / (2 - s * (n + unknowns + 1)),
    ),
}
for name, (measured, said) in floors.items():
    print(f"{name}: squared error {float(measured):.4f} at the end, {said:.4f} expected")
worst = max(max(a / b, b / a) for a, b in zip(expected, (unit * e**2 for e in echo), strict=True))
print(f"echo beside what is expected of it, at all presentations: within a factor {worst:.2f}")
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.loglog(range(1, MORE + 1), [unit * e**2 for e in lms], color=COLOURS[1], label="least mean squares")
axes.loglog(range(1, MORE + 1), [unit * e**2 for e in echo], color=COLOURS[0], label="echo's line search")
axes.loglog(range(1, MORE + 1), expected, "k--", lw=1, label="echo, expected")
axes.loglog(
    range(1, MORE + 1), [unknowns / n / j for j in range(1, MORE + 1)], color=COLOURS[2], lw=1, label="$r HN / nt$"
)
axes.set(xlabel="presentations t", ylabel="squared error of an output's responses", ylim=(2e-3, 3))
axes.legend(frameon=False, fontsize=7)
figure.savefig("echo_floor.png")

# %% [markdown]
# ## 4. The share of node perturbation
#
# $\eta = 0$ is biased and steady, $\eta = 1$ has no bias to first order and the variance of node perturbation on what
# was not predicted. Of updates on one batch whose noise is drawn again and again, the mean squared error of $\eta$
# between is $(1 - \kappa\eta)^2 b^2 + \eta^2 v$, with $\kappa$ the scale that the norm of noise and outputs gives node
# perturbation. Below: b and v as measured at 0 and 1, what follows for 0.3, and what is measured there. All in parts of
# the squared gradient.

# %%
state, _ = list(listening(trained, Echo(lags=LAGS), 200))[-1]


def drawn(rule: Any, known: dict[str, Tensor], many: int) -> tuple[float, float, float]:
    """Return squared bias, variance and mean squared error of the update of w, of noise that is drawn anew."""
    trained.update = 0
    lab, g = trained.lab(), gradient_of(trained, trained.lab()).arrays["w"]
    learner, found = make_learner(rule), list[Tensor]()
    for trained.update in range(1, many + 1):
        anew = replace(lab, streams=trained.lab().streams)  # the same batch, other noise
        found.append(learner.learn(known, anew)[1].arrays["w"])
    updates = torch.stack(found)
    v = float(updates.var(0).sum())
    bias = float((updates.mean(0) - g).square().sum()) - v / many  # less what the mean has of the variance
    scale = float(g.square().sum())
    return bias / scale, v / scale, float((updates - g).square().sum((1, 2)).mean()) / scale


def heard(rule: Echo) -> tuple[float, float]:
    """Return kappa, and what of the credit's variance is left of what echoes did not predict."""
    (block,) = presented(rule, rule.plan(), trained.lab())
    i, dy, e = block.noise["hidden"].i, block.dy, block.errors
    assert e is not None
    squares = i.square().sum(-1) + dy.square().sum(-1)
    kappa = (24 * i.square().mean(-1) / squares).mean()
    p = error_of(state["B hidden"], block.noise["hidden"].z, dy)[: len(dy)]
    without, left = (return_to_go((e.mean(1, keepdim=True) * x).sum(-1), 1.0) for x in (dy, p))
    return float(kappa), float(left.square().mean() / without.square().mean())


DRAWS = 400
kappa, left = heard(Echo(lags=LAGS))
b, _, _ = drawn(Echo(lags=LAGS), state, DRAWS)
rest, v, _ = drawn(Echo(lags=LAGS, eta=1.0), state, DRAWS)
_, _, error = drawn(Echo(lags=LAGS, eta=0.3), state, DRAWS)
_, alone, _ = drawn(ANP(reference="mean", K=1, difference="innovation"), {}, DRAWS)
print(f"kappa {kappa:.3f}; squared bias {b:.4f} at eta 0, at eta 1 {rest:.4f}, expected {(1 - kappa) ** 2 * b:.4f}")
print(
    f"variance {v:.2f} at eta 1, of node perturbation alone {alone:.2f}: {v / alone:.3f} of it; "
    f"of the credit's {left:.3f}"
)
print(f"mean squared error at eta 0.3: {(1 - 0.3 * kappa) ** 2 * b + 0.3**2 * v:.3f} expected, {error:.3f} measured")
print(f"best eta of two passes and 32 sequences: {kappa * b / (kappa**2 * b + v):.4f}")

# %% [markdown]
# ## 5. The loss alone
#
# With `hears: loss` a unit learns the echo of its noise in the scalar loss. That response is the gradient itself, and
# has the sign of the error; one response for all samples and times keeps its mean alone.

# %%
for name, trainer in (("untrained", tanh), ("trained", trained)):
    for hears in ("errors", "loss"):
        late = cosines(trainer, Echo(lags=LAGS, hears=hears), MANY)[-50:]
        print(f"tanh, {name}, hears {hears:6}: cosine {fmean(late):.3f}")
