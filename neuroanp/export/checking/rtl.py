"""Run the core in Icarus Verilog: the testbench presents stimulus.mem and writes what the core gives, a line a step.

expected.txt has the same lines; the testbench compares them too, and ends with PASS or FAIL.
"""

import os
import re
import shutil
import subprocess
import tempfile

import numpy as np


def nothing():
    """Return no stimulus: the testbench reads its own file."""
    return {}


def expected():
    """Return what must come out, by name."""
    return of_lines("expected.txt")


def core():
    """Return the name of the core's file: that of one layer, or that of several."""
    return "lif_net.v" if os.path.exists("lif_net.v") else "lif_core.v"


def of_lines(name):
    """Return spikes and outputs of a file with a line a step: the spikes in hexadecimal, then the outputs."""
    with open(core(), encoding="ascii") as file:
        stated = re.search(r"parameter UNITS = (\d+)", file.read())
    if stated is None:
        raise ValueError(f"{core()}: does not state UNITS")
    units = int(stated[1])
    with open(name, encoding="ascii") as file:
        words = [line.split() for line in file]
    bits = [[int(spikes, 16) >> unit & 1 for unit in range(units)] for spikes, *_ in words]
    return {"spikes": np.array(bits), "outputs": np.array([[int(y) for y in outputs] for _, *outputs in words])}


def run(stimulus):
    """Compile and simulate a copy of the files; return spikes (steps, units) and outputs (steps, outputs)."""
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir("."):
            if name.endswith((".v", ".mem", ".txt")):
                shutil.copy(name, folder)
        call("iverilog", "-g2005-sv", "-o", "lif.vvp", "testbench.v", core(), folder=folder)
        call("vvp", "-n", "lif.vvp", folder=folder, unless="lines differ")  # how many is counted here
        return of_lines(os.path.join(folder, "observed.txt"))


def call(*command, folder, unless=None):
    """Run a program; RuntimeError with what it prints where it fails, unless that has these words in it."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode and (unless is None or unless not in said):
        raise RuntimeError(f"{command[0]}: {said}")


READERS = {"Icarus Verilog": (("iverilog", "vvp"), "apt-get install iverilog", run)}
OWN = (nothing, expected)
