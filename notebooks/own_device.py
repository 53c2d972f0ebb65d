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
# # A device of your own
#
# **How does a device that neuroanp has no law for come in, without changing neuroanp?**
#
#
# 1. write the law as a small model in a package of your own,
# 2. announce it under a name (an *entry point*),
# 3. write a profile that picks it by this name,
# 4. validate the profile,
# 5. hold the law to its closed form by sampling reads,
# 6. train on the device, with and without its noise.
#
# The package `own_device_package`, next to this notebook, has all of it. Install it once:
#
#     pip install -e notebooks/own_device_package
#
# It takes about a minute and writes its runs to `runs/`; `python notebooks/own_device.py` does the same. To begin a
# package of your own, `neuroanp new device NAME` writes one with a test of its equation.

# %%
import inspect
from pathlib import Path

import matplotlib.pyplot as plt
from lab_device.power_read import PowerRead

import neuroanp as na
from neuroanp.characterizing import characterize
from neuroanp.errors import InputError
from neuroanp.profiles import LAWS, load, loads

# %% [markdown]
# ## 1. The law
#
# Say the noise of a read of your device grows as a power of its conductance,
#
# $$\sigma = a \, (G / G_{ref})^b$$
#
# A law is one frozen model. Its fields are the parameters, and their types carry the units: `a: Conductance` takes
# "0.3 uS" from a file, refuses "0.3 V", and is a number in siemens from then on. Its methods are the physics, on
# tensors of any shape. What a read law computes is `split`: the standard deviations of the noise that is new at
# every read, and of the noise that stands still while an update takes its reads. Every other member that the protocol
# lists is there as well, None where the law has nothing to say: what lacks one is refused by name.
#
# | kind of law | it says | methods | and, None where there is none |
# |---|---|---|---|
# | `programming` | what a verified write leaves | `sigma`, `write`; `pulses`, `deadband`, `exact` | `error`, `g_low` |
# | `drift` | what time does to a conductance | `draw`, `conductance`; `settles` | `last_s`, `start`, `at_temperature` |
# | `read` | the noise of a read | `split` | `t_read`, `v_read`, `process` |
# | `update` | what single pulses do | `sample`, `pulse`; see `UpdateLaw` | `program`, `hold`, `reach`, `weakened` |
# | `variability` | how devices differ | `sample` | `cv` |
# | `stochastic` | noise that drives the units | see `Process` and `NodeSource` | `energy_per_bit`, `at_temperature` |
#
# Arguments and shapes are in `neuroanp/devices/protocol.py`. Nothing draws random numbers of its own: they are handed
# in, so that a run can be repeated bit for bit.

# %%
print(inspect.getsource(PowerRead))

# %% [markdown]
# ## 2. Its name
#
# The package's `pyproject.toml` announces the class. The group says which kind of law it is, the key is the name:
#
# ```toml
# [project.entry-points."neuroanp.laws.read"]
# power = "lab_device.power_read:PowerRead"
# ```
#
# From then on it stands beside the built-in ones. (A name is known after the package is installed; change this entry,
# and install again.)

# %%
print("read laws:", ", ".join(LAWS["read"].names()))
assert LAWS["read"].get("power") is PowerRead

# %% [markdown]
# ## 3. A profile that picks it
#
# A hardware profile is a YAML file of one device. What neuroanp has already (here the programming error, the
# converters, the books of energy) is used by name, and so is your law: `read: {law: power, ...}`. Start from the
# file below, or from a shipped one with `extends: pcm` and only the sections that differ.

# %%
path = Path(inspect.getfile(PowerRead)).with_name("lab_cell.yaml")
text = path.read_text(encoding="utf-8")
print(text[text.index("read:") : text.index("periphery:")])

# %% [markdown]
# ## 4. Validate it
#
# `load` reads the file, checks every unit and every bound, and returns a frozen profile in SI units. Every number
# keeps its source and its status: measured, fitted, or illustrative. On the command line it is
# `neuroanp profiles validate lab_cell.yaml` and `neuroanp profiles show lab_cell.yaml`.

# %%
profile = load(path)
print(profile.read)
print("a:", *profile.provenance["read.a"], sep=" | ")

# %% [markdown]
# A mistake is told with its line and a remedy, for your law as for the others: its fields are the specification.

# %%
try:
    loads(text.replace("a: {value: 0.3 uS", "a: {value: 0.3 uV").replace("g_ref:", "g_reff:"), "lab_cell.yaml")
except InputError as error:
    print(error)

# %% [markdown]
# ## 5. Hold it to its closed form
#
# `characterize` builds an array of these devices, reads each of them, and sets what it finds beside what `split`
# says. z is the difference in standard errors: beyond 4 or so, something is wrong. (The other device of a
# differential pair stands at g_min, and adds its own noise.) The same as a report with figures:
# `neuroanp characterize lab_cell.yaml`.

# %%
measured = characterize(profile, devices=20_000, only=["read_noise"])
for moment in measured.checked:
    conditions = ", ".join(f"{at.name} {at.value:.3g} {at.unit}" for at in moment.at)
    print(f"{moment.quantity} at {conditions}: sampled {moment.sampled:.3g} S, law {moment.expected:.3g} S")
print("largest |z|:", round(max(abs(moment.z or 0.0) for moment in measured.checked), 1))

# %% [markdown]
# The same as a picture: dots are sampled, the line is what the law says.

# %%
figure, axes = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
at = [1e6 * moment.at[0].value for moment in measured.checked]
axes.plot(at, [1e6 * moment.expected for moment in measured.checked], "k-", lw=1, label="law")
axes.plot(at, [1e6 * moment.sampled for moment in measured.checked], "o", color="#0072b2", label="sampled")
axes.set(xlabel="conductance (µS)", ylabel="read noise (µS)")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 6. Train on it
#
# The profile's path takes the place of a shipped name, on the command line
# (`neuroanp train examples/copy3.yaml --profile lab_cell.yaml`) and here. A few updates of a small network show that
# it runs and what it costs; for results, take hundreds of updates and several seeds.
#
# Here the noise of the reads is the exploration that the learning rule lives on: without it, neuroanp has to add
# noise, and says so.

# %%
small = {"network.hidden": 16, "training.batch": 8, "training.controls": False, "compute.dtype": "float64"}


def trained(hardware: str | Path, **extra: object) -> dict:
    """Train briefly and return the row of the results' table."""
    overrides = small | {key.replace("__", "."): value for key, value in extra.items()}
    return na.train(task="copy", profile=str(hardware), updates=20, overrides=overrides).result


rows = {
    "lab_cell": trained(path),
    "lab_cell without read noise": trained(path, hardware__without=["read_noise"]),
    "ideal": trained("ideal"),
}
for name, row in rows.items():
    energy = "not stated" if row["energy_J"] is None else f"{1e6 * row['energy_J']:.3f} uJ"
    print(f"{name:28} test loss {row['test_loss']:.4f}   energy {energy}   pulses {row['pulses']}")

# %% [markdown]
# `neuroanp compare examples/copy3.yaml --profiles ideal,pcm,lab_cell.yaml --seeds 5` puts your device beside others
# over several seeds, in one report.
#
# ## Where to go from here
#
# - If all you have is a table or a trace, no law is needed: `programming: {law: measured, file: errors.csv}`,
#   `read: {law: measured, file: noise.csv}` and `stochastic: {law: measured, file: trace.csv}` take it as it is.
# - Tests: sample the law and compare mean and variance with your equation, as step 5 does.
# - Several laws fit one package: one entry point each, in the group of its kind.
