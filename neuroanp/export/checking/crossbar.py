"""Solve the netlist of each array in ngspice, with the amplitudes of conductances.npz as its sources.

An array is driven twice: as the network drives it at one step, where many lines may be at rest, and on all lines.
"""

import os
import re
import subprocess
import tempfile

import numpy as np

ALL = ".all"
"""What follows an array's name where all of its lines are driven."""


def presented():
    """Return the amplitudes (m,) of each array, by name."""
    return {**dict(of_arrays("x")), **{f"{name}{ALL}": x for name, x in of_arrays("x_all")}}


def expected():
    """Return the outputs (n,) of each array, by name, and how far they may be off."""
    g, scale = dict(of_arrays("g")), dict(of_arrays("scale"))
    outputs = {**dict(of_arrays("y")), **{f"{name}{ALL}": y for name, y in of_arrays("y_all")}}
    found = {}
    for name, x in presented().items():
        array = name.removesuffix(ALL)
        found |= {name: outputs[name], f"{name}.tolerance": allowed(g[array], x, scale[array])}
    return found


def of_arrays(part):
    """Return each array's name with one part of what conductances.npz has of it."""
    with np.load("conductances.npz", allow_pickle=False) as file:
        found = [(key[: -len(part) - 1], file[key]) for key in file.files if key.endswith(f".{part}")]
    if odd := [name for name, _ in found if not re.fullmatch(r"\w+", name)]:
        raise ValueError(f"conductances.npz: {odd[0]!r} is no name of an array")
    return found


def allowed(g, x, scale):
    """Return how far outputs may be off: 1e-9 of what the largest conductance alone could give, in units of outputs."""
    return 1e-9 * float(np.max(g)) * max(float(np.abs(x).sum()), 1.0) / float(scale)


def run(stimulus):
    """Return the outputs (n,) of each array of amplitudes (m,), by the name of its netlist."""
    return {name: solved(name.removesuffix(ALL), x) for name, x in stimulus.items()}


def solved(name, x):
    """Return the outputs of one netlist, whose amplitudes are parameters x0, x1, ..."""
    with open(f"{name}.cir", encoding="ascii") as file:
        text = re.sub(
            r"^\.param x(\d+)=.*", lambda it: f".param x{it[1]}={float(x[int(it[1])])!r}", file.read(), flags=re.M
        )
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, f"{name}.cir"), "w", encoding="ascii") as file:
            file.write(text)
        command = ["ngspice", "-b", f"{name}.cir"]
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        out = os.path.join(folder, f"{name}.out")
        if done.returncode or not os.path.exists(out):
            raise RuntimeError(f"ngspice gives nothing for {name}.cir: {(done.stderr + done.stdout).strip()}")
        return np.loadtxt(out, skiprows=1, ndmin=1)[1:]  # ngspice puts a column of its own first


READERS = {"ngspice": (("ngspice",), "apt-get install ngspice", run)}
OWN = (presented, expected)
