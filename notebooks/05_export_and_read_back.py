# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Export to chips, and read back
#
# **Will the chip compute what I trained, and how would I know before I have one?**
#
# Three networks are trained: of spikes, of rates, and of a chip's own whole numbers. They are exported to every format
# that can hold them, and each export is run by a program that is *not* neuroanp. Then you open two of the files
# yourself, with the libraries of their own projects, and compare step by step.
#
# Readers are separate packages: `pip install 'neuroanp[export]' onnxruntime norse xylosim`; ngspice and Icarus Verilog
# are programs of their own. Those that are missing are named, and skipped.

# %%
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import neuroanp as na
from neuroanp.errors import InputError

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "font.size": 10})

# %% tags=["parameters"]
UPDATES = 120
K = 8  # pairs of passes of each update

# %% [markdown]
# ## Three networks
#
# Units that spike learn whether two pulses, one after the other, were different (temporal XOR). `target` sets reset,
# decays and encoder to what a format can hold; with `target="xylo"` the forward pass is that chip's own arithmetic, its
# weights whole numbers of 8 bits. Rates learn to copy three symbols, on phase-change memory.

# %%
xor = {
    "task": {"name": "xor", "gap": 5}, "network": {"hidden": 40}, "rule": {"name": "anp", "preset": "spiking", "K": K},
    "optimizer": {"name": "adam", "lr": 1e-2, "schedule": "cosine"}, "training": {"batch": 8, "controls": False},
}  # fmt: skip
quiet = {"report": False, "progress": False}
spikes = na.train(xor, target="nir", backend="spiking", updates=UPDATES, **quiet)
chip = na.train(xor, target="xylo", updates=UPDATES, **quiet)
rates = na.train(
    task={"name": "copy", "length": 3, "delay": 3, "symbols": 4}, profile="pcm", network={"hidden": 30},
    updates=2 * UPDATES, training={"batch": 16, "controls": False}, **quiet,
)  # fmt: skip
print(spikes, chip, rates, sep="\n")

# %% [markdown]
# ## Export
#
# An export is a folder: the files, a report of what was lost, a stimulus and the output expected of it, and a script
# that checks them. See `before` and `after` in the table: the loss of the weights in float64, and of what the format
# holds.

# %%
spikes.export("nir", "nir")

# %% [markdown]
# ## Every format, and what it refuses
#
# `check_export` runs an export in the reader of its format and compares: it is true only if that gives what is
# expected. A format that cannot hold a network says why, and what to change, instead of holding something else.

# %%
for name, run in (("spikes", spikes), ("chip", chip), ("rates", rates)):
    for form in ("nir", "onnx", "loihi", "xylo", "rtl", "crossbar"):
        try:
            report = na.export(run, form, f"{name}_{form}")
        except InputError as error:
            print(f"{name:6} {form:8} cannot:", str(error).splitlines()[-1].strip()[:96])
            continue
        lost = report.score["after"]["loss"] - report.score["before"]["loss"]
        try:
            found = na.check_export(f"{name}_{form}")
            said = "PASS" if found else f"FAIL, {found.said}"
        except InputError as error:
            said = f"no reader here ({str(error).splitlines()[-1].strip()[:50]})"
        print(f"{name:6} {form:8} {said}; the format changes the loss by {lost:+.1g}")

# %% [markdown]
# ## Read NIR yourself
#
# NIR is a graph of neuron models, read by a dozen simulators. See the layers as another project's library reads them,
# with their time constants in seconds.

# %%
if find_spec("nir"):
    import nir

    graph = nir.read(next(Path("nir").glob("*.nir")))
    for name, node in graph.nodes.items():
        shapes = {key: np.shape(value) for key, value in vars(node).items() if isinstance(value, np.ndarray)}
        print(f"{name:12} {type(node).__name__:10} {shapes}")
else:
    print("pip install nir")

# %% [markdown]
# ## Run ONNX yourself
#
# The network of rates as ONNX Runtime runs it, beside `run.predict` of the chip without noise. The export has the
# digital weights that were to be written, the chip has what its cells made of them: the dashed line differs by the
# errors of writing. `weights="as_held"` exports the latter. What is left then are the converters around the cells,
# which no file of weights has: `run.weights().beside` names them.

# %%
if find_spec("onnxruntime"):
    import onnxruntime

    inputs = rates.held_out().inputs

    def by_onnx(folder):
        """Return the outputs (T, B, O) of an export."""
        session = onnxruntime.InferenceSession(next(Path(folder).glob("*.onnx")))
        feeds = {}
        for given in session.get_inputs():
            shape = [inputs.shape[1] if not isinstance(size, int) else size for size in given.shape]
            feeds[given.name] = np.zeros(shape, np.float32)
        feeds[session.get_inputs()[0].name] = inputs.astype(np.float32)
        return session.run(None, feeds)[0]

    rates.export("onnx", "rates_as_held", weights="as_held")
    device = rates.predict(inputs, noise=False)
    targets, held = by_onnx("rates_onnx"), by_onnx("rates_as_held")
    print(f"digital weights: largest difference to the chip {abs(targets - device).max():.2g}")
    print(f"as held:         largest difference to the chip {abs(held - device).max():.2g}")
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(device[:, 0, 0], color="k", lw=3, alpha=0.3, label="the chip, without noise")
    axes.plot(targets[:, 0, 0], "--", color="#d55e00", label="ONNX Runtime, digital weights")
    axes.plot(held[:, 0, 0], color="#0072b2", label="ONNX Runtime, as held")
    axes.set(xlabel="step", ylabel="output 0 of sequence 0")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()
else:
    print("pip install onnxruntime")

# %% [markdown]
# ## Whole numbers
#
# What learned on a chip's numbers is exported number for number: the loss as trained is the loss as exported. A network
# that learned in floating point loses something to 8 bits; `finetune=100` goes on learning with the chip in the loop.

# %%
chip.export("xylo", "xylo")

# %% [markdown]
# ## Where to go from here
#
# - `neuroanp train --task xor --target xylo` keeps to what a chip can hold from the start, and learns on its numbers.
# - `neuroanp import FILE.nir --task T` brings a network of others here.
# - Next: [the paper, and where its claims hold](06_the_paper.ipynb).
