"""The configurations whose bits are kept: every example, every profile, and what else decides how a run computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.common import Case
from neuroanp.profiles.loader import available
from neuroanp.yaml_io import read

EXAMPLES = Path(__file__).parents[2] / "examples"
UNRECORDED = {"arrays", "table"}
"""Names without a record: they want a file of somebody's; `weather`, by the same reader and windows, has one."""
UNRECORDED_EXAMPLES = {"bench", "double_integrator", "smtj_digits"}
"""So with examples; an instrument has no bits, whose noise is real."""
UPDATES, UNITS = 20, 8
DTYPES = ("float32", "float64")
WRITES = ("ideal", "verify", "pulse")
START = "start.safetensors"
"""What `network.weights` of a case names: `write_start` makes it."""
IMAGES = "images"
"""What `task.path` of a case names: `write_images` makes it."""

COPY: Mapping[str, Any] = {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 8}
XOR: Mapping[str, Any] = {
    "name": "xor", "start": 4, "pulse": 6, "gap": 2, "delay": 2, "window": 6, "test_size": 4,
}  # fmt: skip
TRAINING: Mapping[str, Any] = {
    "updates": UPDATES, "batch": 4, "log_every": 1, "evaluate_every": 10, "checkpoint_every": UPDATES,
    "evaluate_after": ["1 h"],
}  # fmt: skip
LR = 0.05
"""So large that every device is rewritten: steps below a profile's deadband would leave all writing untested."""
BACKENDS: Mapping[str, Mapping[str, Any]] = {
    "rate": {"task": COPY},
    "lif": {"task": XOR, "backend": "lif"},
    "spiking": {"task": XOR, "backend": "spiking"},
    "loihi": {"task": XOR, "backend": "loihi"},
    "xylo": {"task": XOR, "backend": "xylo"},
}
HARDWARE: Mapping[str, Mapping[str, Any]] = {
    "ideal": {},
    "pcm verify": {"profile": "pcm", "hardware.write": "verify"},
    "pcm pulse": {"profile": "pcm", "hardware.write": "pulse"},
    "rram_hfo2 pulse": {"profile": "rram_hfo2", "hardware.write": "pulse"},
    "smtj_koenders": {"profile": "smtj_koenders"},
}
"""What every rule is tried on."""
KNOWN = {"perturbation.name": "gaussian"}
RULES: Mapping[str, Mapping[str, Any]] = {
    "anp mean innovation": {"rule": {"name": "anp", "reference": "mean", "K": 3, "difference": "innovation"}},
    "anp mean trial": {"rule": {"name": "anp", "reference": "mean", "K": 2, "loss": "trial", "norm": "layer"}},
    "anp paper": {"rule": {"name": "anp", "preset": "paper"}},
    "anp others": {"rule": {"name": "anp", "K": 2, "control_variate": "batch", "scale": "one", "gamma": 0.5}},
    "np": {"rule": {"name": "np"}, **KNOWN},
    "np mean": {"rule": {"name": "np", "reference": "mean", "K": 2, "trace": "10 ms"}, **KNOWN},
    "np paper": {"rule": {"name": "np", "preset": "paper"}, **KNOWN},
    "anp antithetic": {"rule": {"name": "anp", "reference": "antithetic", "K": 2}, **KNOWN},
    "anp decorrelated": {"rule": {"name": "anp", "decorrelation": {"lr": 0.1}}},
    "inp": {"rule": {"name": "inp"}, **KNOWN},
    "wp": {"rule": {"name": "wp", "K": 2}},
    "bptt": {"rule": {"name": "bptt"}},
    "bptt 2": {"rule": {"name": "bptt", "truncation": 2}},
    "bptt1": {"rule": {"name": "bptt1"}},
}
CARTPOLE = {"name": "cartpole", "steps": 20, "test_size": 4}
COMPUTED = {"training.updates": 1, "training.batch": 40, "optimizer": {}, "network.bias": True}
"""What rules that compute the weights leave to be said."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "bias": {"network.bias": True},
    "bias pcm": {"network.bias": True, "profile": "pcm"},
    "bias bptt": {"network.bias": True, "rule": {"name": "bptt"}},
    "bias lif": {**BACKENDS["lif"], "network.bias": True},
    "bias lif bptt": {**BACKENDS["lif"], "network.bias": True, "rule": {"name": "bptt"}},
    "bias spiking pcm": {**BACKENDS["spiking"], "network.bias": True, "profile": "pcm"},
    "bias loihi": {**BACKENDS["loihi"], "network.bias": True},
    "bias xylo": {**BACKENDS["xylo"], "network.bias": True},
    "gaussian pcm": {"profile": "pcm", "perturbation.name": "gaussian", "perturbation.sigma": 0.1},
    "gaussian smtj lif": {**BACKENDS["lif"], "profile": "smtj_koenders", "perturbation.name": "gaussian"},
    "gaussian outputs": {"perturbation.sigma": 0.05, "perturbation.output": 0.2},
    "gaussian no output": {"perturbation.output": 0},
    "no perturbation": {"perturbation.name": "none"},
    "no perturbation pcm": {"profile": "pcm", "perturbation.name": "none"},
    "sampled reads": {"profile": "pcm", "hardware.read": "sampled"},
    "sampled reads rtn": {"profile": "rram_rtn", "hardware.read": "sampled"},
    "exact wires": {"profile": "pcm_tiles", "hardware.wires": "exact", "hardware.without": ["adc"]},
    "fast wires": {"profile": "pcm_tiles", "hardware.without": ["adc"]},
    "without drift": {"profile": "pcm", "hardware.without": ["drift"]},
    "read noise alone": {"profile": "pcm", "hardware.only": ["read_noise"]},
    "warm": {"profile": "smtj_telegraph", "hardware.temperature": "320 K"},
    "slow chip": {"profile": "pcm", "dt": "1 ms"},
    "many tiles pcm": {"profile": "pcm_tiles", "network.hidden": 70},
    "many tiles sram": {"profile": "sram_cim", "network.hidden": 260},
    "sgd clipped": {"optimizer": {"name": "sgd", "lr": 0.5, "clip": 0.01, "schedule": "cosine"}},
    "adam constant": {"optimizer": {"lr": LR, "schedule": "constant", "beta1": 0.5, "beta2": 0.9}},
    "diverges": {"optimizer": {"name": "sgd", "lr": 1e3}, "rule": {"name": "anp", "preset": "paper"}},
    "chunks": {"training.chunk": 2, "rule": {"name": "anp", "reference": "mean", "K": 2}},
    "passes run twice": {"training.memory": "1 B", "training.chunk": 2, "profile": "pcm"},
    "passes run twice lif": {**BACKENDS["lif"], "training.memory": "1 B", "training.chunk": 5},
    "no controls": {"training.controls": False},
    "seed 7": {"seed": 7, "profile": "pcm"},
    "stored weights": {"network.weights": START, "profile": "pcm"},
    "stored weights as they are": {"network.weights": START, "profile": "rram_wan", "training.updates": 0},
    "fixed copy": {"task.mode": "fixed", "task.cue": "start"},
    "running averages": {"task.mode": "fixed", "rule": {"name": "anp", "reference": "running"}, "profile": "pcm"},
    "wp by sequences": {"rule": {"name": "wp", "credit": "sample", "decorrelation": {"lr": 0.1}}, "profile": "pcm"},
    "wp paper": {"rule": {"name": "wp", "preset": "paper"}},
    "echo": {"rule": {"name": "echo", "lags": 3, "eta": 0.5}},
    "echo pcm": {"rule": {"name": "echo", "lags": 3, "readout": "rls"}, "profile": "pcm"},
    "echo decorrelated": {"rule": {"name": "echo", "lags": 3, "decorrelation": {"lr": 0.1}}, "profile": "pcm"},
    "echo lif": {**BACKENDS["lif"], "rule": {"name": "echo", "lags": 8}},
    "told outputs": {"rule.readout": "delta", "profile": "pcm"},
    "usual rule": {"rule": {}},
    "inferred outputs": {"rule": {"name": "np", "readout": "rls", "errors": "inferred"}},
    "mackey_glass recall": {
        "task": {"name": "mackey_glass", "direction": "recall", "horizon": 3, "train_length": 500, "test_size": 4}
    },
    "sine": {"task": {"name": "sine", "steps": 40, "onset": 5, "periods": [10, 15], "test_size": 4}},
    "weather": {"task": {"name": "weather", "horizon": 3, "window": 12, "washout": 4, "split": 0.99}},
    "digits by rows": {"task": {"name": "digits", "mode": "rows", "steps": 20, "window": 4, "test_size": 8}},
    "digits by pixels": {"task": {"name": "digits", "mode": "pixels", "permute": 1, "test_size": 8}},
    "mnist": {"task": {"name": "mnist", "permute": 1, "pool": 2, "window": 2, "test_size": 4}, "task.path": IMAGES},
    "parity": {"task": {"name": "parity", "length": 8, "hold": 2, "test_size": 8}},
    "adding": {"task": {"name": "adding", "length": 6, "test_size": 8}},
    "lorenz": {"task": {"name": "lorenz", "train_length": 300, "test_size": 4}},
    "copy by heart": {"task.mode": "fixed", "task.fresh_test": True},
    "noisy xor lif": {**BACKENDS["lif"], "task.noise": 0.2, "task.jitter": 2},
    "delayed_match": {"task": {"name": "delayed_match", "symbols": 2, "gap": 3, "test_size": 4}},
    "delayed_match lif": {
        "backend": "lif", "task": {"name": "delayed_match", "symbols": 2, "gap": 3, "window": 6, "test_size": 4}
    },
    "balanced xor lif": {**BACKENDS["lif"], "task.draw": "balanced", "task.cue": True},
    "held inputs": {"encoder": {"name": "current", "hold": 2}},
    "population": {"encoder": {"name": "population", "n": 3}},
    "poisson": {"encoder": {"name": "poisson", "rate": "500 kHz"}},
    "poisson lif": {**BACKENDS["lif"], "encoder": {"name": "poisson", "rate": "300 Hz", "hold": 2}},
    "poisson unsigned spiking": {
        **BACKENDS["spiking"], "encoder": {"name": "poisson", "rate": "500 Hz", "signed": False}
    },
    "latency lif": {**BACKENDS["lif"], "encoder": {"name": "latency", "tau": "5 ms"}},
    "latency steps loihi": {
        **BACKENDS["loihi"], "encoder": {"name": "latency", "tau": "5 ms", "each": "step", "hold": 4}
    },
    "population lif": {**BACKENDS["lif"], "encoder": {"name": "population", "n": 4, "width": 0.5}},
    "subtract lif": {**BACKENDS["lif"], "neuron.reset": "subtract", "neuron.refractory": "0 ms"},
    "euler lif": {**BACKENDS["lif"], "neuron.integration": "euler"},
    "count lif": {**BACKENDS["lif"], "neuron.decoder": "count"},
    "no synapse lif": {**BACKENDS["lif"], "neuron.tau_s": "0 ms", "neuron.tau_m": "10 ms"},
    "target nir": {**BACKENDS["lif"], "target": "nir"},
    "h lif": {**BACKENDS["lif"], "rule.activity": "h"},
    "subtract spiking": {**BACKENDS["spiking"], "neuron.reset": "subtract", "neuron.refractory": "0 ms"},
    "euler spiking": {**BACKENDS["spiking"], "neuron.integration": "euler"},
    "synapses spiking": {**BACKENDS["spiking"], "compute.recurrence": "synapses", "compute.loop": "run"},
    "sparse spiking": {**BACKENDS["spiking"], "compute.recurrence": "sparse"},
    "numpy spiking": {**BACKENDS["spiking"], "compute.target": "numpy"},
    "np spiking": {**BACKENDS["spiking"], "rule": {"name": "np"}},
    "bptt spiking": {**BACKENDS["spiking"], "rule": {"name": "bptt"}},
    "bptt loihi": {**BACKENDS["loihi"], "rule": {"name": "bptt"}},
    "np xylo": {**BACKENDS["xylo"], "rule": {"name": "np"}},
    "cdrge": {"rule": {"name": "cdrge", "K": 4}},
    "cdrge sort": {"rule": {"name": "cdrge", "K": 4}, "task": {"name": "sort", "test_size": 8}},
    "reverse": {"task": {"name": "reverse", "test_size": 8}},
    "addition": {"task": {"name": "addition", "test_size": 8}},
    "oua": {"rule": {"name": "oua"}},
    "oua teacher": {"rule": {"name": "oua"}, "task": {"name": "teacher", "test_size": 4}},
    "oua double_integrator": {
        "rule": {"name": "oua"}, "task": {"name": "double_integrator", "steps": 30, "test_size": 4},
    },
    "sampled rossler": {
        "rule": {"name": "sampled"}, "task": {"name": "rossler", "train_length": 300, "test_size": 4}, **COMPUTED,
    },
    "esn van_der_pol": {
        "rule": {"name": "esn"}, "task": {"name": "van_der_pol", "train_length": 300, "test_size": 4}, **COMPUTED,
    },
    "nrl cartpole": {"rule": {"name": "nrl"}, "task": CARTPOLE},
    "nrl cartpole pcm": {"rule": {"name": "nrl"}, "task": CARTPOLE, "profile": "pcm"},
    "rmhl reaching": {"rule": {"name": "rmhl"}, "task": {"name": "reaching", "test_size": 4}},
    "reinforce acrobot": {"rule": {"name": "reinforce"}, "task": {"name": "acrobot", "steps": 20, "test_size": 4}},
    "nrl gym": {"rule": {"name": "nrl"}, "task": {"name": "gym", "id": "MountainCar-v0", "steps": 20, "test_size": 4}},
}  # fmt: skip
EXPORTED: Mapping[str, Mapping[str, Any]] = {
    "rate": {},
    "rate bias pcm": {"network.bias": True, "profile": "pcm", "hardware.write": "pulse"},
    "rate pcm_tiles": {"profile": "pcm_tiles"},
    "lif": {**BACKENDS["lif"]},
    "lif for nir": {**BACKENDS["lif"], "target": "nir", "network.bias": True},
    "lif subtract": {**BACKENDS["lif"], "neuron.reset": "subtract", "neuron.refractory": "0 ms"},
    "spiking spikes in": {**BACKENDS["spiking"], "encoder": {"name": "poisson", "rate": "300 Hz"}},
    "loihi": {**BACKENDS["loihi"]},
    "xylo": {**BACKENDS["xylo"], "network.bias": True},
}
"""Runs that are exported to every format."""
SMALLER: Mapping[str, Mapping[str, Any]] = {
    "adex": {"task.test_size": 4},
    "copy3": {"task.test_size": 32},
    "copy5": {"task.test_size": 32},
    "demo": {"task.split": 0.99},
    "mackey_glass": {"task.test_size": 8},
    "spiking_digits": {"task.test_size": 16},
    "weather": {"task.split": 0.99},
    "xor": {"task.test_size": 4},
}
"""Examples with fewer test sequences."""


def cases() -> list[Case]:
    """Return all cases; the first word of a label says of which kind, the last one the precision."""
    found = [*_examples(), *_profiles(), *_rules(), *_of("setting", SETTINGS), *_of("export", EXPORTED)]
    return [
        Case(f"{case.label} {dtype}", case.base, {**case.overrides, "compute.dtype": dtype})
        for case in found
        for dtype in DTYPES
    ]


def write_start(path: Path) -> None:
    """Write the weights that the cases with stored weights start from; they fit COPY and UNITS."""
    rng = np.random.default_rng(0)
    shapes = {"w_in": (UNITS, 3), "w": (UNITS, UNITS), "w_out": (2, UNITS)}
    save_file({name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}, path)


def write_images(folder: Path) -> None:
    """Write a set of 12 and 6 random images of 4 x 4 pixels into a folder, as IDX files."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for part, count in (("train", 12), ("t10k", 6)):
        images, labels = rng.integers(256, size=(count, 4, 4)), rng.integers(10, size=count)
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            (folder / name).write_bytes(head + values.astype(np.uint8).tobytes())


def _base(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a small run's configuration with the sections of `overrides`, which are no dotted keys."""
    sections = {key: value for key, value in overrides.items() if "." not in key}
    plain = {"task": COPY, "network": {"hidden": UNITS}, "rule": "anp", "optimizer": {"lr": LR}}
    plain["training"] = dict(TRAINING)
    return {**plain, **sections}


def _case(label: str, overrides: Mapping[str, Any]) -> Case:
    return Case(label, _base(overrides), {key: value for key, value in overrides.items() if "." in key})


def _of(kind: str, table: Mapping[str, Mapping[str, Any]]) -> Iterator[Case]:
    return (_case(f"{kind} {label}", overrides) for label, overrides in table.items())


def _examples() -> Iterator[Case]:
    """Shorten each example's training, and its test set by `SMALLER`; all else stays as it is."""
    training = {f"training.{key}": value for key, value in TRAINING.items() if key != "batch"}
    for path in sorted(each for each in EXAMPLES.glob("*.yaml") if each.stem not in UNRECORDED_EXAMPLES):
        yield Case(f"example {path.stem}", read(path).data, {**training, **SMALLER.get(path.stem, {})})


def _profiles() -> Iterator[Case]:
    for profile, write, backend in product(available(), WRITES, BACKENDS):
        yield _case(
            f"profile {profile} {write} {backend}",
            {**BACKENDS[backend], "profile": profile, "hardware.write": write},
        )


def _rules() -> Iterator[Case]:
    for rule, hardware, backend in product(RULES, HARDWARE, ("rate", "lif")):
        yield _case(f"rule {rule} {hardware} {backend}", {**BACKENDS[backend], **HARDWARE[hardware], **RULES[rule]})
