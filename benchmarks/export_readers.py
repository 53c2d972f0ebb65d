"""Readers of exports that nobody here wrote: each takes the folder of an export and inputs, and runs what lies there.

A reader returns the outputs (T, B, O) and the hidden spikes (T, B, N), or None, of inputs (T, B, I); the delays of the
format are taken out, so that step t is the network's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

Array = Any  # NDArray
Pair = tuple[Array, Array | None]
RTL_MARK = "PASS"


@dataclass(frozen=True)
class Reader:
    """A tool that reads an export.

    Args:
        format: whose files it reads. label: as it stands in a table.
        needs: modules and programs without which it does not run. install: the command that brings them.
        read: (folder, inputs) -> outputs, spikes; None: see `ngspice`, which has arrays and no network.
    """

    format: str
    label: str
    needs: tuple[str, ...]
    install: str
    read: Callable[[Path, Array], Pair] | None

    @property
    def missing(self) -> tuple[str, ...]:
        """What of its needs is not there."""
        return tuple(name for name in self.needs if find_spec(name) is None and shutil.which(name) is None)


def norse(folder: Path, u: Array) -> Pair:
    """Run network.nir in norse."""
    import norse.torch  # pyright: ignore[reportMissingImports]

    return _nir(folder, u, norse.torch.from_nir)


def spikingjelly(folder: Path, u: Array) -> Pair:
    """Run network.nir in spikingjelly."""
    from spikingjelly.activation_based.nir_exchange import (  # pyright: ignore[reportMissingImports]
        import_from_nir,
    )

    return _nir(folder, u, import_from_nir)


def _nir(folder: Path, u: Array, load: Callable[..., Any]) -> Pair:
    """Step a graph as its metadata say: filtered input lines, and the outputs' decay."""
    import nir  # pyright: ignore[reportMissingImports]
    import torch

    graph = nir.read(str(folder / "network.nir"))
    about = graph.metadata
    net = load(graph, dt=float(about["dt"]))
    if "input_constants" in about:
        fixed = about["input_constants"]
        u = np.concatenate([u, np.broadcast_to(fixed, (*u.shape[:2], len(fixed)))], -1)
    if "input_taps" in about:
        now, before = about["input_taps"].T
        u = now * u + before * np.concatenate([0 * u[:1], u[:-1]])
    state, spikes, outputs, y = None, [], [], 0.0
    with torch.no_grad():
        for line in torch.as_tensor(u, dtype=next(net.parameters()).dtype):
            out, state = net(line, state)
            spikes.append(state.cache["lif"] if hasattr(state, "cache") else state["lif_prev_output"])
            y = float(about["output_decay"]) * y + out.double().numpy()
            outputs.append(y)
    return np.array(outputs), torch.stack(spikes).numpy().astype(np.int64)


def onnxruntime(folder: Path, u: Array) -> Pair:
    """Run model.onnx; spikes are there where it was written with `states`."""
    import onnxruntime as runtime  # pyright: ignore[reportMissingImports]

    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    kind = np.float64 if session.get_inputs()[0].type == "tensor(double)" else np.float32
    found: dict[str, Array] = dict(zip(names, session.run(names, {"inputs": u.astype(kind)}), strict=True))
    spikes = found["spikes"].astype(np.int64) if "spikes" in found else None
    return found["outputs"].astype(np.float64), spikes


def xylosim(folder: Path, u: Array) -> Pair:
    """Run xylo.npz and xylo.json, one sequence after the other; inputs one step late, as the chip's outputs are."""
    from xylosim.v2 import XyloLayer, XyloSynapse  # pyright: ignore[reportMissingImports]

    spec = json.loads((folder / "xylo.json").read_text())
    with np.load(folder / "xylo.npz", allow_pickle=False) as file:
        chip = dict(file)

    def synapses(W: Array) -> list[list[Any]]:
        W = W.reshape(*W.shape[:2], -1)
        return [[XyloSynapse(*map(int, to), int(pre[tuple(to)])) for to in np.argwhere(pre)] for pre in W]

    held = {name: value.tolist() for name, value in chip.items()}
    weights = [synapses(chip[name]) for name in ("w_in", "w_rec", "w_out")]  # must outlive the layer
    aliases: list[list[Any]] = [[] for _ in held["threshold"]]
    shifts = [spec["shifts"][name] for name in ("in", "rec", "out")]
    dash_out = [[dash] for dash in held["dash_syn_out"]]
    rise = 1 - spec["y"]["decay"] ** np.arange(1, len(u) + 1)[:, None]
    outputs, spikes = [], []
    for sequence in u.swapaxes(0, 1):
        layer = XyloLayer(
            *weights, aliases, held["threshold"], held["threshold_out"], True, held["bias"], held["bias_out"], *shifts,
            held["dash_mem"], held["dash_mem_out"], held["dash_syn"], dash_out, "chip",
        )  # fmt: skip
        layer.evolve([[0] * u.shape[2], *sequence.astype(int).tolist()])
        y = np.array(layer.rec_i_syn_out).T[1:] / spec["y"]["units"]
        outputs.append(y + np.array(spec["y"]["offset"]) * rise)
        spikes.append(np.array(layer.rec_recurrent_spikes)[:-1])
    return np.stack(outputs, 1), np.stack(spikes, 1)


def icarus(folder: Path, u: Array) -> Pair:
    """Compile and run the testbench, and read what the core printed; its stimulus holds the first sequences.

    Raises:
        RuntimeError: the testbench did not end with PASS.
    """
    facts = json.loads((folder / "report.json").read_text())["facts"]
    steps = len(u)
    program(["iverilog", "-g2005-sv", "-o", "lif.vvp", "testbench.v", "lif_core.v"], folder)
    said = program(["vvp", "-n", "lif.vvp"], folder)
    if not said.strip().startswith(RTL_MARK):
        raise RuntimeError(f"vvp: {said.strip()[:200]}")
    lines = [line.split() for line in (folder / "observed.txt").read_text().splitlines()]
    sequences, units = len(lines) // steps, 4 * len(lines[0][0])
    masks = [int(line[0], 16) for line in lines]
    spikes = np.array([[mask >> unit & 1 for unit in range(units)] for mask in masks])
    y = np.array([[int(word) for word in line[1:]] for line in lines]) / facts["y_scale"]
    return tuple(part.reshape(sequences, steps, -1).swapaxes(0, 1) for part in (y, spikes))  # pyright: ignore


def loihi_model(folder: Path, u: Array) -> Pair:
    """Run network.net in the integer model of neuroanp, which is not a reader of others: see `lava`."""
    import torch

    from neuroanp.backends.loihi import begin, run
    from neuroanp.export import netx

    network = netx.read(folder / "network.net")
    with np.load(folder / "expected.npz", allow_pickle=False) as file:
        scale, reads = float(file["scale"]), str(file["reads"])
    spikes = torch.from_numpy(u.astype(np.int64))
    steps, _ = run(network, begin(network, u.shape[1]), torch.cat([spikes, 0 * spikes[:1]]))
    state = steps.u_out if reads == "u" else steps.v_out
    return state[1:].numpy() / scale, steps.s[:-1].numpy()


def lava_recorded(data: Path) -> tuple[int, int]:
    """Return how many spikes of the integer model differ from a recording of lava, and how many lava had."""
    import torch

    from neuroanp.backends.loihi import begin, run
    from neuroanp.export import netx

    network = netx.read(data.with_suffix(".net"))
    with np.load(data.with_suffix(".npz"), allow_pickle=False) as file:
        lava = dict(file)
    extra = len(lava["hidden_spikes"]) - len(lava["input_spikes"])
    u = torch.from_numpy(np.pad(lava["input_spikes"].astype(np.int64), ((0, extra), (0, 0))))[:, None]
    steps, _ = run(network, begin(network, 1), u)
    pairs = ((steps.s, "hidden_spikes"), (steps.s_out, "output_spikes"))
    off = sum(int((ours[:, 0].numpy() != lava[name]).sum()) for ours, name in pairs)
    return off, sum(int(lava[name].sum()) for _, name in pairs)


LAVA_PYTHON = os.environ.get("NEUROANP_LAVA_PYTHON")
"""A Python that has lava-nc 0.10.0 and lava-dl 0.6.0, for `lava`."""
LAVA_SEQUENCES, LAVA_LIMIT_S = 30, 900.0
ASK_LAVA = """
import numpy as np
from lava_run import run
u, reads = np.load("sequences.npy"), str(np.load("expected.npz")["reads"])
s, state = zip(*(run("network.net", np.ascontiguousarray(u[:, b]), reads) for b in range(u.shape[1])))
np.savez("lava.npz", s=np.stack(s, 1), state=np.stack(state, 1))
"""


def lava(folder: Path, u: Array) -> Pair:
    """Run network.net in lava's fixed-point simulator, on the first sequences; each takes it a second or more."""
    assert LAVA_PYTHON is not None
    with TemporaryDirectory() as place:
        for name in ("network.net", "lava_run.py", "expected.npz"):
            shutil.copy(folder / name, place)
        np.save(Path(place) / "sequences.npy", u[:, :LAVA_SEQUENCES].astype(np.uint8))
        program([LAVA_PYTHON, "-c", ASK_LAVA], Path(place), LAVA_LIMIT_S)
        with np.load(folder / "expected.npz", allow_pickle=False) as file:
            scale = float(file["scale"])
        with np.load(Path(place) / "lava.npz", allow_pickle=False) as found:
            return found["state"] / scale, found["s"]


def ngspice(folder: Path) -> dict[str, tuple[Array, Array, Array]]:
    """Run every netlist and return by array the outputs found, those of the file, and x, all as printed or stored."""
    with np.load(folder / "conductances.npz", allow_pickle=False) as file:
        data = dict(file)
    found = {}
    for path in sorted(folder.glob("*.cir")):
        program(["ngspice", "-b", path.name], folder)
        y = np.loadtxt(path.with_suffix(".out"), skiprows=1, ndmin=1)[1:]
        found[path.stem] = (y, data[f"{path.stem}.y"], data[f"{path.stem}.x"])
    return found


def read_back(folder: Path, shell: bool) -> int:
    """Run READ_BACK.txt as it stands and return its exit code; its `python` is the one that runs this."""
    place = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    command = ["sh", "-e"] if shell else [sys.executable]
    ran = subprocess.run(
        [*command, "READ_BACK.txt"], cwd=folder, env=place, capture_output=True, text=True, timeout=300, check=False
    )
    if ran.returncode:
        print(f"\n{folder.name}: READ_BACK.txt: {(ran.stderr or ran.stdout)[-400:]}", file=sys.stderr)
    return ran.returncode


def program(command: list[str], folder: Path, limit_s: float = 400) -> str:
    """Run a program in a folder and return what it printed; RuntimeError where it fails."""
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s, check=False)
    if ran.returncode:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}: {(ran.stderr or ran.stdout)[-400:]}")
    return ran.stdout


READERS = [
    Reader("nir", "norse", ("nir", "norse"), "pip install 'neuroanp[nir]' norse==1.1.0", norse),
    Reader("nir", "spikingjelly", ("nir", "spikingjelly"),
           "pip install 'neuroanp[nir]' spikingjelly==2.0.0", spikingjelly),
    Reader("onnx", "onnxruntime", ("onnx", "onnxruntime"), "pip install 'neuroanp[onnx]' onnxruntime", onnxruntime),
    Reader("xylo", "xylosim", ("xylosim",), "pip install xylosim", xylosim),
    Reader("loihi", "lava" if LAVA_PYTHON else "our integer model (lava not run)", ("h5py",),
           "pip install 'neuroanp[loihi]'", lava if LAVA_PYTHON else loihi_model),
    Reader("crossbar", "ngspice", ("ngspice",), "apt-get install ngspice", None),
    Reader("rtl", "Icarus Verilog", ("iverilog", "vvp"), "apt-get install iverilog", icarus),
]  # fmt: skip
SHELL = frozenset({"rtl", "crossbar"})
