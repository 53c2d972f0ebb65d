"""Tell what readers of a NIR graph do that the file cannot say; `checking.nir` has the lines that load and run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.export.model import Model
    from neuroanp.export.nir_graph import Folded

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
