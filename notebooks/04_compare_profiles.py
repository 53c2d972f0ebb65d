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
# # 4. Compare devices: accuracy, energy, endurance
#
# **Which device would I build this on, what does it cost, and how often can I train it before it wears out?**
#
# The same network learns the same task on four devices, three seeds each, with the weights written the way that suits
# each device. You see the table, then loss against energy, how many trainings the cells survive, and
# what is left after a month. The last cell asks *why* one of them is worse than it could be.

# %%
import matplotlib.pyplot as plt
import numpy as np

import neuroanp as na

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "font.size": 10})

# %% tags=["parameters"]
UPDATES = 200
SEEDS = 3
PROFILES = ("ideal", "pcm", "ecram", "smtj_koenders")

# %% [markdown]
# ## One call
#
# Runs go in parallel, and each profile gets the same seeds: the same initial weights, the same sequences. Controls are
# left out to save time; whether a recurrence *learned* is the question of [the first notebook](01_first_run.ipynb).

# %%
small = {
    "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    "network": {"hidden": 30},
    "training": {"updates": UPDATES, "batch": 16, "controls": False},
}
found = na.compare(small, profiles=PROFILES, seeds=SEEDS, report=False)

# %% [markdown]
# ## The table
#
# Medians over seeds, with the range below. See the marks: † is an illustrative value, not a measurement, ‡ one that is
# taken over from another profile. A device is named the best, in bold, only where every seed says so and no number
# behind it is made up. "–" means that nobody stated a number.

# %%
found

# %% [markdown]
# The same as rows, to compute with. `found.to_dataframe()` has them as a data frame of pandas.


# %%
def of(profile, key):
    """Return a number of all runs on a profile, NaN where it is not known."""
    values = [row[key] for row in found.results if row["profile"] == profile]
    return np.array([np.nan if value is None else value for value in values], dtype=float)


colours = dict(zip(PROFILES, ("#000000", "#0072b2", "#009e73", "#d55e00", "#cc79a7"), strict=False))

# %% [markdown]
# ## Accuracy against energy
#
# A dot a seed; lower and further left is better. The ideal device has no energy: it is the dashed line, the median of
# what the rule reaches without a device. Compare the distance between devices with the distance between dots of one
# colour before you prefer one.

# %%
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
axes.axhline(np.median(of("ideal", "test_loss")), color="k", ls="--", lw=1, label="ideal")
for profile in PROFILES:
    energy = of(profile, "energy_J")
    if np.isfinite(energy).any():
        axes.plot(1e6 * energy, of(profile, "test_loss"), "o", color=colours[profile], label=profile)
axes.set(
    yscale="log", xlabel="energy of the training (µJ)", ylabel="test loss, under the device's noise", xlim=(0, None)
)
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## Endurance
#
# `wear` is the share of a cell's life that this training took, of the cell that was written most. One over it is how
# many such trainings the device survives. Read orders of magnitude, whatever digits are printed: all three endurances
# are illustrative (†), 1e9 pulses of `pcm`, 1e8 of `ecram` and 1e15 of `smtj_koenders`, and no measurements.

# %%
for profile in PROFILES:
    wear = np.median(of(profile, "wear"))
    trainings = f"{1 / wear:10,.0f} such trainings" if np.isfinite(wear) and wear > 0 else "endurance not stated"
    print(f"{profile:16} {np.median(of(profile, 'pulses')):12,.0f} pulses   {trainings}")

# %% [markdown]
# ## What is left after a month
#
# Cells drift. `evaluate` presents the test sequences again after the chip has lain idle; the run stays as it is. See
# which curve rises, and when. (A profile that states no drift stays level: that is not the same as a device that has
# none.)

# %%
TIMES = {"at once": 0.0, "1 min": 60.0, "1 h": 3600.0, "1 d": 86400.0, "30 d": 30 * 86400.0}
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for profile in PROFILES[1:]:
    first = next(run for run in found.runs if run.result["profile"] == profile)
    rows = na.evaluate(first, after=list(TIMES)[1:])
    axes.plot(range(len(TIMES)), [row["test_loss"] for row in rows], "o-", color=colours[profile], label=profile)
axes.set(yscale="log", xticks=range(len(TIMES)), xticklabels=list(TIMES), xlabel="idle", ylabel="test loss, seed 0")
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## Why?
#
# Switch off one non-ideality of a device at a time. See which bar is below the first, on every seed: that one costs
# something. (`na.compare(..., ablate=True)` does it for all of them, with each alone beside, and names the dearest only
# where the seeds agree.)

# %%
EFFECTS = ("nothing", "read_noise", "programming_error", "drift")
ablated = na.compare(
    small, profiles="pcm", seeds=SEEDS, report=False, progress=False,
    axes={"hardware.without": [[] if effect == "nothing" else [effect] for effect in EFFECTS]},
)  # fmt: skip
without = {effect: [] for effect in EFFECTS}
for run in ablated.runs:
    without[next(iter(run.config.hardware.without), "nothing")].append(run.result["test_loss"])
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for at, losses in enumerate(without.values()):
    axes.barh(at, np.median(losses), color="#9aa5b1", height=0.6)
    axes.plot(losses, np.full(len(losses), at), "o", color=colours["pcm"])
axes.set(yticks=range(len(EFFECTS)), yticklabels=EFFECTS, ylim=(len(EFFECTS) - 0.5, -0.5), ylabel="pcm without")
axes.set(xlabel="test loss: median, and a dot a seed")
plt.show()

# %% [markdown]
# ## Where to go from here
#
# - `neuroanp compare CONFIG --profiles pcm,ecram --seeds 5` writes a page with these figures and more.
# - How a profile behaves, before any training: `na.characterize("pcm")`. Whose numbers they are:
#   `neuroanp profiles show pcm`.
# - Which *rule* suits a device: [systems](systems.ipynb).
# - Next: [export to chips, and read back](05_export_and_read_back.ipynb).
