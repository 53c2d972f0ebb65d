"""Tell what readers of a NIR graph do that the file cannot say; `checking.nir` has the lines that load and run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.export.model import Model
    from neuroanp.export.nir_graph import Folded
    from neuroanp.export.nir_layers import Graph

FILE = "network.nir"


def limits(model: Model, folded: Folded) -> tuple[str, ...]:
    """Say in sentences what readers do that the file cannot say."""
    g = folded.gains
    step = format_quantity(folded.dt, "s", digits=None)
    said = [
        "norse computes v > threshold, spikingjelly v >= threshold, both in float32: spikes are equal where no "
        "potential is within rounding of the threshold",
        f"NIR has no field for step and reset: the metadata say dt, {step}, and reset, hard; norse and spikingjelly "
        "are given dt and reset so, and a reader that subtracts the threshold, as snntorch does by default, gives "
        "other spikes",
    ]
    if model.spikes_in:
        said.append("input spikes act one step later in the network: the reader delays them by one step")
    elif g.cuba:
        said.append(
            "input currents do not pass the synapse in the network, and do in CubaLIF: the reader feeds "
            f"u_t - {g.a_s:.6g} u_(t-1), which undoes its filter"
        )
    if folded.constants:
        said.append(f"the last {len(folded.constants)} input lines are constants: see input_constants, input_taps")
    if not folded.li:
        said.append(f"the graph gives o_t = W_out s_t; the reader applies y_t = {g.a_y:.6g} y_(t-1) + o_t")
    else:
        said.append("the graph ends in LI, which from_nir of norse and of spikingjelly do not know: see check.py")
    return tuple(said)


def limits_of_layers(model: Model, graph: Graph) -> tuple[str, ...]:
    """Say in sentences what readers of a graph of layers do that the file cannot say."""
    step = format_quantity(graph.dt, "s", digits=None)
    said = [
        "norse computes v > threshold, spikingjelly v >= threshold, both in float32: spikes are equal where no "
        "potential is within rounding of the threshold",
        f"NIR has no field for step and reset: the metadata say dt, {step}, and reset, hard; a reader that subtracts "
        "the threshold, as snntorch does by default, gives other spikes",
        "an edge between layers acts in the same step, one within a layer in the next: a reader that orders nodes "
        "otherwise gives other spikes",
    ]
    if any(name in each for each in model.factors.values() for name in ("tau_m", "tau_s")):
        said.append("time constants differ between units: norse reads them, spikingjelly refuses them")
    if any(unit.kind == "IF" for unit in graph.units.values()):
        said.append(
            "units that do not leak are IF nodes with r = 1 / dt: spikingjelly reads them so, norse takes r as 1"
        )
    joined = [node.post for node in graph.weights.values() if node.pre != node.post]
    if len(joined) != len({*joined}):
        said.append(
            "several nodes reach one: norse 1.1.0 sums what some of them gave in the step before, and other spikes "
            "come of it; spikingjelly sums what they give in this one"
        )
    if graph.filtered:
        said.append("the reader filters the input lines, and adds constant ones: see input_taps, input_constants")
    if not graph.li:
        said.append(f"the graph gives o_t = W_out s_t; the reader applies y_t = {graph.decay:.6g} y_(t-1) + o_t")
    else:
        said.append("the graph ends in LI, which from_nir of norse and of spikingjelly do not know: see check.py")
    return tuple(said)
