"""Tell how a NIR graph is read back: the lines that load and run it, and what readers do that the file cannot say."""

from __future__ import annotations

from neuroanp.export.model import Model
from neuroanp.export.nir_folding import Folded
from neuroanp.units import format_quantity

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
        said.append("the graph ends in LI, which from_nir of norse and of spikingjelly do not know: see read_back")
    return tuple(said)


def read_back(folded: Folded) -> str:
    """Return the Python that loads network.nir and runs it."""
    dt = 'dt = float(about["dt"])'
    load = [
        "net = norse.torch.from_nir(graph, dt=dt)",
        "# or: from spikingjelly.activation_based.nir_exchange import import_from_nir",
        "#     net = import_from_nir(graph, dt=dt)",
    ]
    if folded.li:  # norse has the unit, and its import leaves it out
        load = [
            "import nirtorch",
            "from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters",
            "from norse.torch.utils.import_nir import _import_norse_module",
            "def module(node):",
            "    if not isinstance(node, nir.LI):",
            "        return _import_norse_module(node, dt=dt)",
            "    tau, leak = (torch.as_tensor(part).float() for part in (node.tau, node.v_leak))",
            "    return LIBoxCell(LIBoxParameters(tau_mem_inv=1 / tau, v_leak=leak), dt=dt)",
            "net = nirtorch.load(graph, module)",
        ]
    lines = []
    if folded.constants:
        lines = [
            '    fixed = about["input_constants"]',
            "    u = np.concatenate([u, np.broadcast_to(fixed, (*u.shape[:2], len(fixed)))], -1)",
        ]
    if folded.filtered:
        lines += [
            '    p, q = about["input_taps"].T',
            "    u = p * u + q * np.concatenate([0 * u[:1], u[:-1]])",
        ]
    step = "y.append(out)" if folded.li else 'y.append(out + (about["output_decay"] * y[-1] if y else 0))'
    return "\n".join(
        [
            "# pip install nir norse==1.1.0 (or spikingjelly==2.0.0)",
            "import nir, norse.torch, numpy as np, torch",
            f'graph = nir.read("{FILE}")',
            f"about = graph.metadata; {dt}",
            *load,
            "def run(u):  # inputs (T, B, I) -> spikes of the hidden units (T, B, N), outputs (T, B, O)",
            *lines,
            "    state, s, y = None, [], []",
            "    for x in torch.as_tensor(u, dtype=next(net.parameters()).dtype):",
            "        out, state = net(x, state)",
            '        s.append(state.cache["lif"] if hasattr(state, "cache") else state["lif_prev_output"])',
            f"        {step}",
            "    return torch.stack(s), torch.stack(y)",
            "",
        ]
    )
