"""Currents of a tile whose devices are not ohmic, or whose lines float: the nodal equations by Newton's method.

    I_ij = G_ij V_0 sinh((w_ij - b_ij) / V_0)

is the current of a device between word line j and bit line i, the lines being those of `substrates.wires`; V_0 infinite
is an ohmic device. Kirchhoff's current law is the condition for the least co-content of the network (Millar, Phil. Mag.
42, 1150, 1951),

    Q(u) = sum G V_0^2 (cosh(v / V_0) - 1) + sum (du)^2 / (2 r),

which is convex: Newton's steps, halved while they do not lower it, end at its only minimum. A line that is not driven,
or not sensed, floats: its end is open, and currents sneak through it from device to device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neuroanp.errors import InputError, RunError
from neuroanp.substrates.wires import check_resistance, conductances

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

ENOUGH = 1e-12
"""Newton's last step, as a fraction of the largest voltage: the one after it would be lost in rounding."""
ROUGH, FLAT = 1e-2, 0.25
"""The same on the way to V_0, and the first V_0 of the way."""
STEPS, LEAST, ROUNDING = 100, 1e-12, 1e-10
"""Newton's steps, the least share of one, and what of the co-content is rounding."""
LARGEST = 500.0
"""Voltage over V_0 beyond which the devices' currents leave the floats' range."""


class NonlinearNetwork:
    """One tile of devices with I = G V_0 sinh(V/V_0), on lines of which some may float.

    Potentials, inputs and currents are float64. G_ij = 0 is an open device, a resistance of 0 an ideal line.

    Args:
        G: (n, m) siemens >= 0 at low voltage: n bit lines (outputs), m word lines (inputs).
        r_word, r_bit: ohm a segment, as in `WireNetwork`.
        v_0: volts; None: ohmic devices.
        driven: word lines that have a driver; the others float. None: all.
        sensed: bit lines that are held at 0 V and read; the others float. None: all.

    Raises:
        InputError: a conductance, resistance or v_0 out of range, or a floating line that nothing ties to a voltage.

    >>> net = NonlinearNetwork([[1e-3]], r_word=0.0, r_bit=0.0, v_0=0.1)
    >>> [round(1e3 * float(i), 6) for i in net.currents(np.array([[0.1, -0.3]]))[0]], round(0.1 * math.sinh(1.0), 6)
    ([0.11752, -1.001787], 0.11752)
    """

    def __init__(
        self,
        G: ArrayLike,
        r_word: float,
        r_bit: float,
        v_0: float | None = None,
        driven: Sequence[int] | None = None,
        sensed: Sequence[int] | None = None,
    ) -> None:
        check_resistance(r_word, r_bit)
        self.G: Array = conductances(G)
        if v_0 is not None and not 0 < v_0 < math.inf:
            raise InputError(f"wires: v_0 must be finite and above 0 V, got {v_0:g}; None is an ohmic device")
        self.shape: tuple[int, int] = self.G.shape
        self.r_word, self.r_bit, self.v_0 = float(r_word), float(r_bit), v_0
        self.driven, self.sensed = (
            _lines(name, chosen, size)
            for name, chosen, size in (("driven", driven, self.shape[1]), ("sensed", sensed, self.shape[0]))
        )
        self._lay()

    # ---- which nodes there are ----

    def _lay(self) -> None:
        """Number the nodes: those of lines first, then the m terminals of word lines, then ground.

        An ideal line is one node, the terminal itself where it is driven (or ground where it is sensed).
        """
        from scipy.sparse import coo_array

        n, m = self.shape
        own = n * m
        terminal, ground = 2 * own + np.arange(m), 2 * own + m
        words, bits = np.arange(own).reshape(n, m), own + np.arange(own).reshape(n, m)
        if not self.r_word:
            words = np.broadcast_to(np.where(self.driven, terminal, words[0]), (n, m))
        if not self.r_bit:
            bits = np.broadcast_to(np.where(self.sensed, ground, bits[:, -1])[:, None], (n, m))
        at = np.argwhere(self.G > 0)
        ends = [np.stack([words[*at.T], bits[*at.T]], 1)]
        values = [np.zeros(0)]
        if self.r_word:
            inner = np.stack([words[:-1].ravel(), words[1:].ravel()], 1)
            outer = np.stack([terminal, words[0]], 1)[self.driven]
            ends += [inner, outer]
            values.append(np.full(len(inner) + len(outer), 1.0 / self.r_word))
        if self.r_bit:
            inner = np.stack([bits[:, :-1].ravel(), bits[:, 1:].ravel()], 1)
            outer = np.stack([bits[:, -1], np.full(n, ground)], 1)[self.sensed]
            ends += [inner, outer]
            values.append(np.full(len(inner) + len(outer), 1.0 / self.r_bit))
        edges = np.concatenate(ends)
        self._devices, self._segments = self.G[*at.T], np.concatenate(values)
        self._where, self._words, self._bits = at, words, bits
        rows = np.repeat(np.arange(len(edges)), 2)
        signs = np.tile([1.0, -1.0], len(edges))
        B = coo_array((signs, (rows, edges.ravel())), shape=(len(edges), ground + 1)).tocsc()
        used = np.zeros(ground + 1, dtype=bool)
        used[edges.ravel()] = True
        self._free = np.flatnonzero(used[: 2 * own])
        self._B = B[:, self._free]
        self._of_terminals = B[:, terminal]
        self._tied(edges, ground, terminal)

    def _tied(self, edges: NDArray[np.intp], ground: int, terminal: NDArray[np.intp]) -> None:
        """Raise InputError for a floating line that neither a driver nor a sense amplifier is connected to."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        held = np.concatenate([terminal, [ground]])
        pairs = np.concatenate([edges, np.stack([held[:-1], held[1:]], 1)])
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(ground + 1, ground + 1))
        _, part = connected_components(graph, directed=False)
        loose = self._free[part[self._free] != part[ground]]
        if len(loose):
            n, m = self.shape
            i, j = np.unravel_index(int(loose[0]) % (n * m), (n, m))
            line = f"word line {j}" if loose[0] < n * m else f"bit line {i}"
            raise InputError(
                f"wires: {line} floats, and no device ties it to a line that is driven or sensed; drive or sense it, "
                "or give it a device that conducts"
            )

    # ---- the solution ----

    def potentials(self, V: ArrayLike) -> tuple[Array, Array]:
        """Return the potentials of word and bit lines at the crossings, each (k, n, m) volts, for V (m, k).

        What V has for a line that floats does not count.

        Raises:
            InputError: V is not (m, k) finite volts, or beyond LARGEST V_0. RunError: no step lowers the co-content.
        """
        V = np.asarray(V, dtype=np.float64)
        n, m = self.shape
        if V.ndim != 2 or V.shape[0] != m or not np.isfinite(V).all():
            raise InputError(f"wires: inputs must be ({m}, k) finite volts, got shape {V.shape}")
        V = np.where(self.driven[:, None], V, 0.0)
        most = float(np.abs(V).max(initial=0.0))
        if self.v_0 is not None and most > LARGEST * self.v_0:
            raise InputError(f"wires: inputs of {most:g} V are beyond {LARGEST:g} v_0, {LARGEST * self.v_0:g} V")
        whole = np.zeros((2 * n * m + m + 1, V.shape[1]))
        whole[2 * n * m : -1] = V
        for k in range(V.shape[1]):
            whole[self._free, k] = self._solve(V[:, k])
        return np.moveaxis(whole[self._words], -1, 0), np.moveaxis(whole[self._bits], -1, 0)

    def _solve(self, V: Array) -> Array:
        """Return the potentials of the free nodes for the drive V (m,).

        Ohmic devices are one step. From there the curve is bent by and by, V_0 halved from FLAT of the drive to what
        it is: at once, currents would leave the floats' range where the lines take most of the voltage.
        """
        fixed, most = self._of_terminals @ V, float(np.abs(V).max())
        u = np.zeros(len(self._free))
        if not len(u) or not most:
            return u
        currents, slopes = self._carried(fixed, None)
        u = -self._factorised(slopes).solve(self._B.T @ currents)
        if self.v_0 is None:
            return u
        v_0 = max(self.v_0, FLAT * most)
        while v_0 > self.v_0:
            u, v_0 = self._newton(u, fixed, v_0, ROUGH * most), max(self.v_0, 0.5 * v_0)
        return self._newton(u, fixed, self.v_0, ENOUGH * most)

    def _newton(self, u: Array, fixed: Array, v_0: float, enough: float) -> Array:
        """Return where the co-content is least, from potentials u on, to a last step of `enough` volts."""
        for _ in range(STEPS):
            drops = self._B @ u + fixed
            currents, slopes = self._carried(drops, v_0)
            d = -self._factorised(slopes).solve(self._B.T @ currents)
            along, start = self._B @ d, self._content(drops, v_0)
            slope = float(currents @ along)
            share = 1.0
            if abs(slope) > ROUNDING * start:  # below, the co-content does not tell better from worse
                while share > LEAST and self._content(drops + share * along, v_0) > start + 1e-4 * share * slope:
                    share *= 0.5
            u = u + share * d
            if np.abs(d).max() <= enough:
                return u
        raise RunError(f"wires: Newton's method ends nowhere within {STEPS} steps; check v_0 and the conductances")

    def _carried(self, drops: Array, v_0: float | None) -> tuple[Array, Array]:
        """Return currents and slopes dI/dV of all branches: devices, then segments."""
        slopes = np.concatenate([self._devices, self._segments])
        currents, k = slopes * drops, len(self._devices)
        if v_0 is not None:
            x = drops[:k] / v_0
            currents[:k], slopes[:k] = self._devices * v_0 * np.sinh(x), self._devices * np.cosh(x)
        return currents, slopes

    def _content(self, drops: Array, v_0: float) -> float:
        """Return the co-content; cosh x - 1 = 2 sinh^2(x/2) keeps its digits where x is small."""
        k = len(self._devices)
        with np.errstate(over="ignore"):
            of_devices = 2.0 * self._devices * v_0**2 * np.sinh(0.5 * drops[:k] / v_0) ** 2
        return float(of_devices.sum() + 0.5 * (self._segments * drops[k:] ** 2).sum())

    def _factorised(self, slopes: Array) -> Any:
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        J = (self._B.T @ diags_array(slopes) @ self._B).tocsc()
        try:
            return splu(J, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        except RuntimeError as error:
            raise RunError(
                f"wire network of {self.shape[0]} bit lines and {self.shape[1]} word lines is numerically singular "
                f"({error}): check the units of conductances, resistances and v_0"
            ) from error

    def device_currents(self, V: ArrayLike) -> Array:
        """Return the current of each device, (k, n, m) amperes, for V (m, k)."""
        w, b = self.potentials(V)
        return self.G * (w - b if self.v_0 is None else self.v_0 * np.sinh((w - b) / self.v_0))

    def currents(self, V: ArrayLike) -> Array:
        """Return the currents out of the bit lines, (n, k) amperes, for V (m, k) volts; 0 out of one that floats.

        Raises: as `potentials`.
        """
        return self.device_currents(V).sum(2).T * self.sensed[:, None]

    def noise_variance(self, V: ArrayLike, sigma: ArrayLike) -> Array:
        """Return Var I_i = sum_kl (lambda_i,kl V_0 sinh(v_kl / V_0))^2 sigma_kl^2, exact to first order in sigma.

        lambda_i are the drops of the network linearised about the solution, 1 V at the end of bit line i alone.

        Args:
            V: inputs, (m, k) volts.
            sigma: standard deviation of the devices' independent noise, (n, m) siemens.

        Returns: (n, k) squared amperes.
        """
        w, b = self.potentials(V)
        n, _ = self.shape
        of_noise = np.broadcast_to(np.asarray(sigma, dtype=np.float64), self.shape)[*self._where.T]
        out = np.zeros((n, len(w)))
        bits, k = self._where[:, 0], len(self._devices)
        end = np.zeros((len(self._devices) + len(self._segments), n))
        if self.r_bit:  # a drop of -1 V over the last segment of a bit line whose end is at 1 V
            end[len(end) - int(self.sensed.sum()) :, self.sensed] = -np.eye(int(self.sensed.sum()))
        else:
            end[np.arange(k), bits] = -1.0 * self.sensed[bits]
        for at in range(len(w)):
            v = (w[at] - b[at])[*self._where.T]
            x = v if self.v_0 is None else self.v_0 * np.sinh(v / self.v_0)
            slopes = np.concatenate(
                [self._devices * (1.0 if self.v_0 is None else np.cosh(v / self.v_0)), self._segments]
            )
            drops = end
            if len(self._free):
                A = self._B.T @ (slopes[:, None] * end)
                drops = end - self._B @ self._factorised(slopes).solve(np.ascontiguousarray(A))
            out[:, at] = (drops[:k] ** 2 * (x * of_noise)[:, None] ** 2).sum(0)
        return out


Unselected = Literal["grounded", "floating"]


def read_one(
    G: ArrayLike, output: int, line: int, volts: float, *, unselected: Unselected, r_word: float = 0.0,
    r_bit: float = 0.0, v_0: float | None = None,
) -> float:  # fmt: skip
    """Return the current of bit line `output` with word line `line` at `volts`: a read of one device of a tile.

    Args:
        G, r_word, r_bit, v_0: as in `NonlinearNetwork`.
        output, line: of the device. volts: over it, volts, but for the drop of its lines.
        unselected: what the other lines are: at 0 V, which costs current on the word line, or "floating", where current
            sneaks over three devices or more.

    Returns: amperes.

    Raises: InputError: unselected lines are neither, or there is no such line.

    >>> G = np.full((2, 2), 1e-6)  # three devices in series beside the one that is read
    >>> [round(1e9 * read_one(G, 0, 0, 0.3, unselected=how), 3) for how in ("grounded", "floating")]
    [300.0, 400.0]
    """
    if unselected not in ("grounded", "floating"):
        raise InputError(f"wires: unselected lines are grounded or floating, not {unselected!r}")
    floats = unselected == "floating"
    net = NonlinearNetwork(G, r_word, r_bit, v_0, [line] if floats else None, [output] if floats else None)
    V = np.zeros((net.shape[1], 1))
    V[line] = volts
    return float(net.currents(V)[output, 0])


def _lines(name: str, chosen: Sequence[int] | None, size: int) -> NDArray[np.bool_]:
    """Return which of the lines are chosen; InputError for those that there are not."""
    if chosen is None:
        return np.ones(size, dtype=bool)
    wrong = [index for index in chosen if not 0 <= index < size]
    if wrong or not len(chosen):
        what = f"{wrong[0]} is none of 0 to {size - 1}" if wrong else "none is left"
        raise InputError(f"wires: {name} lines: {what}; name at least one line of the tile")
    found = np.zeros(size, dtype=bool)
    found[list(chosen)] = True
    return found
