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
# # 3. Rates and spikes, one rule
#
# **Is it really the same rule that trains units with smooth rates and units that spike?**
#
# One object is made, once, and handed to two networks: 40 tanh units, and 40 leaky integrate-and-fire units. Both learn
# whether two pulses, one after the other, were different (temporal XOR), which no linear function of the input tells.
# You compare what they learned, look at spikes and membranes, and let a second simulator, Brian2, compute the same
# spikes.
#
# It takes about two minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import neuroanp as na
from neuroanp.learning.anp import ANP

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "font.size": 10})
BLUE, ORANGE = "#0072b2", "#d55e00"

# %% tags=["parameters"]
UPDATES = 300
K = 4  # noisy passes beside the mean of all

# %% [markdown]
# ## The rule
#
# A rule sees what each layer did in several noisy passes, and losses. It does not see what a unit *is*: a rate hands in
# its activity $x = \tanh(h)$, a spiking unit the filtered trace $z$ of its spikes. That is all the difference there is.

# %%
rule = na.configure(task="xor", rule={"name": "anp", "preset": "inferred", "K": K}).rule
print(type(rule).__module__, type(rule).__name__, isinstance(rule, ANP))
print(rule)

# %% [markdown]
# ## Two networks
#
# The same task, the same seed, the same rule; `backend` alone chooses the units. A spiking unit needs some time for a
# spike, so that each step of the task is held for five steps of 1 ms.

# %%
xor = {
    "name": "xor", "start": 0, "pulse": 2, "gap": 2, "jitter": 0, "delay": 2, "window": 3, "cue": True, "noise": 0.1,
}  # fmt: skip
alike = {
    "task": xor, "network": {"hidden": 40}, "training": {"batch": 16, "updates": UPDATES},
    "optimizer": {"lr": 1e-2, "schedule": "cosine"},
}  # fmt: skip
of_spikes = {"backend": "spiking", "encoder": {"name": "current", "hold": 5}}
rates = na.train(alike, rule=rule, report=False)
spikes = na.train(alike, rule=rule, **of_spikes, report=False)
assert rates.config.rule == spikes.config.rule == rule

# %% [markdown]
# ## Did both learn?
#
# See that each curve ends below both of its own controls: the readout alone, trained by the same rule (dashed), and the
# best readout of the untrained network (dotted). A loss of 1 is chance.

# %%
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for run, colour, label in ((rates, BLUE, "rates"), (spikes, ORANGE, "spikes")):
    axes.semilogy(*run.metrics.series("test_loss"), color=colour, label=label)
    controls = run.result["controls"]
    axes.axhline(controls["frozen_recurrence"], color=colour, ls="--", lw=1, label=f"{label}, frozen recurrence")
    axes.axhline(controls["ridge"], color=colour, ls=":", lw=1.2, label=f"{label}, ridge readout")
axes.set(xlabel="update", ylabel="test loss")
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
for run, name in ((rates, "rates"), (spikes, "spikes")):
    row, controls = run.result, run.result["controls"]
    print(f"{name:7} loss {row['test_loss']:.3f}, {100 * row['score']:.0f} % right")
    print(f"        ridge {controls['ridge']:.3f}, frozen recurrence {controls['frozen_recurrence']:.3f}")

# %% [markdown]
# ## What units do
#
# The same sequence, presented to both: rates on the left; on the right each bar is a spike. See that all rates say
# something at every step, while few units spike, and seldom. What remembers there is the trace that a spike leaves.

# %%
u = rates.held_out().inputs[:, :1]
smooth, spiky = rates.forward(u), spikes.forward(u)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
picture = left.imshow(smooth.hidden.x[:, 0].T, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
left.set(xlabel="step of the task", ylabel="unit", title="rates: activity x")
figure.colorbar(picture, ax=left)
step, unit = np.nonzero(spiky.hidden.spikes[:, 0])
right.plot(1e3 * spiky.t[step], unit, "|", color=ORANGE, ms=4)
right.set(xlabel="time (ms)", ylabel="unit", title=f"spikes: {len(step)} of {spiky.hidden.spikes[:, 0].size} places")
plt.show()

# %% [markdown]
# One unit of the latter, the one that spikes most. Above its membrane, which the threshold resets; below its trace, the
# only thing of it that the rule and the outputs see.

# %%
busiest = spiky.hidden.spikes[:, 0].sum(axis=0).argmax()
figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 3.6), layout="constrained", sharex=True)
top.plot(1e3 * spiky.t, spiky.hidden.v[:, 0, busiest], color="k", lw=1)
top.set(ylabel="membrane v", title=f"unit {busiest}")
bottom.plot(1e3 * spiky.t, spiky.hidden.x[:, 0, busiest], color=ORANGE)
bottom.set(xlabel="time (ms)", ylabel="trace z")
plt.show()

# %% [markdown]
# ## A second opinion
#
# LIF units run in a loop that is compiled for the CPU. Brian2, from the equations, is another program for the same
# thing: slower, and not ours. A few updates by either, from the same seed, must give the same spikes.

# %%
few = {**alike, "training": {"batch": 16, "updates": 3, "controls": False}}
by = {
    name: na.train(few, rule=rule, **of_spikes, compute={"dtype": "float64", **how}, report=False, progress=False)
    for name, how in {"loop": {}, "Brian2": {"execution": "simulator", "target": "numpy"}}.items()
}
raster = {name: run.forward(u).hidden.spikes for name, run in by.items()}
print("spikes of the compiled loop:", int(raster["loop"].sum()))
print("places where Brian2 differs:", int((raster["loop"] != raster["Brian2"]).sum()), "of", raster["loop"].size)

# %% [markdown]
# ## Where to go from here
#
# - Your own neuron: write its equations into a config; `neuroanp examples adex` shows one.
# - `backend="lif"` runs the same units in torch, on CUDA too; `"loihi"` and `"xylo"` on those chips' whole numbers.
# - Next: [compare devices: accuracy, energy, endurance](04_compare_profiles.ipynb).
