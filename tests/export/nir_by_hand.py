"""NIR graphs stepped by hand: Euler steps of the equations in the format's paper, straight over the file.

Nothing of neuroanp is used, and not nir's own reader, which refuses graphs in graphs. Units that an edge comes back
to give what they gave in the step before; all others what they give in this one.

Source of the equations: Pedersen et al., Nature Communications 15, 8122 (2024), table 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def read(path) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """Return nodes (their fields, and "type") and edges of a file; those of graphs in it are a.b."""
    import h5py  # pyright: ignore[reportMissingImports]

    nodes: dict[str, dict[str, Any]] = {}
    edges: list[tuple[str, str]] = []

    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    def add(group, path):
        inner = {name: text(item["type"][()]) for name, item in group["nodes"].items()}
        ins = {name: f"{path}{name}.input" if kind == "NIRGraph" else f"{path}{name}" for name, kind in inner.items()}
        outs = {name: f"{path}{name}.output" if kind == "NIRGraph" else f"{path}{name}" for name, kind in inner.items()}
        for name, kind in inner.items():
            if kind == "NIRGraph":
                add(group["nodes"][name], f"{path}{name}.")
            else:
                fields = {k: v[()] for k, v in group["nodes"][name].items() if k not in ("type", "metadata")}
                nodes[f"{path}{name}"] = {"type": kind, **fields}
        for a, b in group["edges"][()]:
            a, b = text(a), text(b)
            if path == "lif1.":  # its one unit is called lif1 there, and lif by the edges
                a, b = ("lif1" if each == "lif" else each for each in (a, b))
            edges.append((outs[a], ins[b]))

    with h5py.File(path) as file:
        add(file["node"], "")
    return nodes, edges


def walk(nodes, edges, u, dt, reset="hard"):
    """Return spikes and membranes before the reset, (T, n) by unit, and what the output gets (T, O).

    Membranes are in units from v_reset to the threshold, less 1.

    Args:
        nodes, edges: see `read`. u: (T, I) inputs. dt: seconds a step. reset: "hard" or "subtract".
    """
    before = {name: [a for a, b in edges if b == name] for name in nodes}
    units = {name: node for name, node in nodes.items() if node["type"] in ("LIF", "CubaLIF", "IF")}
    state: dict[str, Any] = {}
    last: dict[str, Any] = {}
    spikes: dict[str, list] = {name: [] for name in units}
    margins: dict[str, list] = {name: [] for name in units}
    outputs = []

    def of(node, key, default=0.0):
        return np.asarray(node.get(key, default), dtype=float).reshape(-1) + 0.0

    def move(name, x):
        node, (v, current) = nodes[name], state.get(name, (None, 0.0))
        v = of(node, "v_reset") + 0 * x if v is None else v
        if node["type"] == "CubaLIF":
            current = current + dt / of(node, "tau_syn") * (of(node, "w_in", 1.0) * x - current)
            v = v + dt / of(node, "tau_mem") * (of(node, "v_leak") - v + of(node, "r") * current)
        elif node["type"] == "LIF":
            v = v + dt / of(node, "tau") * (of(node, "v_leak") - v + of(node, "r") * x)
        else:
            v = v + dt * of(node, "r") * x
        s = (v > of(node, "v_threshold")).astype(float)
        spikes[name].append(s)
        height = of(node, "v_threshold") - of(node, "v_reset")
        margins[name].append((v - of(node, "v_threshold")) / height)
        after = np.where(s > 0, of(node, "v_reset"), v) if reset == "hard" else v - s * height
        state[name] = after, current
        return s

    for now in u:
        done: dict[str, Any] = {}
        under_way: list[str] = []

        def value(name, now=now, done=done, under_way=under_way):
            if name in done:
                return done[name]
            if name in under_way:
                return last.get(name, 0.0)
            node = nodes[name]
            if not before[name]:
                return now
            if name in units:
                under_way.append(name)
            x = sum(value(other) for other in before[name])
            if node["type"] in ("Linear", "Affine"):
                W = np.asarray(node["weight"], dtype=float)
                x = W @ (x + np.zeros(W.shape[1])) + np.asarray(node.get("bias", 0.0), dtype=float)
            elif node["type"] == "Scale":
                x = np.asarray(node["scale"], dtype=float) * x
            if name in units:
                under_way.remove(name)
                done[name] = x = move(name, x)
            return x

        outputs.append(value("output") if "output" in nodes else value("out"))
        last.update(done)
    return (
        {name: np.array(each) for name, each in spikes.items()},
        {name: np.array(each) for name, each in margins.items()},
        np.array(outputs),
    )
