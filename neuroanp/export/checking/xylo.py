"""Run xylo.npz and xylo.json in xylosim: the chip's arithmetic, bit for bit; not a samna configuration.

Inputs are given one step late and outputs read one step late: the chip takes T + 1 steps for T.
"""

# pyright: reportMissingImports=false

import json

import numpy as np


def run(stimulus):
    """Return hidden spikes (T, B, N), layer after layer, and outputs (T, B, O) of input spikes (T, B, I)."""
    from xylosim.v2 import XyloLayer, XyloSynapse

    with open("xylo.json", encoding="utf-8") as file:
        spec = json.load(file)
    with np.load("xylo.npz", allow_pickle=False) as file:
        chip = {name: file[name] for name in file.files}

    def synapses(W):  # [from, to, synapse]
        W = W.reshape(*W.shape[:2], -1)
        return [[XyloSynapse(*map(int, to), int(pre[tuple(to)])) for to in np.argwhere(pre)] for pre in W]

    held = {name: array.tolist() for name, array in chip.items()}
    kept = [synapses(chip[name]) for name in ("w_in", "w_rec", "w_out")]  # must live as long as the layer
    aliases, dash_out = [[] for _ in held["threshold"]], [[dash] for dash in held["dash_syn_out"]]
    shifts = [spec["shifts"][name] for name in ("in", "rec", "out")]
    offset = np.array(spec["y"]["offset"]) * (
        1 - spec["y"]["decay"] ** np.arange(1, len(stimulus["inputs"]) + 1)[:, None]
    )
    spikes, outputs = [], []
    for sequence in stimulus["inputs"].swapaxes(0, 1).astype(int):
        layer = XyloLayer(
            *kept, aliases, held["threshold"], held["threshold_out"], True, held["bias"], held["bias_out"], *shifts,
            held["dash_mem"], held["dash_mem_out"], held["dash_syn"], dash_out, "network",
        )  # fmt: skip
        layer.evolve([[0] * sequence.shape[1], *sequence.tolist()])
        outputs.append(np.array(layer.rec_i_syn_out).T[1:] / spec["y"]["units"] + offset)
        spikes.append(np.array(layer.rec_recurrent_spikes)[:-1])
    return {"spikes": np.stack(spikes, 1), "outputs": np.stack(outputs, 1)}


READERS = {"xylosim": (("xylosim",), "pip install xylosim", run)}
