"""Delta passes: the passes of an update as one of them and the differences from it, against passes run side by side.

    h^0_t = W x^0_{t-1} + drive_t + n^0_t       dh_t = W dx_{t-1} + n_t - n^0_t        x = tanh h
    dx = tanh(dh) (1 - x0^2) / (1 + x0 tanh(dh))        dL = dy (dy + 2 (y^0 - target))

Nothing of this subtracts two numbers that are nearly the same, so differences keep their digits however small the noise
is, and may be computed in less precision than the pass that they are of. `python -m benchmarks.delta_passes [--keep]`
prints how far an update of ANP (gamma 1, global norm) points along that of the same noise in double precision, and what
the loop takes beside today's. One thread; the loops are those of `neuroanp.kernels.passes`, and their like.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numba import njit
from torch import Tensor

from benchmarks.common import keep_parts, table
from benchmarks.speed.timing import in_turn, middle, ratios
from neuroanp.kernels import passes
from neuroanp.kernels.draws import draw
from neuroanp.kernels.passes import ANY_ORDER, drive_and_noise, tanh
from neuroanp.learning.credit import return_to_go
from neuroanp.noise import PassStreams, Streams

f32 = np.float32
SIGMAS = [10.0**-k for k in range(8, 0, -1)]
STEPS, BATCH, INPUTS = 100, 32, 1
TITLE = "Delta passes: one pass, and the differences from it"
DIRECTION, TIME = "Direction of the update", "Time of the passes"
VERDICT = "Verdict"
SAID = """\
Not part of the package. The update agrees better than today's at every sigma and does not depend on it, TF32 included.
But it wins nowhere that users are. In float32 today's passes point along the exact update to 2.3e-5 (1 - cosine) from
sigma 1e-5 on, and to 2.6e-9 at 1e-3; a run below 1e-5 is warned, and has compute.dtype float64. On a CPU there is no
time to win: 2 passes take .96 to .99 of today's loop, 17 take 1.01 to 1.22. Tensor cores do not need it either where
sigma is 1e-3 or more: passes side by side whose operands are rounded to TF32 lose 5e-3 of the direction at 1e-3 and
5e-5 at 1e-2. Below 1e-3 in TF32 only delta passes keep it; the time on a GPU was not measured."""
Rounded = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    """A network, a batch and what passes draw, in double precision.

    Args:
        W, W_in, W_out: matrices. u, target: (T, B, 1). xi: (T, M, B, N + 1) standard normals.
    """

    W: Tensor
    W_in: Tensor
    W_out: Tensor
    u: Tensor
    target: Tensor
    xi: Tensor

    @classmethod
    def of(cls, units: int, passes_: int, seed: int) -> Problem:
        """Draw one: Xavier normal weights, white inputs, targets that the outputs miss by about as much as they are."""
        streams = Streams(seed)
        rng = streams.generator("delta")

        def normal(*shape: int) -> Tensor:
            return torch.from_numpy(rng.standard_normal(shape).astype(f32)).double()

        W = normal(units, units) * units**-0.5
        W_in, W_out = normal(units, INPUTS) * (2 / (units + 1)) ** 0.5, normal(1, units) * (2 / (units + 1)) ** 0.5
        W, W_in, W_out = (each.float().double() for each in (W, W_in, W_out))  # the same in both precisions
        at = PassStreams(streams, "train", 0)
        xi = [draw("normal", at.at("delta", m), STEPS, (BATCH, units + 1), f32) for m in range(passes_)]
        shape = STEPS, BATCH, 1
        return cls(W, W_in, W_out, normal(*shape), normal(*shape), torch.from_numpy(np.stack(xi, 1)).double())

    def cast(self, dtype: torch.dtype) -> Problem:
        """Return it in another precision."""
        return Problem(*(each.to(dtype) for each in self.__dict__.values()))


def side_by_side(p: Problem, sigma: float, rounded: Rounded = lambda t: t) -> dict[str, Tensor]:
    """Return the update of passes run side by side, each against their mean; of two, one against the other."""
    M, n = p.xi.shape[1], len(p.W)
    x = p.W.new_zeros(M, BATCH, n)
    W, drive, hs, xs = rounded(p.W), (p.u @ p.W_in.T)[:, None], [], [x]
    for t in range(STEPS):
        h = drive[t] + sigma * p.xi[t, ..., :n] + rounded(x) @ W.T
        x = torch.tanh(h)
        hs.append(h)
        xs.append(x)
    h, x = torch.stack(hs), torch.stack(xs)
    y = x[1:] @ p.W_out.T + sigma * p.xi[..., n:]
    L = (y - p.target[:, None]).square().mean(-1)

    def apart(v: Tensor) -> Tensor:
        return v[:, :1] - v[:, 1:] if M == 2 else v - v.mean(1, keepdim=True)

    return anp(apart(h), apart(y), apart(L), x.mean(1), p.u)


def delta(p: Problem, sigma: float, rounded: Rounded = lambda t: t) -> dict[str, Tensor]:
    """Return the same update of one pass and the differences from it; rounded: operands of the differences' product."""
    M, n = p.xi.shape[1], len(p.W)
    x0, dx = p.W.new_zeros(BATCH, n), p.W.new_zeros(M - 1, BATCH, n)
    W, drive = rounded(p.W), p.u @ p.W_in.T
    noise = p.xi[:, 1:] - p.xi[:, :1]
    dhs, dys, xs, ys = [], [], [x0], []
    for t in range(STEPS):
        x0 = torch.tanh(drive[t] + sigma * p.xi[t, 0, :, :n] + x0 @ p.W.T)
        dh = sigma * noise[t, ..., :n] + rounded(dx) @ W.T
        a = torch.tanh(dh)
        dx = a * (1 - x0 * x0) / (1 + x0 * a)
        dhs.append(dh)
        dys.append(sigma * noise[t, ..., n:] + dx @ p.W_out.T)
        ys.append(sigma * p.xi[t, 0, :, n:] + x0 @ p.W_out.T)
        xs.append(x0 + dx.sum(0) / M)
    dh, dy = torch.stack(dhs), torch.stack(dys)
    e = torch.stack(ys) - p.target
    dL = (dy * (dy + 2 * e[:, None])).mean(-1)

    def apart(d: Tensor) -> Tensor:  # the first differs from itself by nothing
        return -d if M == 2 else torch.cat([torch.zeros_like(d[:, :1]), d], 1) - d.sum(1, keepdim=True) / M

    return anp(apart(dh), apart(dy), apart(dL), torch.stack(xs), p.u)


def anp(dh: Tensor, dy: Tensor, dL: Tensor, x: Tensor, u: Tensor) -> dict[str, Tensor]:
    """Return dW of differences (T, R, B, .) and the mean activity x (T + 1, B, N), zeros first."""
    s = torch.linalg.vecdot(dh, dh) + torch.linalg.vecdot(dy, dy)
    gain = (dh.shape[-1] + 1) / s / (BATCH * dh.shape[1])
    A = ((return_to_go(dL, 1.0) * gain)[..., None] * dh).sum(1)
    A_y = ((dL * gain)[..., None] * dy).sum(1)
    of = {"w": (A, x[:-1]), "w_in": (A, u), "w_out": (A_y, x[1:])}
    return {name: a.flatten(0, 1).T @ pre.flatten(0, 1) for name, (a, pre) in of.items()}


def tf32(t: Tensor) -> Tensor:
    """Round to the 10 bits behind the point that tensor cores read of a float32, to nearest even.

    >>> tf32(torch.tensor([1 + 2**-11, 1 + 3 * 2**-11])).tolist() == [1, 1 + 2**-9]
    True
    """
    bits = t.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


WAYS: dict[str, Callable[[Problem, float], dict[str, Tensor]]] = {
    "side by side": side_by_side,
    "side by side, TF32": lambda p, sigma: side_by_side(p, sigma, tf32),
    "delta": delta,
    "delta, TF32": lambda p, sigma: delta(p, sigma, tf32),
    "delta, bfloat16": lambda p, sigma: delta(p, sigma, lambda t: t.bfloat16().float()),
}


def directions(units: int, M: int, seeds: int) -> list[list[str]]:
    """Return rows: how far each way's update of W points along that in double precision, and how long it is."""
    rows = []
    for sigma in SIGMAS:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        for seed in range(seeds):
            problem = Problem.of(units, M, seed)
            true, single = side_by_side(problem, sigma)["w"], problem.cast(torch.float32)
            exact = delta(problem, sigma)["w"]  # at small sigma even double precision loses digits by subtracting
            assert alike(true, exact)[0] > 1 - 1e-6, (sigma, alike(true, exact))
            for name, way in WAYS.items():
                found[name].append(alike(way(single, sigma)["w"].double(), exact))
        rows.append([f"{units}", f"{M}", f"{sigma:.0e}", *(told(each) for each in found.values())])
        print(rows[-1], flush=True)
    return rows


def alike(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Return the cosine of two matrices, and the norm of the first over that of the second."""
    return float((a * b).sum() / a.norm() / b.norm()), float(a.norm() / b.norm())


def told(found: list[tuple[float, float]]) -> str:
    """Write the median of 1 - cosine with the largest, and the median of the norms."""
    lost = sorted(1 - cosine for cosine, _ in found)
    return f"{max(0, median(lost)):.1e} ({max(0, lost[-1]):.1e}), {median(norm for _, norm in found):.4g}"


@njit(error_model="numpy", fastmath=ANY_ORDER)
def follow(h, dh, product, x0, dx, noise, d, s, pre):  # pyright: ignore
    """Do the elementwise part of a step: rows (M, B, n) of h are pass 0, and the noise of the others."""
    M, B, n = h.shape
    share = f32(1) / f32(M)
    for b in range(B):
        zero, under, mean, was = h[0, b], product[b], pre[b], x0[b]
        for i in range(n):
            zero[i] += under[i]
            was[i] = tanh(zero[i])
            mean[i] = was[i]
        for m in range(1, M):
            line, more, to, own, first = dh[m - 1, b], product[m * B + b], dx[m - 1, b], noise[m, b], noise[0, b]
            for i in range(n):
                line[i] = own[i] - first[i] + more[i]
                a = tanh(line[i])
                to[i] = a * (f32(1) - was[i] * was[i]) / (f32(1) + was[i] * a)
                mean[i] += share * to[i]
        if M == 2:
            kept, total = d[0, b], f32(0)
            for i in range(n):
                kept[i] = -dh[0, b, i]
                total += kept[i] * kept[i]
            s[0, b] = total
            continue
        common = d[0, b]
        for i in range(n):
            common[i] = dh[0, b, i]
        for m in range(1, M - 1):
            for i in range(n):
                common[i] += dh[m, b, i]
        for i in range(n):
            common[i] *= -share
        for m in range(M):
            kept, total = d[m, b], f32(0)
            for i in range(n if m else 0):
                kept[i] = dh[m - 1, b, i] + common[i]
            for i in range(n):
                total += kept[i] * kept[i]
            s[m, b] = total


@njit(error_model="numpy")
def recur_delta(drive, wt, x, d, s, pre, nothing, key, update, streams, factors, t0):  # pyright: ignore
    """Do all steps as `passes.recur` does: the same draws, the same products, differences in the place of passes."""
    M, B = len(streams), drive.shape[2]
    n = len(wt)
    product, noise = np.empty((M * B, n), f32), np.empty((M, B, n), f32)
    h, dh = np.empty((M, B, n), f32), np.empty((M - 1, B, n), f32)
    all_x = np.zeros((M, B, n), f32)  # pass 0, then the differences
    flat = all_x.reshape(M * B, n)
    flat[:] = x
    for t in range(len(drive)):
        drive_and_noise(noise, nothing, key, update, streams, factors, t0 + t)
        for b in range(B):
            for i in range(n):
                h[0, b, i] = drive[t, 0, b, i] + noise[0, b, i]
        np.dot(flat, wt, product)
        follow(h, dh, product, all_x[0], all_x[1:], noise, d[t], s[t], pre[t])


def timed(units: int, M: int, seconds: float) -> list[str]:
    """Return a row: the compiled loop of differences over that of passes, turn by turn."""
    rng = np.random.default_rng(0)
    wt = (rng.standard_normal((units, units)) * units**-0.5).astype(f32)
    drive = rng.standard_normal((STEPS, 1, BATCH, units)).astype(f32)
    R = 1 if M == 2 else M
    x, hs = np.zeros((M * BATCH, units), f32), np.empty((1, M, BATCH, units), f32)
    xs, d = np.empty((STEPS, M, BATCH, units), f32), np.empty((STEPS, R, BATCH, units), f32)
    s, pre = np.empty((STEPS, R, BATCH), f32), np.empty((STEPS, BATCH, units), f32)
    pairs = np.array([[0, 1]] if M == 2 else [], np.int64).reshape(-1, 2)
    nothing = np.zeros((1, BATCH, units), f32)
    address = (1, 2), 0, np.arange(M), np.full(M, f32(1e-2))

    def now(number: int) -> None:
        key, _, streams, factors = address
        passes.recur(drive, wt, x, hs, xs, d, s, pre, key, number, streams, factors, 0, pairs, -1)

    def differences(number: int) -> None:
        key, _, streams, factors = address
        recur_delta(drive, wt, x, d, s, pre, nothing, key, number, streams, factors, 0)

    now(0)
    kept = d.copy(), s.copy(), pre.copy()
    differences(0)
    for a, b in zip(kept, (d, s, pre), strict=True):  # both do the same arithmetic, to rounding
        assert np.abs(a - b).max() < 1e-3 * np.abs(a).max()
    times = in_turn({"now": now, "delta": differences}, seconds)
    shown = middle(ratios(times["delta"], times["now"]))
    print(units, M, shown, flush=True)
    return [f"{units}", f"{M}", shown]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser("python -m benchmarks.delta_passes", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="networks and draws (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each size that is timed (default %(default)s)")
    parser.add_argument("--only", choices=(DIRECTION, TIME), help="this table alone")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/delta_passes.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts: dict[str, str] = {}
    if options.only != TIME:
        rows = [row for units in (64, 256) for M in (2, 17) for row in directions(units, M, options.seeds)]
        parts[DIRECTION] = table(["N", "M", "sigma", *WAYS], rows)
    if options.only != DIRECTION:
        times = [timed(units, M, options.seconds) for units in (64, 256, 1000) for M in (2, 17)]
        parts[TIME] = table(["N", "M", "delta / side by side [middle half]"], times)
    if options.keep:
        keep_parts(
            "delta_passes", TITLE, {**parts, VERDICT: SAID}, [VERDICT, DIRECTION, TIME], "benchmarks.delta_passes"
        )
        return
    print("\n\n".join(parts.values()))


if __name__ == "__main__":
    main()
