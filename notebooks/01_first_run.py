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
# # 1. A first run
#
# **Can a recurrent network learn to remember, from nothing but its own noise and a loss, and how would I know?**
#
# A network of 100 units sees five symbols, one a step, then ten silent steps, and has to say the five again. No
# gradient is sent backwards. The network is run several times on the same input, noise makes the runs differ, and each
# synapse changes by
#
# $$\text{activity before it} \times \text{change of the unit behind it} \times \text{change of the loss}$$
#
# which is activity-based node perturbation (ANP). You train it here, look at the learning curve, then at what the
# network says and what its units do, and hold all of it to controls.
#
# It takes a minute, and needs `pip install neuroanp` and nothing else. In your own Jupyter the run is kept in `runs/`
# and shown again, not repeated, the next time.

# %%
import matplotlib.pyplot as plt
import numpy as np

import neuroanp as na

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "font.size": 10})

# %% [markdown]
# Sizes stand in one cell. Make them smaller for a quick look.

# %% tags=["parameters"]
UPDATES = 600
HIDDEN = 100
K = 15  # noisy passes of each update

# %% [markdown]
# ## Train
#
# One call. The notes that it prints are choices made for you; the line with the bar counts updates while it runs and
# stays when it is done.

# %%
run = na.train(
    task={"name": "copy", "length": 5, "delay": 10, "symbols": 4},
    network={"hidden": HIDDEN},
    rule={"name": "anp", "reference": "mean", "K": K},
    optimizer={"name": "adam", "lr": 2e-3, "schedule": "cosine"},
    updates=UPDATES,
    report=False,
)

# %% [markdown]
# ## What came out
#
# A run shows itself as a table. The loss is the mean squared error on sequences that it was never trained on. "–" means
# that nobody stated a number: the ideal device has no energy.

# %%
run

# %% [markdown]
# ## The learning curve, and what to hold it to
#
# A loss alone does not show that a recurrent network *learned*. Dashed lines are what the same network and the same
# data give without learning its recurrent weights:
#
# - `constant mean`: always the same answer;
# - `ridge`: the best readout there is, of the untrained network, by least squares;
# - `frozen recurrence`: the readout alone, trained by the same rule;
# - and, beside them, `refit`: the best readout of the *trained* network.
#
# See whether the blue curve ends below `ridge`, and `refit` too: what says that the recurrence learned is the second of
# them, as both are the best readouts there are, of the trained network and of the untrained one.

# %%
run.metrics.plot()

# %% [markdown]
# The same in numbers, from the run. Where `refit` is below `ridge`, seed by seed, the recurrence learned; this is one
# seed.

# %%
controls = run.result["controls"]
for name, loss in {"as learned": run.result["test_loss"], **controls}.items():
    print(f"{name.replace('_', ' '):20} {loss:.5f}")
print(f"\nridge readout / as learned: {controls['ridge'] / run.result['test_loss']:.1f}")

# %% [markdown]
# ## What it says
#
# `held_out()` has the sequences that it was tested on, `predict` presents inputs to the trained network. Rows of each
# picture are channels, columns are steps. See the five symbols go in at the left, and come out again after ten silent
# steps; only the marked part is scored.

# %%
batch = run.held_out()
y = run.predict(batch.inputs)
scored = np.flatnonzero(batch.mask)

figure, rows = plt.subplots(3, 1, figsize=(7, 4.4), layout="constrained", sharex=True)
for axes, values, title in zip(rows, (batch.inputs, batch.targets, y), ("input", "target", "output"), strict=True):
    axes.imshow(values[:, 0].T, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    axes.axvline(scored[0] - 0.5, color="#d55e00", lw=1.2)
    axes.set(ylabel=title, yticks=range(values.shape[2]))
rows[-1].set(xlabel="step (right of the line: scored)")
plt.show()

# %% [markdown]
# ## What its units do
#
# `forward` returns every unit's activity, step by step. See that the silent steps are not silent inside: that is where
# the memory is.

# %%
found = run.forward(batch.inputs)
order = np.argsort(found.hidden.x[scored[0] - 1, 0])
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
picture = axes.imshow(found.hidden.x[:, 0, order].T, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes.axvline(scored[0] - 0.5, color="k", lw=1.2)
axes.set(xlabel="step", ylabel="unit, sorted")
figure.colorbar(picture, label="activity")
plt.show()

# %% [markdown]
# ## The network itself
#
# Weights are torch tensors, and say which network they are.

# %%
run.weights()

# %% [markdown]
# ## Once more, on a real device
#
# One word changes the hardware: here phase-change memory, with errors of writing, read noise, drift and books of energy
# and wear. Fewer updates show what changes. The noise that was added by hand above is the device's own now, and the
# loss has two values: under its noise, and without.

# %%
on_pcm = na.train(
    task={"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    profile="pcm",
    network={"hidden": min(HIDDEN, 30)},
    updates=UPDATES // 2,
    report=False,
    progress=False,
)
on_pcm

# %% [markdown]
# ## Where to go from here
#
# - The same on the command line: `neuroanp train CONFIG`, with `neuroanp examples --copy examples` for configs to begin
#   with, and `neuroanp report RUN` for a page with all figures.
# - `run.path` has everything that is known of the run: configuration, numbers, checkpoints. `na.load_run` opens it,
#   `na.resume` goes on, `na.extend(run, updates=...)` trains further.
# - Next: [a device of your own, from a measured trace to a verdict](02_trace_to_verdict.ipynb).
