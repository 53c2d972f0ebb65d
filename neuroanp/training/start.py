"""Weights that a run starts from instead of drawn ones: a run's last checkpoint, or a safetensors file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.files import opening, read_regular
from neuroanp.network.compose import ONE_LAYER
from neuroanp.records.checkpoints import INSTEAD
from neuroanp.records.finding import found
from neuroanp.records.run_dir import RunDir
from neuroanp.training import alike
from neuroanp.training.decorrelating import folded
from neuroanp.training.fitting_arrays import of_names, of_shapes
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from neuroanp.network.network import Layer, Network
    from neuroanp.substrates.protocol import Neurons

KEPT_AS = "start"
LARGEST_FILE = 16 << 30
_INTO, *_, _OUT = ONE_LAYER
AIM = "substrate/{}/aim"
"""Where a checkpoint keeps the digital target weights of an array."""
MATRIX = "substrate/decorrelation/"
"""Where it keeps the digital matrices that decorrelate the activity of layers."""
FACTOR = "units/{}/{}"
"""Where a file keeps how the units of a layer differ: its name, and which of FACTORS."""
FACTORS = ("threshold", "tau_m", "tau_s")


@dataclass(frozen=True)
class Start:
    """Weights that were learned elsewhere.

    Args:
        arrays: by name; their shapes hold the bias line's column where the network has one.
        path: where they lay.
        origin: what made them, in words that do not depend on the seed.
        update: after how many updates, or None where the file does not say.
        factors: how LIF units differ by themselves, relative factors (n,) of FACTORS by layer; what is missing is 1.
        network: that they are of, where a run says it; None of a file.
        notes: what they were learned with that is another here, a sentence each; `check` finds it.
    """

    arrays: Mapping[str, Tensor]
    path: str
    origin: str
    update: int | None = None
    factors: Neurons = field(default_factory=dict)
    network: Network | None = None
    notes: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, Tensor]:
        """All arrays by the names that files have for them: weights, and factors of the units."""
        units = {FACTOR.format(layer, key): f for layer, each in self.factors.items() for key, f in each.items()}
        return {**self.arrays, **units}

    @property
    def digest(self) -> str:
        """64 hex digits of the content: the same weights are the same wherever they lie, in any precision they fit."""
        digest = hashlib.sha256()
        arrays = self.named
        for name in _ordered(arrays):
            W = arrays[name].detach().cpu().double().numpy()
            digest.update(f"{name}{list(W.shape)}".encode())
            digest.update(np.ascontiguousarray(W, dtype="<f8").tobytes())
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """Return what a record keeps of them beside the arrays: path, origin, update and hash."""
        return {"path": self.path, "origin": self.origin, "update": self.update, "hash": self.digest}

    def keep(self, record: RunDir) -> None:
        """Copy the arrays into the record of the run that starts from them, so that it can always go on; sealed."""
        record.save_arrays(KEPT_AS, {name: W.detach().cpu().numpy() for name, W in self.named.items()})
        record.update()

    @classmethod
    def kept(cls, record: RunDir) -> Start | None:
        """Return what `keep` copied, or None where there is no copy."""
        import torch

        arrays, facts = record.load_arrays(KEPT_AS), record.manifest.get("start")
        if not arrays or not isinstance(facts, Mapping):
            return None
        tensors, factors = apart({name: torch.from_numpy(arrays[name].copy()) for name in _ordered(arrays)})
        return cls(tensors, str(facts["path"]), str(facts["origin"]), facts["update"], factors)

    def weights(self, network: Network, dtype: torch.dtype) -> Weights:
        """Return them as a network's weights."""
        return Weights({name: self.arrays[name].to(dtype) for name in network.shapes}, network)

    def check(self, network: Network, by_layers: bool = False) -> Start:
        """Return them if they are all that a network has and fit; else InputError says of each what it should be.

        Args:
            network: the configuration's. by_layers: whether that gives it by network.layers, and not by network.hidden.

        >>> import torch
        >>> from neuroanp.network.compose import Stacked, stack
        >>> from neuroanp.network.tanh import Tanh
        >>> one, network = torch.ones(1, 1), stack(1, [Stacked(Tanh(), 2)], 1)
        >>> Start({"w_in": one, "w": one, "w_out": one}, "x.safetensors", "x").check(network)
        Traceback (most recent call last):
        ...
        neuroanp.errors.InputError: network.weights: x.safetensors does not fit the network
          w_in is (1, 1), the configuration needs (2, 1)
          w is (1, 1), the configuration needs (2, 2): set network.hidden to 1
          w_out is (1, 1), the configuration needs (1, 2)
        """
        found = {name: tuple(W.shape) for name, W in self.arrays.items()}
        problems = [] if self.network is None else [*alike.of_networks(self.network, network, by_layers)]
        if not problems:  # else names and shapes follow from them
            problems = [*of_names(found, network, by_layers), *of_shapes(found, network, by_layers)]
            problems += [
                line for name, each in self.factors.items() for line in _misfits(name, each, network.layer(name))
            ]
        bad = [name for name, W in self.arrays.items() if not bool(W.isfinite().all())]
        if bad:
            problems.append(f"{', '.join(bad)} holds numbers that are not finite; train it again")
        if problems:
            raise InputError(f"network.weights: {self.path} does not fit the network", problems)
        notes = () if self.network is None else tuple(alike.constants(self.network, network))
        return replace(self, arrays={name: self.arrays[name] for name in network.shapes}, notes=notes)


def apart(arrays: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Return weights by name, and factors of units by layer, of arrays by the names that files have for them.

    >>> import torch
    >>> weights, factors = apart({"w": torch.ones(2, 2), "units/hidden/tau_m": torch.ones(2)})
    >>> [*weights], {name: [*each] for name, each in factors.items()}
    (['w'], {'hidden': ['tau_m']})
    """
    weights: dict[str, Tensor] = {}
    factors: dict[str, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition("/")
        layer, _, key = rest.rpartition("/")
        if kind == "units" and layer:
            factors.setdefault(layer, {})[key] = array
        else:
            weights[name] = array
    return weights, factors


def _misfits(name: str, factors: Mapping[str, Tensor], layer: Layer | None) -> list[str]:
    """Say what of a layer's factors does not fit a network."""
    if layer is None or not isinstance(layer.cell, LIF):
        return [f"{FACTOR.format(name, key)}: the configuration has no layer '{name}' of LIF units" for key in factors]
    problems = []
    for key, factor in factors.items():
        where = FACTOR.format(name, key)
        if key not in FACTORS:
            problems.append(f"{where}: unknown; allowed: {', '.join(FACTORS)}")
        elif tuple(factor.shape) != (layer.units,):
            problems.append(f"{where} is {tuple(factor.shape)}, the configuration needs {(layer.units,)}")
        elif not bool((factor.isfinite() & (factor > 0)).all()):
            problems.append(f"{where}: factors must be finite and above 0")
    return problems


def _ordered(arrays: Mapping[str, Any]) -> list[str]:
    """Return the names of arrays in an order that does not depend on how they were stored."""
    return [*ONE_LAYER] if set(arrays) == set(ONE_LAYER) else sorted(arrays)


def load_start(path: str) -> Start:
    """Read weights from a run's directory (its newest checkpoint) or a safetensors file of arrays by name.

    Raises:
        InputError: there is nothing, or nothing readable.
    """
    place = found(Path(path))
    if not place.exists():
        raise InputError(f"network.weights: {path}: no such run directory or file; name one that `neuroanp train` made")
    return _of_run(place) if place.is_dir() else _of_file(place)


def of_record(record: RunDir) -> tuple[Weights, int]:
    """Return the digital target weights of a run's newest whole checkpoint, and its update; InputError if none.

    Of a network whose activity is decorrelated they are W D, as its units see them.
    """
    from neuroanp.training.configure import load_config

    path = record.whole_checkpoint()
    tensors, meta = record.load_checkpoint(path)
    arrays, config = _aims(tensors), load_config(record.config_path)
    _check_there(path, arrays, dict.fromkeys((_INTO, _OUT)))
    into, out = arrays[_INTO], arrays[_OUT]
    network = config.network_of(into.shape[1] - config.network.bias, len(out))
    _check_there(path, arrays, network.shapes)
    W = Weights({name: arrays[name] for name in network.shapes}, network)
    return folded(W, _matrices(tensors)), int(meta["update"])


def _check_there(path: Path, arrays: Mapping[str, Tensor], shapes: Mapping[str, Any]) -> None:
    """Check that a checkpoint holds matrices of these names, and shapes where one is given; whoever made it."""
    wrong = [
        name for name, shape in shapes.items()
        if name not in arrays or arrays[name].ndim != 2 or (shape is not None and tuple(arrays[name].shape) != shape)
    ]  # fmt: skip
    if wrong:
        raise InputError(f"{path}: damaged (no matrix {', '.join(wrong)} of the run's configuration){INSTEAD}")


def _matrices(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the matrices that decorrelate activity in a checkpoint, by layer."""
    return {name.removeprefix(MATRIX): D for name, D in tensors.items() if name.startswith(MATRIX)}


def _aims(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the digital targets that a checkpoint holds, by array."""
    before, after = AIM.split("{}")
    return {
        name.removeprefix(before).removesuffix(after): W
        for name, W in tensors.items()
        if name.startswith(before) and name.endswith(after)
    }


def _of_run(path: Path) -> Start:
    from neuroanp.training.configure import load_config

    record = RunDir.open(path, check_code=False)
    arrays, update = of_record(record)
    profile = record.manifest.get("profile")
    name = profile.get("name") if isinstance(profile, Mapping) else None
    config = load_config(record.config_path)
    origin = f"{config.rule_name} on {name or config.profile}"
    return Start(arrays.arrays, str(path), origin, update, factors_of(record), arrays.network)


def factors_of(record: RunDir) -> Neurons:
    """Return how the units of a run differ by themselves: what the weights that it began from brought along."""
    start = Start.kept(record)
    return {} if start is None else start.factors


def _of_file(path: Path) -> Start:
    from safetensors import SafetensorError
    from safetensors.torch import load

    label = f"network.weights: {path}"
    with opening(label, "a directory, and not of a run; name a run's, or a safetensors file"):
        data = read_regular(path, LARGEST_FILE, "name a safetensors file")
    if len(data) > LARGEST_FILE:
        raise InputError(f"{label}: larger than the {LARGEST_FILE >> 30} GiB that are read; is this the right file?")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(
            f"network.weights: {path}: not a safetensors file ({error}); name a run's directory, or save its arrays "
            "by name with safetensors"
        ) from error
    if _matrices(tensors):
        raise InputError(
            f"network.weights: {path} is a checkpoint of a network that decorrelates its activity, whose weights are "
            "those of its arrays times a matrix; name the run's directory, where both are told apart"
        )
    weights, factors = apart(tensors)
    named = _aims(weights) or weights
    floats = {name: W for name, W in named.items() if W.is_floating_point()}  # counters and indices are no weights
    arrays = {name: W.float() if W.element_size() < 4 else W for name, W in floats.items()}  # what numpy has a type for
    return Start(arrays, str(path), path.name, factors=factors)
