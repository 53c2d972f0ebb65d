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
# # 6. The paper, and where its claims hold
#
# **Does activity-based node perturbation do what the paper says, and what does it depend on?**
#
# The rule comes from [arXiv 2405.08967](https://arxiv.org/abs/2405.08967). Its experiments are run again here, at small
# sizes, with the methods beside one another at equal passes, and each claim is held to them seed by seed: it *held*, it
# *did not hold*, or the seeds leave it *undecided*. A claim that was decided by luck would be worse than one left open.
#
# Small sizes settle small questions. `neuroanp reproduce paper` has the paper's own sizes, which take hours.

# %%
import matplotlib.pyplot as plt
import numpy as np

import neuroanp as na
from neuroanp.reproducing.plots import figure

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "font.size": 10})

# %% tags=["parameters"]
EXPERIMENTS = ("copy_fixed",)
SEEDS = 3

# %% [markdown]
# ## Run them
#
# `copy_fixed`: one sequence is learned for all epochs, as the paper's code has it, and fresh ones are asked for in the
# end. Every method of the paper is trained, and more, on the same seeds. `neuroanp reproduce paper --list` has the
# other experiments: fresh sequences every time, Mackey-Glass, weather, digits pixel by pixel, and size.

# %%
made = na.reproduce("paper", quick=True, only=EXPERIMENTS, seeds=SEEDS)

# %% [markdown]
# ## Claim by claim
#
# Each row is a claim in our words, whose it is (the paper's, its code's, or a question that we add), and how many
# comparisons held. Read the last column first: with three seeds much is undecided, and says so.

# %%
made

# %% [markdown]
# ## What each method reached
#
# A dot a seed, medians as lines; horizontal lines are controls that learn nothing recurrent. See which methods end
# below the ridge readout of the untrained network. That is the question behind all others: did the *recurrence* learn?

# %%
figure(made)
plt.show()

# %% [markdown]
# ## The comparisons one by one
#
# `ratio` is that of the medians, `chance` how likely so many seeds would agree if the two were alike.

# %%
for finding in made.findings:
    row = finding.to_dict()
    if row["verdict"] == "undecided" and not row["seeds"]:
        continue
    chance = "" if row["chance"] is None else f"   by chance {row['chance']:.2f}"
    ratio = "" if row["ratio"] is None else f"   ratio {row['ratio']:.3g}"
    print(f"{row['verdict']:13} {row['one_is']} against {row['other_is']} ({row['where']}){ratio}{chance}")

# %% [markdown]
# ## Where it holds, and where not: how good is the update?
#
# A rule that learns from noise has an update that points along the gradient *on average*, and scatters around it. Both
# can be measured: `diagnose` draws updates of an untrained network and holds them to the exact gradient. `cosine` is
# that of one update; `mean_cosine` that of the mean of many, 1 where there is no bias.
#
# See the cosine grow with the square root of the number of noisy passes K. That is the price of one scalar for all
# units: scatter falls by averaging, and with the number of units it grows again.

# %%
KS = (1, 4, 16)
diagnosed = na.diagnose(
    {
        "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4, "test_size": 32},
        "network": {"hidden": 30},
        "rule": {"name": "anp", "reference": "mean"},
        "training": {"batch": 16},
    },
    K=KS, draws=24, progress=False,
)  # fmt: skip
rows = [row for row in diagnosed.table() if row["array"] == "w" and row["K"] in KS]
cosines = [row["cosine"] for row in rows]
figure_, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
axes.loglog([row["K"] for row in rows], cosines, "o-", color="#0072b2", label="measured")
axes.loglog(KS, cosines[0] * np.sqrt(KS), "k--", lw=1, label=r"$\propto \sqrt{K}$")
axes.set(xlabel="noisy passes K of an update", ylabel="cosine to the gradient of $W$", xticks=KS, xticklabels=KS)
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The numbers behind the picture, and those of the other arrays:

# %%
diagnosed

# %% [markdown]
# ## Where to go from here
#
# - All experiments with a report: `neuroanp reproduce paper --quick`.
# - A rule that hears more than one scalar, and what that brings: [echo](echo.ipynb).
# - Rules of other papers on one device: [systems](systems.ipynb).
