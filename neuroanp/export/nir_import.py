"""Read NIR graphs of spiking units, files from strangers included, into a network and its weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export import nir_unsaid
from neuroanp.export.nir_file import Loaded, load
from neuroanp.export.nir_foreign import graph_of, network_of
from neuroanp.export.nir_layers_file import FORMAT as OF_LAYERS
from neuroanp.export.nir_layers_file import read_layers
from neuroanp.export.nir_own import read_own, roles
from neuroanp.export.nir_writing import FORMAT

if TYPE_CHECKING:
    from collections.abc import Collection

    from neuroanp.backends.neuron import LIF
    from neuroanp.network.network import Network

Array = Any  # NDArray[np.float64]
MiB = 1 << 20
LARGEST, ODD = 1e15, 1e3
"""Weights in thresholds: above the first, squares and sums of products leave float32; above the second, odd."""
SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Imported:
    """A network from a NIR file.

    Args:
        weights: (post, pre) by array; float64.
        network: layers of LIF units, and the projections between them. dt: seconds a step.
        spikes_in: whether inputs pass through the synapse, as spikes do.
        factors: how units differ, (n,) of "tau_m", "tau_s" by layer; what is missing is 1.
        notes: sentences: what differs from the file, and what the file does not say, with the option that sets it.
    """

    weights: dict[str, Array]
    network: Network
    dt: float
    spikes_in: bool
    factors: dict[str, dict[str, Array]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def bias(self) -> bool:
        """Whether arrays have a column more, which a constant drives."""
        return self.network.bias

    @property
    def neuron(self) -> LIF:
        """The units of the last layer, which has the outputs' trace."""
        cell: Any = self.network.layers[-1].cell
        return cell


def read(
    path: str | Path,
    *,
    dt: float | None = None,
    tau_r: float | None = None,
    own_units: bool = True,
    given: Collection[str] = (),
    limit_bytes: int = 256 * MiB,
) -> Imported:
    """Read a graph of layers of LIF, CubaLIF or IF units, one above the other; graphs in it are read as if flat.

    A file that `neuroanp export` wrote gives the network's own weights bit for bit: the gains follow from the neuron in
    its metadata, and `rest` holds what float64 lost in multiplying. Other files give weights in units of the threshold
    (gains 1, drive 0), equal in what they do within rounding; what such a file does not say is in the notes.

    Args:
        path: the file. dt: seconds a step, where the file does not say.
        tau_r: time constant of a trace of the outputs in seconds, where the graph has no LI.
        own_units: whether to read the metadata of neuroanp; False: the nodes, dt and reset alone.
        given: dotted keys of the configuration that the caller sets, such as "neuron.reset": no note asks for them.
        limit_bytes: largest file, and largest sum of all arrays.

    Raises:
        InputError: no such file, not a NIR file, too large, not safe to load, or no such network.
    """
    path = Path(path)
    loaded = load(path, limit_bytes)
    written = loaded.about.get("format") if own_units else None
    own = {FORMAT: _own, OF_LAYERS: _layers}.get(written if isinstance(written, str) else "")
    try:
        with np.errstate(all="ignore"):
            network = own(loaded, dt) if own else _foreign(loaded, dt, tau_r, given, limit_bytes // 8)
        _one_tau_r(network.neuron, tau_r)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.problems) from None
    except ValueError as error:  # of the neuron: a time constant that is no longer than a step
        raise InputError(f"{path}: {error}") from None
    return replace(network, notes=(*loaded.notes, *network.notes, *_sizes(path, network)))


def _own(loaded: Loaded, dt: float | None) -> Imported:
    graph = roles(loaded.nodes, loaded.edges)
    _nothing_missing(nir_unsaid.missing(loaded.about, [graph.unit], dt))
    step = nir_unsaid.step(loaded.about, dt)
    odd = nir_unsaid.another_step(loaded.about, [graph.unit], step)
    try:
        weights, network, spikes_in = read_own(graph, loaded.about, step)
    except InputError as error:
        raise InputError(error.message, [*error.problems, *odd]) from None
    return Imported(weights, network, step, spikes_in, {}, tuple(odd))


def _layers(loaded: Loaded, dt: float | None) -> Imported:
    step = nir_unsaid.step(loaded.about, dt)
    own = read_layers(loaded, step)
    return Imported(own.weights, own.network, step, own.spikes_in, own.factors)


def _foreign(loaded: Loaded, dt: float | None, tau_r: float | None, given: Collection[str], limit: int) -> Imported:
    graph = graph_of(loaded.nodes, loaded.edges, limit)
    units = [*graph.units.values()]
    no_trace = "the graph has no LI, and outputs here are traces; give their time constant tau_r, e.g. --tau-r '20 ms'"
    _nothing_missing([*nir_unsaid.missing(loaded.about, units, dt), *[no_trace] * (graph.li is None and tau_r is None)])
    step = nir_unsaid.step(loaded.about, dt)
    odd = nir_unsaid.another_step(loaded.about, units, step)
    try:
        made = network_of(graph, loaded.about, step, tau_r)
    except InputError as error:
        raise InputError(error.message, [*error.problems, *odd]) from None
    unsaid = nir_unsaid.said(graph.units, graph.filled, loaded.about, given)
    return Imported(made.weights, made.network, step, made.spikes_in, made.factors, (*made.notes, *odd, *unsaid))


def _nothing_missing(problems: list[str]) -> None:
    if problems:
        raise InputError(*problems) if len(problems) == 1 else InputError("the file does not say all", problems)


def _one_tau_r(neuron: LIF, given: float | None) -> None:
    if given is not None and abs(neuron.tau_r - given) > nir_unsaid.SAME * given:
        raise InputError(f"tau_r: the file says {neuron.tau_r:g} s, and {given:g} s was given")


def _sizes(path: Path, made: Imported) -> list[str]:
    """Say which weights are odd, in thresholds; refuse those that no training goes on from.

    Raises:
        InputError: weights that are not finite, or above LARGEST, whose squares float32 cannot hold.
    """
    problems, notes = [], []
    own = {p.name for p in made.network.projections if p.pre == p.post}
    for name, W in made.weights.items():
        if not np.isfinite(W).all():
            problems.append(f"{name}: in units of the threshold, {int((~np.isfinite(W)).sum())} weights are not finite")
            continue
        peak = float(np.abs(W).max(initial=0.0))
        if peak > LARGEST:
            problems.append(
                f"{name}: {int((np.abs(W) > LARGEST).sum())} of {W.size} weights are up to {peak:.3g} thresholds, at "
                f"most {LARGEST:g} can be learned with; scale weights and thresholds of the graph down together, or "
                "correct its r"
            )
        elif peak > ODD:
            count = int((np.abs(W) > ODD).sum())
            notes.append(f"{name}: {count} of {W.size} weights are over {ODD:g} thresholds, up to {peak:.3g}")
        lost = int(((W != 0) & (np.abs(W) < SMALLEST)).sum())
        notes += [f"{name}: {lost} of {W.size} weights are below {SMALLEST:.2g}, and are 0 in float32"] * bool(lost)
        notes += [f"{name}: all weights are 0"] * (not peak and name not in own)
    if problems:
        raise InputError(f"{path}: its weights cannot be learned with", problems)
    return notes
