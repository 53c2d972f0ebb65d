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
from IPython.display import Image

import neuroanp as na
from neuroanp.reproducing.plots import drawn

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
# Each row is a claim in our words, whose it is (the paper's, its code's, or a question that we add), and how many of
# its comparisons held. What belongs to experiments that are not run here is undecided, too. See which claims of the
# paper are decided by one experiment already, and in which direction.

# %%
made

# %% [markdown]
# ## What each method reached
#
# A dot a seed, and the controls. See how far apart methods are, and that a loss near 0 on the one sequence that was
# learned says nothing of fresh ones: "did not hold" in the list below.

# %%
Image(drawn(made), width=760)

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
# A rule that learns from noise has updates that scatter around a mean, and the mean need not be the gradient. Both can
# be measured: `diagnose` draws updates of an untrained network and holds them to the exact gradient. `cosine` is
# that of one update; `mean_cosine` that of the mean of many, 1 where there is no bias.
#
# See the cosine of one update climb with the number K of noisy passes, towards the dashed line and not beyond it:
# passes take away scatter, and what is left is bias. That is the price of one scalar for all units.

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
_, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
axes.plot(KS, [row["cosine"] for row in rows], "o-", color="#0072b2", label="one update")
axes.axhline(rows[-1]["mean_cosine"], color="k", ls="--", lw=1, label="the mean of many, K = 16")
axes.set(xlabel="noisy passes K of an update", ylabel="cosine to the gradient of $W$", ylim=(0, 1), xticks=KS)
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
