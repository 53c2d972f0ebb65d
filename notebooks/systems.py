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
# # Which rule for my device?
#
# **Of all rules that run on it, which gets furthest for what it costs?**
#
# Rules of several papers are trained on the same tasks on the same device here, with the same books: what was reached,
# how often sequences were presented, and what the chip spent. Budgets are small, so that this file takes a minute or
# two; the table of [benchmarks/results/systems.md](../benchmarks/results/systems.md) has larger ones, five seeds, and
# rates that were chosen on another seed.
#
# 1. sequences: copy three symbols, on phase-change memory (`pcm`);
# 2. a world: reach a point, with a reward at the last step alone;
# 3. what each rule asks of hardware, and which were left out, and why.
#
# Runs are kept in `runs/` and shown again the next time; `python notebooks/systems.py` does the same.

# %%
import matplotlib.pyplot as plt

import neuroanp as na
from neuroanp.training.filling import METHODS

PROFILE, PRESENTATIONS = "pcm", 160
COLOURS = {"BP": "#000000", "LS": "#009e73", "S": "#0072b2", "S+": "#cc79a7", "E": "#d55e00"}
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110, "font.size": 9})


def settings(rules, passes, rate):
    """Return what each rule comes with: as many updates as give the same number of presentations, and its rate."""
    found = {}
    for rule in rules:
        if rule in ("sampled", "esn"):  # weights that are computed, once, from a batch that is large enough
            found[rule] = {"training.updates": 1, "training.batch": 400}
        else:
            found[rule] = {"training.updates": PRESENTATIONS // passes[rule], "optimizer.lr": rate}
    return found


def show(found, score):
    """Print a row a rule: what was reached, and what it cost."""
    print(f"{'rule':10}{'class':6}{score:>12}{'passes':>8}{'uJ':>8}{'s':>9}{'wear':>10}")
    for row in found.results:
        cost = f"{row['passes']:8}{row['energy_J'] * 1e6:8.3g}{row['chip_time_s']:9.3g}{row['wear']:10.2g}"
        print(f"{row['rule']:10}{METHODS.get(row['rule'])().feedback:6}{row[score]:12.3g}{cost}")


# %% [markdown]
# ## Sequences
#
# Rules that cannot run on this device, or with this task, are left out by `compare`, which says why: node perturbation
# must know its noise, and what phase-change memory makes is known to nobody.

# %%
RULES = ("bptt", "anp", "echo", "np", "wp", "nrl", "oua", "cdrge", "sampled")
PASSES = {"bptt": 1, "anp": 2, "echo": 2, "np": 2, "wp": 2, "nrl": 2, "oua": 1, "cdrge": 16}
copy = na.compare(
    task={"name": "copy", "length": 3, "delay": 3, "symbols": 4}, network={"hidden": 32, "bias": True}, profile=PROFILE,
    training={"batch": 16, "controls": False}, rules=RULES, for_rule=settings(RULES, PASSES, 1e-2), progress=False,
)  # fmt: skip
show(copy, "test_loss")

# %% [markdown]
# ## A world
#
# Outputs are the logits of actions, and the world answers. A return is what an episode got; 0 would be the best here,
# and nothing that the network does is rewarded before its last step.

# %%
OF_WORLDS = ("reinforce", "nrl", "rmhl", "anp", "wp", "oua", "cdrge", "bptt")
IN_WORLDS = {"reinforce": 1, "nrl": 2, "rmhl": 1, "anp": 2, "wp": 2, "oua": 1, "cdrge": 16, "bptt": 1}
reaching = na.compare(
    task={"name": "reaching", "steps": 10, "stride": 0.25}, network={"hidden": 32, "bias": True}, profile=PROFILE,
    training={"batch": 16, "controls": False}, rules=OF_WORLDS, for_rule=settings(OF_WORLDS, IN_WORLDS, 1e-2),
    progress=False,
)  # fmt: skip
show(reaching, "score")

# %% [markdown]
# ## What was reached, and what it cost

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), constrained_layout=True)
for axis, found, label in ((axes[0], copy, "test loss"), (axes[1], reaching, "minus the return of a test episode")):
    for row in found.results:
        rule = row["rule"]
        y = row["test_loss"] if found is copy else -row["score"]
        axis.plot(row["energy_J"] * 1e6, y, "o", color=COLOURS[METHODS.get(rule)().feedback])
        axis.annotate(rule, (row["energy_J"] * 1e6, y), textcoords="offset points", xytext=(4, 3))
    axis.set(xlabel="chip energy (uJ)", ylabel=label, xlim=(0, None), title=found.results[0]["task"])
axes[0].set_yscale("log")
figure.savefig("systems.png")

# %% [markdown]
# ## What each asks of hardware

# %%
for rule in sorted({*RULES, *OF_WORLDS}):
    model = METHODS.get(rule)()
    print(f"{rule:10}{model.feedback:4}{'; '.join(model.needs) or 'nothing: a host computes'}")
