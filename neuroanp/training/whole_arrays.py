"""The three arrays of a plain network as the compiled loops of a whole update read them: exact, or with their noise."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neuroanp.kernels import read_updates, updates
from neuroanp.substrates.read import normals

if TYPE_CHECKING:
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.chip_reads import ReadChip
    from neuroanp.substrates.protocol import Quantiser, ReadPlan
    from neuroanp.training.lab import Lab
    from neuroanp.training.plain_form import Form


class Given(NamedTuple):
    """What some steps of all passes start from and are disturbed by; see `neuroanp.kernels.updates.forward`."""

    x: np.ndarray
    node: np.ndarray
    node_y: np.ndarray
    noise: tuple[object, ...]
    of_outputs: tuple[object, ...]


class Filled(NamedTuple):
    """What they fill; see there."""

    d: np.ndarray
    s: np.ndarray
    pre: np.ndarray
    y: np.ndarray
    dy: np.ndarray
    sy: np.ndarray
    seen: np.ndarray


class Books(NamedTuple):
    """What the reads of one array put into the books.

    Args: load: (m,) of its word lines. clipped, conversions: of its converters.
    """

    load: np.ndarray
    clipped: float = 0.0
    conversions: int = 0


class ExactArrays:
    """Arrays that are read without noise and converters.

    Args: form: of the update. lab: whose arrays they are. chip: which they are of.
    """

    def __init__(self, form: Form, lab: Lab, chip: ReadChip) -> None:
        self.form = form
        self.arrays = tuple(lab.reads[name].W.numpy() for name in form.names)
        self.load = np.zeros((2, form.n if lab.books and chip.weighs_reads else 0))
        self.of_lines = np.zeros(0)

    def run(self, lines: np.ndarray, t0: int, given: Given, filled: Filled, books: bool) -> None:
        """Do the steps of some lines (T, B, I), from t0 on; books: whether they are booked."""
        form, load = self.form, self.load if books else self.load[:, :0]
        updates.forward(lines, self.arrays, *given, t0, form.pairs, form.which, *filled, load)
        if load.shape[1]:
            squares = np.square(lines, dtype=np.float64).sum((0, 1)) * form.M
            self.of_lines = self.of_lines + squares if len(self.of_lines) else squares

    def books(self, reads: int) -> list[Books]:
        """Return what so many vector reads of each array put into the books."""
        load = self.load
        if not load.shape[1]:
            return [Books(np.zeros(W.shape[1])) for W in self.arrays]
        constant = [float(reads)] * (self.arrays[2].shape[1] - load.shape[1])  # of the line of a bias
        return [Books(self.of_lines), Books(load[0]), Books(np.append(load[1], constant))]


class ReadArrays:
    """Arrays that are read by the moments of their noise, with converters and tiles.

    Args: form, lab, chip: as in `ExactArrays`.
    """

    def __init__(self, form: Form, lab: Lab, chip: ReadChip) -> None:
        self.form = form
        self.readings = tuple(reading(lab.reads[name], name, lab.streams, form.noisy > 0) for name in form.names)
        self.alike = told_alike(*self.readings[1:])
        of = form.plan.of_devices
        self.of_reads = lab.streams.update, np.array(of.stream, dtype=np.int64), np.array(of.noise, dtype=np.float32)
        weighed = lab.books and chip.weighs_reads
        self.carried = tuple(np.zeros(len(each.wt) if weighed else 0) for each in self.readings)
        self.converts = [lab.reads[name].adc is not None for name in form.names]
        self.clipped = np.zeros(3, np.int64)

    def run(self, lines: np.ndarray, t0: int, given: Given, filled: Filled, books: bool) -> None:
        """Do the steps of some lines (T, B, I), from t0 on; books: whether they are booked."""
        form, loads = self.form, self.carried if books else tuple(each[:0] for each in self.carried)
        clipped = read_updates.forward(
            lines, self.readings, self.alike, *given, self.of_reads, t0, form.pairs, form.which, *filled, loads
        )
        if books:
            self.clipped += clipped

    def books(self, reads: int) -> list[Books]:
        """Return what so many vector reads of each array put into the books."""
        found = []
        for each, carried, converts, clipped in zip(
            self.readings, self.carried, self.converts, self.clipped, strict=True
        ):
            m, n = each.wt.shape
            conversions = reads * n * (len(each.starts) - 1) if converts else 0
            load = carried if len(carried) else np.zeros(m)
            found.append(Books(load, float(clipped) if converts else 0.0, conversions))
        return found


def reading(plan: ReadPlan, name: str, streams: PassStreams, noisy: bool) -> read_updates.Reading:
    """Return how the loops read an array.

    Args: plan: of the array. name: of it. streams: where its noise lies. noisy: whether any pass has noise.
    """
    n, m = plan.W.shape
    widths = plan.widths or (m,)
    own = np.empty((3, len(widths), n), np.float32)
    for place, value in zip(own, (plan.extra, plan.gain, plan.offset), strict=True):
        place[:] = value if isinstance(value, float | int) else value.numpy() if value is not None else 0.0
    if plan.gain is None:
        own[1] = 1.0
    variance = None if plan.sigma2 is None else plan.sigma2.t().contiguous().numpy()
    return read_updates.Reading(
        plan.W.t().contiguous().numpy(), np.empty((0, n), np.float32) if variance is None else variance,
        np.cumsum((0, *widths)), own, _codes(plan.dac), _codes(plan.adc), plan.dac is not None,
        np.float32(plan.dac_sigma if noisy else 0.0), plan.pulse_width, streams.at(f"read/{name}", 0).keys,
        normals(plan) if noisy else 0, noisy and (variance is not None or plan.amplifies_noise),
    )  # fmt: skip


def told_alike(one: read_updates.Reading, other: read_updates.Reading) -> bool:
    """Return whether the word lines of two arrays are told the same of the same units, and so are their squares."""
    lines = np.array_equal(one.starts, other.starts) and one.converts == other.converts and one.widths == other.widths
    told = lines and np.array_equal(one.dac, other.dac) and not one.sigma and not other.sigma
    return told and (len(one.st) > 0) == (len(other.st) > 0)


def _codes(q: Quantiser | None) -> np.ndarray:
    """Return lowest and highest value and step of a converter; of none those that change nothing."""
    return np.array((-inf, inf, 0.0) if q is None else (q.floor, q.limit, q.step), dtype=np.float32)
