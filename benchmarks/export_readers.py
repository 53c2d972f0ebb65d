"""Readers of exports that nobody here wrote: each takes the folder of an export and inputs, and runs what lies there.

A reader returns the outputs (T, B, O) and the hidden spikes (T, B, N), or None, of inputs (T, B, I); the delays of the
format are taken out, so that step t is the network's.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from neuroanp.export.checking.script import SCRIPT

Array = Any  # NDArray
Pair = tuple[Array, Array | None]


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


def by_script(name: str) -> Callable[[Path, Array], Pair]:
    """Return what runs an export in a reader as the export's own script does."""

    def read(folder: Path, u: Array) -> Pair:
        run = runpy.run_path(str(folder / SCRIPT), run_name="check")["READERS"][name][-1]
        with chdir(folder):
            found = run({"inputs": u})
        spikes = found["spikes"].astype(np.int64) if "spikes" in found else None
        return found["outputs"].astype(np.float64), spikes

    return read


def icarus(folder: Path, u: Array) -> Pair:
    """Compile and run the testbench, and read what the core gives; its stimulus holds the first sequences."""
    scale = json.loads((folder / "report.json").read_text())["facts"]["y_scale"]
    y, s = by_script("Icarus Verilog")(folder, u)
    assert s is not None
    y, s = (part.reshape(-1, len(u), part.shape[-1]).swapaxes(0, 1) for part in (y, s))
    return y / scale, s


def loihi_model(folder: Path, u: Array) -> Pair:
    """Run network.net in the integer model of neuroanp, which is not a reader of others: see `lava`."""
    import torch

    from neuroanp.backends.loihi import begin, run
    from neuroanp.export import netx

    network = netx.read(folder / "network.net")
    scale = json.loads((folder / "report.json").read_text())["facts"]["output_scale"]
    with np.load(folder / "stimulus.npz", allow_pickle=False) as file:
        reads = str(file["state"])
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
ASK_LAVA = "import numpy, check; numpy.savez('lava.npz', **check.run(check.presented()))"


def lava(folder: Path, u: Array) -> Pair:
    """Run network.net in lava's fixed-point simulator, on the first sequences; each takes it a second or more."""
    assert LAVA_PYTHON is not None
    scale = json.loads((folder / "report.json").read_text())["facts"]["output_scale"]
    with TemporaryDirectory() as place:
        for name in ("network.net", SCRIPT):
            shutil.copy(folder / name, place)
        with np.load(folder / "stimulus.npz", allow_pickle=False) as file:
            np.savez(Path(place) / "stimulus.npz", inputs=u[:, :LAVA_SEQUENCES].astype(np.uint8), state=file["state"])
        program([LAVA_PYTHON, "-c", ASK_LAVA], Path(place), LAVA_LIMIT_S)
        with np.load(Path(place) / "lava.npz", allow_pickle=False) as found:
            return found["output_state"] / scale, found["spikes"]


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


def check(folder: Path, reader: str) -> int:
    """Run the export's script as it stands, in one reader, and return its exit code."""
    ran = subprocess.run(
        [sys.executable, SCRIPT, reader], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    if ran.returncode:
        print(f"\n{folder.name}: {SCRIPT}: {(ran.stdout or ran.stderr)[-400:]}", file=sys.stderr)
    return ran.returncode


def program(command: list[str], folder: Path, limit_s: float = 400) -> str:
    """Run a program in a folder and return what it printed; RuntimeError where it fails."""
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s, check=False)
    if ran.returncode:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}: {(ran.stderr or ran.stdout)[-400:]}")
    return ran.stdout


READERS = [
    Reader("nir", "norse", ("nir", "norse"), "pip install 'neuroanp[nir]' norse==1.1.0", by_script("norse")),
    Reader("nir", "spikingjelly", ("nir", "spikingjelly"),
           "pip install 'neuroanp[nir]' spikingjelly==2.0.0", by_script("spikingjelly")),
    Reader("onnx", "onnxruntime", ("onnx", "onnxruntime"),
           "pip install 'neuroanp[onnx]' onnxruntime", by_script("onnxruntime")),
    Reader("xylo", "xylosim", ("xylosim",), "pip install xylosim", by_script("xylosim")),
    Reader("loihi", "lava" if LAVA_PYTHON else "our integer model (lava not run)", ("h5py",),
           "pip install 'neuroanp[loihi]'", lava if LAVA_PYTHON else loihi_model),
    Reader("crossbar", "ngspice", ("ngspice",), "apt-get install ngspice", None),
    Reader("rtl", "Icarus Verilog", ("iverilog", "vvp"), "apt-get install iverilog", icarus),
]  # fmt: skip
