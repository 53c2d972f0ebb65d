"""Currents of a tile whose wires have resistance: the exact nodal solve, and how noise passes through it.

Word line j is driven with V_j at its left end, bit line i is grounded at its bottom; every segment
has its resistance, the first of a word line and the last of a bit line among them. With w_ij and
b_ij the potentials of the two lines where they cross, Kirchhoff's current law reads

    (2 w_ij - w_{i-1,j} - w_{i+1,j}) / r_word = -G_ij (w_ij - b_ij)     w_{-1,j} = V_j,  open beyond i = n-1
    (2 b_ij - b_{i,j-1} - b_{i,j+1}) / r_bit  =  G_ij (w_ij - b_ij)     open before j = 0,  b_{i,m} = 0
    I_i = b_{i,m-1} / r_bit

(one neighbour fewer at an open end). The matrix is symmetric, so the adjoint network (Director and
Rohrer, IEEE Trans. Circuit Theory 16, 318, 1969) is the same one, driven from the outputs: with 1 V at
the end of bit line i and all word lines grounded, lambda_i = b - w, and

    dI_i / dG_kl = lambda_i,kl v_kl,     v = w - b
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroanp.errors import InputError, RunError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

COLUMNS = 64
"""Right-hand sides solved at once: bounds the memory of a solve to some 16 n m COLUMNS bytes an array."""
TOLERANCE = 1e-9
"""Largest error of a potential, as a fraction of the driving voltage, that a factorisation may leave."""


class Selected(NamedTuple):
    """What one line at 1 V does, see `WireNetwork.selected`.

    Args:
        word, bit: share of the voltage over each device, (n, m).
        into_word, into_bit: siemens, (m,) and (n,). across: siemens, (n, m).
    """

    word: Array
    bit: Array
    into_word: Array
    into_bit: Array
    across: Array


def check_resistance(r_word: float, r_bit: float) -> None:
    """Raise InputError unless both are finite and >= 0.

    >>> check_resistance(0.0, 2.5)
    >>> check_resistance(-1.0, 2.5)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: wires: r_word must be finite and >= 0 ohm a segment, got -1; 0 is an ideal line
    """
    for name, r in (("r_word", r_word), ("r_bit", r_bit)):
        if not 0.0 <= r < np.inf:
            raise InputError(f"wires: {name} must be finite and >= 0 ohm a segment, got {r:g}; 0 is an ideal line")


def conductances(G: ArrayLike) -> Array:
    """Return conductances in float64, (n outputs, m inputs); InputError unless all are finite and >= 0.

    >>> conductances([[1e-6, 0.0]]).shape
    (1, 2)
    """
    found: Array = np.array(G, dtype=np.float64)
    if found.ndim != 2 or not found.size or not (np.isfinite(found) & (found >= 0)).all():
        raise InputError(
            f"wires: G must be a matrix (n outputs, m inputs) of finite conductances >= 0 siemens, got shape "
            f"{found.shape}; clip read conductances at 0"
        )
    return found


class WireNetwork:
    """One tile with its wires, factorised once for many inputs.

    Potentials, inputs and currents are float64. G_ij = 0 is an open device, a resistance of 0 an ideal line.

    Args:
        G: (n, m) siemens >= 0: n bit lines (outputs), m word lines (inputs).
        r_word: ohm a segment of a word line.
        r_bit: ohm a segment of a bit line.

    Raises:
        InputError: a conductance or resistance that is negative or not finite.
        RunError: conductances and segments so far apart that double precision cannot tell them: with all
            terminals at 1 V every node must be at 1 V, and one is off by more than TOLERANCE.

    >>> net = WireNetwork(np.array([[1e-3]]), r_word=200.0, r_bit=300.0)  # 1 kohm behind 500 ohm
    >>> net.currents(np.array([[0.3]])).round(9).tolist()
    [[0.0002]]
    """

    def __init__(self, G: ArrayLike, r_word: float, r_bit: float) -> None:
        check_resistance(r_word, r_bit)
        self.G: Array = conductances(G)
        self.shape: tuple[int, int] = self.G.shape
        self.r_word, self.r_bit = float(r_word), float(r_bit)
        self._lu = self._factorise()
        self._check()

    def _factorise(self) -> Any:
        """Factorise the nodal matrix of the lines that are not ideal; None if all are."""
        from scipy.sparse import block_array, diags_array, eye_array, kron
        from scipy.sparse.linalg import splu

        (n, m), g = self.shape, diags_array(self.G.ravel())
        word = kron(_chain(n), eye_array(m)) / self.r_word + g if self.r_word else None
        bit = kron(eye_array(n), _chain(m)[::-1, ::-1]) / self.r_bit + g if self.r_bit else None
        blocks = [[word, -g], [-g, bit]] if self.r_word and self.r_bit else [[word if self.r_word else bit]]
        if blocks == [[None]]:
            return None
        # for a symmetric M-matrix the diagonal is a stable pivot; this order fills least of SuperLU's own
        options = {"SymmetricMode": True}
        try:
            A = block_array(blocks, format="csc")
            return splu(A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        except RuntimeError as error:  # SuperLU met a pivot that is exactly 0
            raise self._singular(np.ones(self.shape, dtype=bool), str(error)) from error

    def _check(self) -> None:
        """Raise RunError unless all nodes are at 1 V when all terminals are."""
        with np.errstate(invalid="ignore", over="ignore"):
            w, b = self._potentials(np.ones((self.shape[1], 1)), np.ones((self.shape[0], 1)))
            off = np.maximum(abs(w - 1.0), abs(b - 1.0))[..., 0]
        if not off.max() <= TOLERANCE:
            worst = float(np.nan_to_num(off, nan=np.inf).max())
            raise self._singular(~(off <= TOLERANCE), f"with every terminal at 1 V a node is off by {worst:.1g} V")

    def _singular(self, where: NDArray[np.bool_], why: str) -> RunError:
        i, j = np.unravel_index(np.where(where, self.G, -1.0).argmax(), self.shape)  # the strongest device there
        most = max(self.r_word, self.r_bit) * self.G.max()
        return RunError(
            f"wire network of {self.shape[0]} bit lines and {self.shape[1]} word lines is numerically singular on "
            f"word line {j}, bit line {i}: {why}. A device conducts up to {most:.1g} times as well as a segment "
            f"(r_word {self.r_word:g} ohm, r_bit {self.r_bit:g} ohm, G up to {self.G.max():g} S): check their units, "
            "give a broken line G = 0 "
            "and an ideal one r = 0"
        )

    def _potentials(self, V: Array, U: Array) -> tuple[Array, Array]:
        """Return w and b (n, m, k) for V (m, k) on the word lines and U (n, k) at the ends of the bit lines."""
        (n, m), k = self.shape, V.shape[1]
        w, b = np.broadcast_to(V, (n, m, k)), np.broadcast_to(U[:, None], (n, m, k))
        into = []  # amperes into the nodes, from terminals and from ideal lines
        if self.r_word:
            into.append(np.zeros((n, m, k)) if self.r_bit else self.G[..., None] * b)
            into[-1][0] += V / self.r_word
        if self.r_bit:
            into.append(np.zeros((n, m, k)) if self.r_word else self.G[..., None] * w)
            into[-1][:, -1] += U / self.r_bit
        if into:
            found = self._lu.solve(np.concatenate(into).reshape(-1, k)).reshape(-1, n, m, k)
            w, b = found[0] if self.r_word else w, found[-1] if self.r_bit else b
        return w, b

    def _forward(self, V: Array) -> tuple[Array, Array]:
        return self._potentials(V, np.zeros((self.shape[0], V.shape[1])))

    def _adjoint(self, outputs: Index) -> tuple[Array, Array]:
        """Return w and b (n, m, c) with 1 V at the end of one bit line of `outputs` (c,) at a time."""
        U = (np.arange(self.shape[0])[:, None] == outputs).astype(np.float64)
        return self._potentials(np.zeros((self.shape[1], len(outputs))), U)

    def _inputs(self, V: ArrayLike) -> Array:
        V = np.asarray(V, dtype=np.float64)
        if V.ndim != 2 or V.shape[0] != self.shape[1] or not np.isfinite(V).all():
            raise InputError(f"wires: inputs must be ({self.shape[1]}, k) finite volts, got shape {V.shape}")
        return V

    def potentials(self, V: ArrayLike) -> tuple[Array, Array]:
        """Return the potentials of word and bit lines at the crossings, each (k, n, m) volts, for V (m, k)."""
        w, b = self._forward(self._inputs(V))
        return np.moveaxis(w, -1, 0), np.moveaxis(b, -1, 0)

    def selected(self) -> Selected:
        """Return what a device sees of 1 V on its own word line alone, and on its own bit line alone, and the currents.

        With all other terminals at 0 V, w - b at device ij is `word` for 1 V on word line j and -`bit` for 1 V at the
        end of bit line i; the terminals then take `into_word` and `into_bit`. `across` is I_i for word line j, G_eff.
        One solve a line, for all devices.

        >>> net = WireNetwork([[1e-3]], r_word=200.0, r_bit=300.0)  # a third of 1 V is left to the lines either way
        >>> [round(float(x[0, 0]), 6) for x in net.selected()[:2]]
        [0.666667, 0.666667]
        """
        n, m = self.shape
        word, bit, across = (np.empty(self.shape) for _ in range(3))
        for part in _parts(m):
            j = np.arange(m)[part]
            w, b = self._forward(np.eye(m)[:, part])
            word[:, part] = (w - b)[:, j, j - j[0]]
            across[:, part] = (self.G[..., None] * (w - b)).sum(1)
        for part in _parts(n):
            i = np.arange(n)[part]
            w, b = self._adjoint(i)
            bit[part] = (b - w)[i, :, i - i[0]]
        return Selected(word, bit, (self.G * word).sum(0), (self.G * bit).sum(1), across)

    def device_voltages(self, V: ArrayLike) -> Array:
        """Return the voltage across each device, v = w - b, (k, n, m), for inputs V (m, k)."""
        w, b = self.potentials(V)
        return w - b

    def currents(self, V: ArrayLike) -> Array:
        """Return the currents out of the bit lines, (n, k) amperes, for V (m, k) volts, by forward solves.

        Raises: InputError if V is not (m, k) or not finite.
        """
        V = self._inputs(V)
        return np.concatenate([self._currents(V[:, part]) for part in _parts(V.shape[1])], axis=1)

    def _currents(self, V: Array) -> Array:
        w, b = self._forward(V)
        return b[:, -1] / self.r_bit if self.r_bit else (self.G[..., None] * w).sum(1)

    def transfer(self) -> Array:
        """Return G_eff (n, m) siemens, I = G_eff V: from the word lines or from the bit lines, whichever are fewer.

        >>> WireNetwork([[1e-3, 0.0]], 0.0, 500.0).transfer().round(7).tolist()  # device, two segments
        [[0.0005, 0.0]]
        """
        n, m = self.shape
        if m <= n:
            return self.currents(np.eye(m))
        return np.concatenate([self._into_words(np.arange(n)[part]) for part in _parts(n)])

    def _into_words(self, outputs: Index) -> Array:
        """Return the adjoint network's currents into the word lines' terminals, (c, m)."""
        w, b = self._adjoint(outputs)
        return (w[0] / self.r_word if self.r_word else (self.G[..., None] * b).sum(0)).T

    def sensitivities(self, outputs: ArrayLike | None = None) -> Array:
        """Return the adjoint drops lambda (c, n, m), dI_i/dG_kl = lambda_i,kl v_kl, for some outputs or all.

        Dimensionless. All of them take 8 n^2 m bytes; `noise_variance` never holds more than COLUMNS outputs'.
        """
        w, b = self._adjoint(np.arange(self.shape[0]) if outputs is None else np.asarray(outputs, dtype=np.intp))
        return np.moveaxis(b - w, -1, 0)

    def noise_variance(self, V: ArrayLike, sigma: ArrayLike) -> Array:
        """Return Var I_i = sum_kl (lambda_i,kl v_kl)^2 sigma_kl^2, exact to first order in sigma.

        Args:
            V: inputs, (m, k) volts.
            sigma: standard deviation of the devices' independent noise, (n, m) siemens.

        Returns: (n, k) squared amperes.
        """
        V, sigma = self._inputs(V), np.broadcast_to(np.asarray(sigma, dtype=np.float64), self.shape)
        out = np.empty((self.shape[0], V.shape[1]))
        for part in _parts(V.shape[1]):
            w, b = self._forward(V[:, part])
            power = ((w - b) * sigma[..., None]).reshape(sigma.size, -1) ** 2
            for some in _parts(self.shape[0]):
                lam = self.sensitivities(np.arange(self.shape[0])[some])
                out[some, part] = lam.reshape(len(lam), -1) ** 2 @ power
        return out

    def diagonal_gain(self) -> Array:
        """Return lambda_i,ij v_ij (n, m), v for 1 V on word line j alone: what dI_i/dG_ij becomes of 1.

        A reader that keeps the variance of its weights as a matrix S takes Var I_i = sum_j (gain S gain)_ij V_j^2.
        It neglects the noise that reaches i from devices of other bit lines and what other inputs do to
        v_ij: both lower order in r G, for inputs of one sign the second makes it too large. `noise_variance` has all.
        """
        n, m = self.shape
        gain = np.empty(self.shape)
        for part in _parts(m):
            j = np.arange(m)[part]
            w, b = self._forward(np.eye(m)[:, part])
            gain[:, part] = (w - b)[:, j, j - j[0]]
        for part in _parts(n):
            i = np.arange(n)[part]
            w, b = self._adjoint(i)
            gain[part] *= (b - w)[i, :, i - i[0]]
        return gain


def relative_loss(G: ArrayLike, G_eff: ArrayLike) -> Array:
    """Return the IR-drop map 1 - G_eff / G, the share of each device's contribution that the wires take.

    Args:
        G: (..., n, m) conductances in siemens.
        G_eff: the same with wires, from `WireNetwork.transfer` or `effective_conductance_fast`.

    Returns: (..., n, m); NaN where a device is open. Below 0 where current gets there round about.

    >>> relative_loss([[2e-6, 0.0]], [[1.5e-6, 0.0]]).round(3).tolist()
    [[0.25, nan]]
    """
    G, G_eff = np.asarray(G, dtype=np.float64), np.asarray(G_eff, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(G > 0, 1.0 - G_eff / G, np.nan)


def _chain(length: int) -> Any:
    """Return the Laplacian of a line of unit segments, driven before its first node and open after the last."""
    from scipy.sparse import diags_array, eye_array

    middle = np.full(length, 2.0)
    middle[-1] = 1.0
    return (diags_array(middle) - eye_array(length, k=1) - eye_array(length, k=-1)).tocsc()


def _parts(count: int) -> Iterator[slice]:
    """Yield slices of at most COLUMNS that cover range(count)."""
    for start in range(0, count, COLUMNS):
        yield slice(start, min(start + COLUMNS, count))
