"""Conductances as a tile's wires let them act, fast: ladders for every line, smooth waves for what couples them.

The exact G_eff of `wires.WireNetwork` in two steps. Alone, with every crossing line ideal, a line is a
ladder: 1 V at its end falls to w_ij along word line j and to lambda_ij along bit line i (adjoint), by a
recursion of one step a device. With A the nodal matrix, it holds exactly that

    G_eff_ij = G_ij w_ij lambda_ij + sum_kl (G lambda)_il [A^-1]_{word il, bit kj} (G w)_kj

The remainder is current that leaves word line j through device kj, raises bit line k, and comes round
about word line l to bit line i. Summed over so many ways it depends on the smooth part of the
potentials alone, so A^-1 is taken in the subspace of the first `modes` standing waves along either line,
each line weighted by how strongly it is loaded (Galerkin projection). A is symmetric and positive
definite and so is every projection: nothing iterates, nothing can diverge, and with as many modes as
a line has devices the result is exact. What is lost is the random part of G in the remainder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import isfinite, prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import numpy_dtype
from neuroanp.errors import InputError, RunError
from neuroanp.substrates.wires import WireNetwork, check_resistance

MODES = 4
SINGULAR = 1e-3
"""Largest rounding of a line's potentials, as a fraction, that a result may hold."""
Places = dict[tuple[int, ...], list[tuple[int, int, int]]]
"""Shapes of tiles, and where those of each begin: plane, output, input."""
FLOOR = 0.1
"""Least weight of a line, in units of the mean line's: keeps the waves independent when most lines are open."""


class Wired(NamedTuple):
    """Tiles as their wires let them act, approximately.

    Args:
        G_eff: (..., n, m) siemens, I = G_eff V.
        gain: (..., n, m), what is left at its output of the change of one device: see `WireNetwork.diagonal_gain`.
    """

    G_eff: Tensor
    gain: Tensor


class WireError(NamedTuple):
    """Error of the fast approximation's currents, as fractions of the largest exact current."""

    max: float
    rms: float


def line_factors(G: Tensor, r_word: float, r_bit: float) -> tuple[Tensor, Tensor]:
    """Return what 1 V at a line's end falls to at each device if the lines it crosses are ideal.

        w_ij = prod_{k<=i} 1 / (1 + y_kj),  y_kj = r_word G_kj + y_{k+1,j} / (1 + y_{k+1,j})

    and lambda likewise along the bit lines from their grounded ends.

    Args:
        G: (..., n, m) siemens.
        r_word: ohm a segment of a word line.
        r_bit: ohm a segment of a bit line.

    Returns: w and lambda, (..., n, m), dimensionless.

    >>> w, lam = line_factors(torch.full((2, 1), 1e-3), r_word=1000.0, r_bit=1000.0)
    >>> w.tolist(), lam.tolist()  # 1 kohm, then 1 || (1 + 1) kohm
    ([[0.4000000059604645], [0.20000000298023224]], [[0.5], [0.5]])
    """
    down = (G.mT * r_bit).flip(-2)
    return ladder(G * r_word), ladder(down).flip(-2).mT.contiguous()  # what follows goes row by row


def ladder(g: Tensor) -> Tensor:
    """Return the voltage at each node of ladders (..., length, lines) driven with 1 V before their first node.

    >>> ladder(torch.tensor([[1.0]])).item()  # a segment of 1 and a device of as much: half the voltage
    0.5
    """
    if not looped(g):
        return plain_ladder(g)
    from neuroanp.kernels import wire_loops

    g = g.contiguous()
    out = torch.empty_like(g)
    rows = prod(g.shape[:-2])
    wire_loops.ladder(*(x.view(rows, *g.shape[-2:]).numpy() for x in (g, out)))
    return out


def plain_ladder(g: Tensor) -> Tensor:
    """Do it in torch, on any device.

    >>> plain_ladder(torch.tensor([[1.0], [0.0]])).flatten().tolist()  # what is open takes no current
    [0.5, 0.5]
    """
    y = torch.empty_like(g)
    beyond = torch.zeros_like(g[..., 0, :])
    for at in range(g.shape[-2] - 1, -1, -1):
        beyond = torch.addcdiv(g[..., at, :], beyond, beyond + 1.0)
        y[..., at, :] = beyond
    return y.add_(1.0).reciprocal_().cumprod(-2)


def effective_conductance_fast(G: Tensor, r_word: float, r_bit: float, modes: int = MODES) -> Tensor:
    """Return G_eff, I = G_eff V, of tiles with wire resistance, approximately; see `solve_fast`.

    >>> round(float(effective_conductance_fast(torch.tensor([[1e-3]]), 200.0, 300.0)) * 1e3, 6)  # 1500 ohm
    0.666667
    """
    return solve_fast(G, r_word, r_bit, modes).G_eff


def solve_fast(G: Tensor, r_word: float, r_bit: float, modes: int = MODES) -> Wired:
    """Return what the conductances of tiles look like through their wires, approximately.

    The figure that counts is x = r N^2 mean(G). With 4 modes, for devices drawn independently and uniformly,
    the largest error of the currents is below 0.1 % of the largest current at x = 0.6, 0.3 % at x = 2 and
    1 % at x = 9; it grows with the spread of the devices and wherever r N max(G) is not small.
    `wire_error` measures it.

    Args:
        G: (..., n, m) siemens >= 0: n bit lines, m word lines; planes and tiles lead.
        r_word: ohm a segment of a word line.
        r_bit: ohm a segment of a bit line.
        modes: standing waves along each line; 0 leaves the remainder out, max(n, m) is exact.

    Returns: G_eff and gain, of the dtype and device of G; the gain is exact to first order in r G.
    Raises:
        InputError: negative conductance or resistance, or modes < 0.
        RunError: conductances and segments too far apart for the dtype, or the result is not finite.

    >>> G = torch.full((1, 1), 1e-3, dtype=torch.float64)
    >>> round(solve_fast(G, 100.0, 0.0)[0].item() * 1e3, 4)  # 1 kOhm behind 100 Ohm
    0.9091
    """
    if G.dim() < 2 or modes < 0:
        raise _refusal(G, modes)
    return _checked(G, r_word, r_bit, max(G.shape[-2:]), modes, lambda: _solve(G, r_word, r_bit, modes))


def solve_tiles(G: Tensor, r_word: float, r_bit: float, heights: Sequence[int], widths: Sequence[int]) -> Wired:
    """Return what `solve_fast` makes of every tile of arrays (planes, n, m), in their places.

    Args: G, r_word, r_bit: see `solve_fast`. heights, widths: of the tiles; they sum to n and m.
    """
    places: Places = {}
    tops, starts = ([0, *accumulate(sizes)] for sizes in (heights, widths))
    for height, top in zip(heights, tops, strict=False):
        for width, start in zip(widths, starts, strict=False):
            places.setdefault((height, width), []).extend((plane, top, start) for plane in range(len(G)))
    longest = max(*heights, *widths)
    return _checked(G, r_word, r_bit, longest, MODES, lambda: _loops(G.contiguous(), places, r_word, r_bit, MODES))


def _refusal(G: Tensor, modes: int) -> InputError:
    return InputError(
        f"wires: G must be (..., n, m) conductances >= 0 siemens and modes >= 0, got shape {tuple(G.shape)} and "
        f"{modes} modes; clip read conductances at 0"
    )


def _checked(G: Tensor, r_word: float, r_bit: float, longest: int, modes: int, solve: Callable[[], Wired]) -> Wired:
    """Return what `solve` finds, between the checks that `solve_fast` promises; longest: devices on a line."""
    check_resistance(r_word, r_bit)
    least, most = ends(G)
    if not least >= 0:
        raise _refusal(G, modes)
    strongest = max(r_word, r_bit) * most
    if strongest * longest * torch.finfo(G.dtype).eps > SINGULAR:
        raise RunError(
            f"wire network is numerically singular: a device conducts up to {strongest:.1g} times as well as a "
            f"segment (r_word {r_word:g} ohm, r_bit {r_bit:g} ohm, G up to {most:g} S): check their units, "
            "give a broken line G = 0 and an ideal one r = 0, compute in float64 or solve exactly"
        )
    found = solve()
    if not all(isfinite(end) for end in ends(found.G_eff)):
        raise RunError(
            f"wires: conductances up to {most:g} S and segments of {r_word:g} and {r_bit:g} ohm leave the "
            f"range of {G.dtype}: check their units, compute in float64 or solve exactly (hardware.wires: exact)"
        )
    return found


def _solve(G: Tensor, r_word: float, r_bit: float, modes: int) -> Wired:
    """Return what `solve_fast` does, by compiled loops where there are any for such tensors."""
    if not looped(G):
        return plain_solve(G, r_word, r_bit, modes)
    tiles = G.contiguous().view(prod(G.shape[:-2]), *G.shape[-2:])
    places = [(tile, 0, 0) for tile in range(len(tiles))]
    return Wired(*(each.view(G.shape) for each in _loops(tiles, {G.shape[-2:]: places}, r_word, r_bit, modes)))


def _loops(G: Tensor, places: Places, r_word: float, r_bit: float, modes: int) -> Wired:
    """Solve tiles of arrays (planes, n, m) in place: plane, first output and first input of those of each shape."""
    from neuroanp.kernels import wire_loops
    from neuroanp.kernels.blas import one_thread

    found, kind = Wired(torch.empty_like(G), torch.empty_like(G)), numpy_dtype(G)
    of, seen, reach = (each.numpy() for each in (G, *found))
    for shape, at in places.items():
        (U, tau), (Q, theta) = (_waves(length, modes, G.dtype, G.device) for length in shape)
        along, across = (U.numpy(), tau.numpy()), (Q.flip(0).numpy(), theta.numpy())
        where = np.array(at, np.int64).reshape(-1, 3)
        with one_thread():
            wire_loops.solve(of, where, kind(r_word), kind(r_bit), along, across, kind(FLOOR), seen, reach)
    return found


def plain_solve(G: Tensor, r_word: float, r_bit: float, modes: int) -> Wired:
    """Do it in torch, on any device."""
    w, lam = line_factors(G, r_word, r_bit)
    G_eff = G * w * lam
    if modes:
        G_eff += _round_about(G, G * w, G * lam, r_word, r_bit, modes)
    return Wired(G_eff, w * lam * _own_load(G, r_word, r_bit))


def looped(G: Tensor) -> bool:
    """Return whether compiled loops solve such tensors."""
    return G.device.type == "cpu" and G.dtype in (torch.float32, torch.float64)


def ends(G: Tensor) -> tuple[float, float]:
    """Return the least and the largest number, both NaN where any is; 0 of none."""
    if not G.numel():
        return 0.0, 0.0
    least, most = torch.aminmax(G)
    return float(least), float(most)


def _own_load(G: Tensor, r_word: float, r_bit: float) -> Tensor:
    """Return what a device's own current leaves of its voltage, to first order; w and lambda hold half of it each.

    d/dG of G / (1 + R G) is 1 / (1 + R G)^2, R the segments between the device and its two terminals.
    """
    n, m = G.shape[-2:]
    up = r_word * torch.arange(1, n + 1, dtype=G.dtype, device=G.device).unsqueeze(-1)
    down = r_bit * torch.arange(m, 0, -1, dtype=G.dtype, device=G.device)
    return 1.0 / ((1.0 + up * G) * (1.0 + down * G))


def _round_about(G: Tensor, Gw: Tensor, Gl: Tensor, r_word: float, r_bit: float, modes: int) -> Tensor:
    """Return the remainder, G_eff - G w lambda, from the waves along both lines; each product is a small one.

    Word lines have the waves U_ip Q_lq s_l (sections il), bit lines U_ip s_i Q_lq; index pairs (p, q) are flat.
    """
    n, m = G.shape[-2:]
    U, tau = _waves(n, modes, G.dtype, G.device)
    Q, theta = _waves(m, modes, G.dtype, G.device)
    Q = Q.flip(0)  # bit lines are held at their last node
    Qs = Q * _weight(G.sum(-2), r_word * n).unsqueeze(-1)
    Us = U * _weight(G.sum(-1), r_bit * m).unsqueeze(-1)
    coupling = _project(G, U, Us, Qs, Q)
    word = _kron(tau.diag(), Qs.mT @ Qs) + r_word * _project(G, U, U, Qs, Qs)
    bit = _kron(Us.mT @ Us, theta.diag()) + r_bit * _project(G, Us, Us, Q, Q)
    top = torch.cat([word, -r_word * coupling], -1)
    A = torch.cat([top, torch.cat([-r_bit * coupling.mT, bit], -1)], -2)  # times r: r = 0 is no special case
    source = torch.zeros_like(A[..., A.shape[-1] // 2 :])
    source[..., A.shape[-1] // 2 :, :] = r_bit * torch.eye(source.shape[-1], dtype=G.dtype, device=G.device)
    word_of_bit = torch.linalg.solve(A, source)[..., : source.shape[-1], :]
    left = (U.unsqueeze(-1) * (Gl @ Qs).unsqueeze(-2)).flatten(-2)  # (n, pq)
    right = ((Us.mT @ Gw).unsqueeze(-2) * Q.mT).flatten(-3, -2)  # (pq, m)
    return left @ word_of_bit @ right


@lru_cache(maxsize=16)
def _waves(length: int, modes: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the first eigenvectors (length, modes) and eigenvalues of a line held before its first node."""
    angle = torch.pi * (torch.arange(min(modes, length), dtype=torch.float64) + 0.5) / (length + 0.5)
    U = torch.sin(torch.arange(1, length + 1, dtype=torch.float64).unsqueeze(-1) * angle)
    return (U / U.norm(dim=0)).to(device, dtype), (2.0 - 2.0 * torch.cos(angle)).to(device, dtype)


def _weight(load: Tensor, r: float) -> Tensor:
    """Return how far current from elsewhere moves each line, relative to the mean: load / (1 + r load / 3)."""
    weight = load / (1.0 + r * load / 3.0)
    mean = weight.mean(-1, keepdim=True)
    return weight / torch.where(mean > 0, mean, 1.0) + FLOOR


def _project(G: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Return sum_il G_il A_ip B_ip' C_lq D_lq' as a matrix (pq, p'q')."""
    P, Q = A.shape[-1], C.shape[-1]
    along = (A.unsqueeze(-1) * B.unsqueeze(-2)).flatten(-2)
    across = (C.unsqueeze(-1) * D.unsqueeze(-2)).flatten(-2)
    return (
        (along.mT @ G @ across).unflatten(-1, (Q, Q)).unflatten(-3, (P, P)).movedim(-3, -2).flatten(-4, -3).flatten(-2)
    )


def _kron(A: Tensor, B: Tensor) -> Tensor:
    """Return the Kronecker product of matrices, batched over leading dimensions."""
    product = A[..., :, None, :, None] * B[..., None, :, None, :]
    return product.flatten(-4, -3).flatten(-2)


def wire_error(G: Tensor, r_word: float, r_bit: float, V: Tensor | None = None, modes: int = MODES) -> WireError:
    """Return the error of the fast approximation against the exact solve.

    Args:
        G: one tile, (n, m) siemens.
        r_word: ohm a segment of a word line.
        r_bit: ohm a segment of a bit line.
        V: inputs (m, k) volts; None drives one word line at a time.
        modes: as in `effective_conductance_fast`.

    Returns: largest and root mean square deviation of the currents, both over the largest current.

    >>> wire_error(torch.arange(20.0).view(4, 5) * 1e-5, 10.0, 10.0, modes=5).max < 1e-5  # as many modes as devices
    True
    """
    fast = effective_conductance_fast(G, r_word, r_bit, modes).double().cpu()
    exact = torch.from_numpy(WireNetwork(G.double().cpu().numpy(), r_word, r_bit).transfer())
    if V is not None:
        fast, exact = fast @ V.double().cpu(), exact @ V.double().cpu()
    off, largest = (fast - exact).abs(), float(exact.abs().max()) or 1.0
    return WireError(float(off.max()) / largest, float(off.square().mean().sqrt()) / largest)
