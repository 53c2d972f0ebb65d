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
# # 2. From a measured trace to a verdict
#
# **I have measured a device. Can a network learn on it, and if not, what is missing?**
#
# Two records are all there is here: conductances of four cells after each of 300 pulses, and a voltage that jumps
# between two levels. You look at them, fit a law to each, train on the device that comes of it beside known ones, and
# read a verdict that says what it rests on. At the end you ask which property would have to be better.
#
# The records come with neuroanp and are synthetic, so that the notebook runs everywhere; put your own files in their
# place. It takes a few minutes.

# %%
import csv
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import neuroanp as na
from neuroanp.scaffolding import examples

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "font.size": 10})
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

# %% tags=["parameters"]
UPDATES = 300
SEEDS = 5  # fewer cannot tell a loss from its controls
VALUES = (0.108, 0.01)  # of the property that is varied at the end

# %% [markdown]
# ## The records
#
# `neuroanp examples --copy examples` puts them into a folder; so does this. A record is a table whose columns say
# quantity and unit. Nothing else is needed.

# %%
examples.copy(Path("examples"))
PULSES, NOISE = Path("examples/data/pulse.csv"), Path("examples/data/telegraph.csv")


def columns(path):
    """Return the columns of a record by name."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


pulses, noise = columns(PULSES), columns(NOISE)
print("pulse.csv:    ", ", ".join(pulses), f"({len(pulses['device'])} rows)")
print("telegraph.csv:", ", ".join(noise), f"({len(noise['time_us'])} rows)")

# %% [markdown]
# See on the left that up and down are not alike, and that the four cells differ; on the right two levels with a little
# noise of the amplifier on them.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for device in np.unique(pulses["device"]):
    left.plot(pulses["conductance_uS"][pulses["device"] == device], lw=1, label=f"cell {device:.0f}")
left.set(xlabel="pulse", ylabel="conductance (µS)", title="pulse.csv")
left.legend(frameon=False, fontsize=8)
right.plot(noise["time_us"][:300], noise["voltage_mV"][:300], lw=1, color=BLUE)
right.set(xlabel="time (µs)", ylabel="voltage (mV)", title="telegraph.csv, the first 300 samples")
plt.show()

# %% [markdown]
# ## From the records to a verdict
#
# One call: fit both records, hold the fits to their data, train on five seeds on the device, on a known one and on an
# ideal one, and compare. Everything lies in `assessments/my_cell` afterwards; nothing that is there is repeated.

# %%
found = na.assess(
    [PULSES, NOISE], name="my_cell", tasks="copy", beside="pcm", seeds=SEEDS, updates=UPDATES, requirements=False,
    report=False,
)  # fmt: skip

# %% [markdown]
# ## The verdict
#
# The table has the device's loss beside the ideal one's and two controls: the same network with its recurrence frozen,
# and the best readout of the untrained network. Sentences say, seed by seed, what that shows, and what it does not.
# Behind a number, † means that it rests on an illustrative value, ‡ on one taken over from another device: energy,
# time and wear here are not of this device, for nobody measured them.

# %%
found

# %% [markdown]
# ## Do the fits describe the records?
#
# A fit that does not is refused before anything is trained. What was fitted stands in a profile, a file of text with
# a source and a status for each number. See that each of these numbers has an interval: what the record does not
# determine is wide.

# %%
profile = found.profile
shown = ("update.dw", "update.dw_d2d", "update.up_down", "update.c2c", "stochastic.tau_high", "stochastic.amplitude")
for key in (*shown, "stochastic.volts_per_unit"):
    status, source = profile.provenance[key]
    print(f"{key:26} {status:13} {source}")

# %% [markdown]
# The last one is no measurement: how many volts of the junction move a unit by 1 is a property of the circuit that
# you build around it, and decides how large the noise is that the network explores with.
#
# ## Losses, seed by seed
#
# A dot a seed. See how far the device is from the ideal one, and that it lies below its own control on every seed, if
# it does: five of five happen by chance once in 32 times.

# %%
trained = found.found.trained[0]
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for at, method in enumerate(trained.group):
    axes.plot(method.values("test_loss"), np.full(SEEDS, at), "o", color=BLUE, label="as learned" if not at else None)
    frozen = [other for _, other in method.against("frozen_recurrence")]
    axes.plot(frozen, np.full(len(frozen), at), "x", color=ORANGE, label="frozen recurrence" if not at else None)
names = [method.profile for method in trained.group]
axes.set(xscale="log", xlabel="test loss", yticks=range(len(names)), yticklabels=names, ylim=(-0.5, len(names) - 0.5))
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## What would have to be better?
#
# Suspect one property: cells differ in how far a pulse moves them (`update.dw_d2d`). A variant of a profile is a file
# that `extends` it and says what differs. The spread as fitted, and a tenth of it, everything else as it is:


# %%
def variant(spread):
    """Write the device with another spread of steps between cells, and return the file."""
    path = Path(f"spread_{spread:g}.yaml")
    path.write_text(
        f"extends: {found.path}\n"
        f"meta: {{name: spread-{spread:g}, summary: my_cell with another spread of its steps}}\n"
        f"update: {{dw_d2d: {{value: {spread}, source: what if, status: illustrative}}}}\n"
    )
    return path


swept = na.compare(
    trained.laid.configs["my_cell"][0].to_plain(), profiles=[variant(value) for value in VALUES], seeds=3,
    overrides={"training.controls": False}, report=False, progress=False,
)  # fmt: skip

# %% [markdown]
# A line a seed. See whether all fall from left to right: then cells that are more alike would help. If not, the fault
# is elsewhere.

# %%
losses = [[row["test_loss"] for row in swept.results if row["profile"] == f"spread-{value:g}"] for value in VALUES]
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
axes.plot(range(len(VALUES)), losses, "o-", color=GREEN)
axes.set(xticks=range(len(VALUES)), xticklabels=VALUES, xlim=(-0.3, len(VALUES) - 0.7), yscale="log")
axes.set(xlabel="spread of steps between cells", ylabel="test loss")
plt.show()

# %% [markdown]
# ## Where to go from here
#
# - `na.assess(..., requirements=True)` does the last step for every property that the profile states, one at a time,
#   and says which falls short and by how much: some hundred small runs.
# - On the command line: `neuroanp assess examples/data/pulse.csv examples/data/telegraph.csv --task copy`.
# - A device whose law neuroanp does not have: [own_device](own_device.ipynb).
# - Next: [rates and spikes, one rule](03_rate_and_spiking.ipynb).
