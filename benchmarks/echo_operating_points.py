"""What stands in echo's way late: how much of the true responses one response a unit explains, and what would help.

python -m benchmarks.echo_operating_points [--seeds 2] [--sequences 256]

Networks of 100 tanh units are trained by echo with the settings of benchmarks.rules on tuning seeds (100 and on), and
looked at a quarter of the way and at the end. There the true responses J_{t,k} = dy_{t+k} / dx_t of every sample are
known by the chain rule. Least squares, weighted by f^2 as echo's own ((3.1) of docs/theory/echo.md), give the best
response of each kind that a unit could hold: one for all; one that is linear in its own activity, in the output that
answers, in both and their product; in the inputs of now and of the next step, that output and their products; one for
each step of the sequence. Printed: the share of the variance of responses beyond lag 0, of echo's 24 lags, that it
explains, and the bias that is left in the update of the recurrent array, squared, in parts of the squared gradient of
all lags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.common import arguments, keep, table
from benchmarks.rules.cells import Cell
from benchmarks.rules.numbers import Numbers
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.trainer import Trainer

TASKS = ("parity", "xor", "mackey_glass")
LAGS = 24
KINDS = ("one for all", "own activity", "output", "activity, output, product", "inputs, output, products", "each step")
TINY = 1e-9


def responses(W: Tensor, W_out: Tensor, f: Tensor, lags: int) -> Iterator[Tensor]:
    """Yield the true responses of lag 0, 1, ...: J_k[t] = dy_{t+k}/dx_t, by J_k[t] = J_{k-1}[t+1] F_{t+1} W.

    Args:
        W: (N, N). W_out: (O, N). f: gains (T, B, N).

    Yields: (T - k, B, O, N).
    """
    J = W_out.expand(*f.shape[:2], *W_out.shape)
    yield J
    for _ in range(1, min(lags, len(f))):
        J = (J[1:] * f[1 : len(J), :, None]) @ W
        yield J


def features(kind: str, k: int, u: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    """Return what a response of lag k is linear in, each of a shape that broadcasts to (T - k, B, N).

    Args:
        u: (T, B, I), of which the first two count. x: (T, B, N). y: (T, B, O), of which the first counts.
    """
    T = len(x) - k
    own, answer, now = x[:T], y[k:, :, :1], [u[:T, :, i : i + 1] for i in range(min(2, u.shape[-1]))]
    following = [torch.cat([u[1:], u[-1:]])[:T, :, i : i + 1] for i in range(len(now))]
    one = torch.ones_like(own)
    if kind == "own activity":
        return [one, own]
    if kind == "output":
        return [one, answer]
    if kind == "activity, output, product":
        return [one, own, answer, own * answer]
    if kind == "inputs, output, products":
        inputs = [*now, *following]
        products = [a * b for a in now for b in following]
        return [one, *inputs, answer, *(each * answer for each in inputs), *products]
    return [one]


def fitted(J: Tensor, weight: Tensor, given: list[Tensor], each_step: bool) -> Tensor:
    """Return what least squares say of responses J (T, B, N), each unit by itself, at all steps together or at each."""
    A = torch.stack([each.expand_as(J) for each in given], -1).transpose(1, 2)  # (T, N, B, P)
    true, share = J.transpose(1, 2).unsqueeze(-1), weight.transpose(1, 2).unsqueeze(-1)
    if not each_step:
        A, true, share = (each.transpose(0, 1).flatten(1, 2) for each in (A, true, share))  # (N, T B, P)
    weighted = (A * share).mT
    square = weighted @ A
    size = square.diagonal(dim1=-2, dim2=-1).mean() * TINY
    found = A @ torch.linalg.solve(square + size * torch.eye(A.shape[-1], dtype=J.dtype), weighted @ true)
    if not each_step:
        found = found.unflatten(1, J.shape[:2]).transpose(0, 1)
    return found.squeeze(-1).transpose(1, 2)


class Seen(NamedTuple):
    """What was seen of one network.

    Args:
        gradient: (N, N), of 1/2 sum_t m_t |y_t - target_t|^2 over all sequences, by the true responses of all lags.
        share: of the variance of responses beyond lag 0 that each kind explains. bias: |update - gradient|^2 over
        |gradient|^2 of the update that each kind of response gives.
    """

    gradient: Tensor
    share: Mapping[str, float]
    bias: Mapping[str, float]


def seen(W: Mapping[str, Tensor], u: Tensor, target: Tensor, mask: Tensor, lags: int = LAGS) -> Seen:
    """Hold the responses that each kind of unit could know, of so many lags, to the true ones of all lags.

    Args:
        W: w_in (N, I), w (N, N), w_out (1, N). u: (T, B, I). target: (T, B, 1). mask: (T,). lags: H, two at least.
    """
    x = [u.new_zeros(u.shape[1], len(W["w"]))]
    for step in u:
        x.append(torch.tanh(step @ W["w_in"].T + x[-1] @ W["w"].T))
    before, x = torch.stack(x[:-1]), torch.stack(x[1:])
    y, f = x @ W["w_out"].T, 1 - x.square()
    e = (y - target) * mask.reshape(-1, 1, 1)
    exact, updates = torch.zeros_like(x), {kind: torch.zeros_like(x) for kind in KINDS}
    left, whole = dict.fromkeys(KINDS, 0.0), 0.0
    for k, response in enumerate(responses(W["w"], W["w_out"], f, len(f))):
        J = response[:, :, 0]  # of one output
        exact[: len(J)] += J * e[k:]
        weight = f[: len(J)].square()
        whole += float((weight * J.square()).sum()) if 0 < k < lags else 0.0
        for kind in KINDS if k < lags else ():
            guess = fitted(J, weight, features(kind, k, u, x, y), kind == "each step")
            updates[kind][: len(J)] += guess * e[k:]
            left[kind] += float((weight * (J - guess).square()).sum()) if k else 0.0
    gradient, *found = (torch.einsum("tbj,tbi->ji", f * g, before) for g in (exact, *updates.values()))
    bias = {
        kind: float((each - gradient).norm() / gradient.norm()) ** 2 for kind, each in zip(KINDS, found, strict=True)
    }
    return Seen(gradient, {kind: 1 - left[kind] / whole for kind in KINDS}, bias)


def look(trainer: Trainer, sequences: int) -> Seen:
    """Look at a network as it is, on sequences that it learns from next."""
    now = trainer.update
    batches = [replace(trainer, update=now + 1 + k).lab() for k in range(sequences // trainer.batch)]
    u, target = (torch.cat(parts, 1).double() for parts in zip(*((b.inputs, b.targets) for b in batches), strict=True))
    W = {name: value.double() for name, value in trainer.substrate.weights.items()}
    return seen(W, u, target, batches[0].mask.double())


def trained(task: str, seed: int, sequences: int) -> list[Seen]:
    """Train one network by echo and return what is seen a quarter of the way, and at the end."""
    cell = Cell(task, "ideal", "echo")
    config = cell.run(cell.setting(Numbers()), seed, controls=False).config
    trainer, found = build_trainer(Experiment.of(config)), []
    for update in range(trainer.updates):
        if update in (trainer.updates // 4, trainer.updates - 1):
            found.append(look(trainer, sequences))
        trainer.step()
    return found


def main() -> None:
    """Train, look, and write the table."""
    options = arguments(__doc__ or "", seeds=2, sequences=256)
    torch.set_num_threads(1)
    rows = []
    for task in TASKS:
        runs = [trained(task, 100 + seed, options.sequences) for seed in range(options.seeds)]
        for moment, when in enumerate(("a quarter of the way", "at the end")):
            for kind in KINDS:
                share = median(run[moment].share[kind] for run in runs)
                bias = median(run[moment].bias[kind] for run in runs)
                rows.append([task, when, kind, f"{share:.2f}", f"{bias:.2g}"])
    heads = ["task", "when", "what a response may depend on", "share explained beyond lag 0", "squared bias"]
    keep("echo_operating_points", "Echo: what responses could know", table(heads, rows),
         "benchmarks.echo_operating_points")  # fmt: skip


if __name__ == "__main__":
    main()
