"""Run network.nir in norse and in spikingjelly.

NIR has no field for the step, nor for what the reader does to inputs and outputs: the metadata of the graph say it.
Where the graph ends in LI, which norse has and its import leaves out, the unit is made here. A reader that is known to
mean something else by a graph is not asked.
"""

# pyright: reportMissingImports=false

import numpy as np


def in_norse(stimulus):
    """Run it in norse."""
    import nir
    import nirtorch
    import norse.torch as norse
    from norse.torch.utils.import_nir import _import_norse_module

    def module(node, dt):
        if not isinstance(node, nir.LI):
            return _import_norse_module(node, dt=dt)
        return norse.LIBoxCell(
            norse.LIBoxParameters(tau_mem_inv=1 / single(node.tau), v_leak=single(node.v_leak)), dt=dt
        )

    def load(graph, dt):
        if any(isinstance(node, nir.IF) for node in graph.nodes.values()):
            raise NotImplementedError("1.1.0 takes r of units that do not leak as 1")
        if several_join(graph):
            raise NotImplementedError("1.1.0 sums a step late what several nodes give to one")
        if not ends_in_li(graph):
            return norse.from_nir(graph, dt=dt)
        return nirtorch.load(graph, lambda node: module(node, dt))

    return run(load, stimulus)


def in_spikingjelly(stimulus):
    """Run it in spikingjelly."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    def load(graph, dt):
        if ends_in_li(graph):
            raise NotImplementedError("cannot import the LI node at the end of the graph")
        if taus_differ(graph):
            raise NotImplementedError("2.0.0 refuses units whose time constants differ")
        return import_from_nir(graph, dt=dt)

    return run(load, stimulus)


def run(load, stimulus):
    """Return spikes (T, B, N) of each node of units and outputs (T, B, O), of inputs (T, B, I).

    Args:
        load: makes a torch module of a graph and a step. stimulus: "inputs".
    """
    import nir
    import torch

    graph = nir.read("network.nir")
    about = graph.metadata
    net = load(graph, float(about["dt"]))
    units = [name for name, node in graph.nodes.items() if isinstance(node, (nir.LIF, nir.CubaLIF, nir.IF))]
    now = {}
    for name in units:
        net.get_submodule(name.replace(".", "_")).register_forward_hook(
            lambda _, __, made, name=name: now.update({name: made[0] if isinstance(made, tuple) else made})
        )
    decay = 0.0 if ends_in_li(graph) else float(about["output_decay"])
    state, spikes, outputs, y = None, {name: [] for name in units}, [], 0.0
    with torch.no_grad():
        for line in torch.as_tensor(lines(about, stimulus["inputs"]), dtype=next(net.parameters()).dtype):
            out, state = net(line, state)
            for name in units:
                spikes[name].append(now[name].numpy())
            y = decay * y + out.double().numpy()
            outputs.append(y)
    named = {"spikes" if name == "lif" else f"spikes.{name}": np.array(own) for name, own in spikes.items()}
    return {**named, "outputs": np.array(outputs)}


def lines(about, u):
    """Return what enters the graph for inputs u (T, B, I): constants beside them, and the past where it counts."""
    if "input_constants" in about:
        fixed = about["input_constants"]
        u = np.concatenate([u, np.broadcast_to(fixed, (*u.shape[:2], len(fixed)))], -1)
    if "input_taps" in about:
        now, before = about["input_taps"].T
        u = now * u + before * np.concatenate([0 * u[:1], u[:-1]])
    return u


def ends_in_li(graph):
    """Tell whether outputs are filtered in the graph, and not by who reads them."""
    import nir

    return any(isinstance(node, nir.LI) for node in graph.nodes.values())


def several_join(graph):
    """Tell whether a node has several below it, its own recurrence aside.

    >>> from types import SimpleNamespace as Graph
    >>> ring = [("a", "u"), ("u", "w"), ("w", "u"), ("u", "y")]
    >>> several_join(Graph(edges=ring)), several_join(Graph(edges=[*ring, ("b", "y")]))
    (False, True)
    """
    below = {}
    for pre, post in graph.edges:
        if not ((post, pre) in graph.edges and (pre, post) in graph.edges):  # what comes back from the node itself
            below.setdefault(post, []).append(pre)
    return any(len(names) > 1 for names in below.values())


def taus_differ(graph):
    """Tell whether time constants differ between the units of a node."""
    fields = [vars(node) for node in graph.nodes.values()]
    return any(np.ptp(each[name]) > 0 for each in fields for name in ("tau", "tau_mem", "tau_syn") if name in each)


def single(numbers):
    """Return numbers as a tensor of float32."""
    import torch

    return torch.as_tensor(numbers).float()


READERS = {
    "norse": (("nir", "norse"), "pip install nir norse==1.1.0", in_norse),
    "spikingjelly": (("nir", "spikingjelly"), "pip install nir spikingjelly==2.0.0", in_spikingjelly),
}
