"""Weights that a run starts from instead of drawn ones: a run's last checkpoint, or a safetensors file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.records.json_io import read_limited
from neuroanp.records.run_dir import RunDir
from neuroanp.records.store import found
from neuroanp.trajectory import ARRAYS, Weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KEPT_AS = "start"
LARGEST_FILE = 16 << 30
AIM = "substrate/{}/aim"
"""Where a checkpoint keeps the digital target weights of an array."""


@dataclass(frozen=True)
class Start:
    """Weights that were learned elsewhere.

    Args:
        arrays: w_in, w, w_out, whose shapes hold the bias line's column where the network has one.
        path: where they lay.
        origin: what made them, in words that do not depend on the seed.
        update: after how many updates, or None where the file does not say.
    """

    arrays: Mapping[str, Tensor]
    path: str
    origin: str
    update: int | None = None

    @property
    def digest(self) -> str:
        """64 hex digits of the content: the same weights are the same wherever they lie, in any precision they fit."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            W = self.arrays[name].detach().cpu().double().numpy()
            digest.update(f"{name}{list(W.shape)}".encode())
            digest.update(np.ascontiguousarray(W, dtype="<f8").tobytes())
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """Return what a record keeps of them beside the arrays: path, origin, update and hash."""
        return {"path": self.path, "origin": self.origin, "update": self.update, "hash": self.digest}

    def keep(self, record: RunDir) -> None:
        """Copy the arrays into the record of the run that starts from them, so that it can always go on; sealed."""
        record.save_arrays(KEPT_AS, {name: W.detach().cpu().numpy() for name, W in self.arrays.items()})
        record.update()

    @classmethod
    def kept(cls, record: RunDir) -> Start | None:
        """Return what `keep` copied, or None where there is no copy."""
        import torch

        arrays, facts = record.load_arrays(KEPT_AS), record.manifest.get("start")
        if arrays is None or not isinstance(facts, Mapping) or not set(ARRAYS) <= set(arrays):
            return None
        tensors = {name: torch.from_numpy(arrays[name].copy()) for name in ARRAYS}
        return cls(tensors, str(facts["path"]), str(facts["origin"]), facts["update"])

    def weights(self, bias: bool, dtype: torch.dtype) -> Weights:
        """Return them as a network's weights."""
        return Weights({name: self.arrays[name].to(dtype) for name in ARRAYS}, bias)

    def check(self, inputs: int, hidden: int, outputs: int, bias: bool) -> Start:
        """Return them if they fit a network; InputError says of each array what it is and what it should be.

        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> Start({"w_in": one, "w": one, "w_out": one}, "x.safetensors", "x").check(1, 2, 1, False)
        Traceback (most recent call last):
        ...
        neuroanp.errors.InputError: network.weights: x.safetensors does not fit the network
          w_in is (1, 1), the configuration needs (2, 1)
          w is (1, 1), the configuration needs (2, 2): set network.hidden to 1
          w_out is (1, 1), the configuration needs (1, 2)
        """
        wanted = {"w_in": (hidden, inputs + bias), "w": (hidden, hidden), "w_out": (outputs, hidden + bias)}
        found = {name: tuple(self.arrays[name].shape) for name in ARRAYS}
        problems = [
            f"{name} is {found[name]}, the configuration needs {wanted[name]}{self._remedy(name, found, wanted, bias)}"
            for name in ARRAYS
            if found[name] != wanted[name]
        ]
        if problems:
            raise InputError(f"network.weights: {self.path} does not fit the network", problems)
        return self

    @staticmethod
    def _remedy(name: str, found: Mapping[str, Any], wanted: Mapping[str, Any], bias: bool) -> str:
        have, want = found[name], wanted[name]
        if name == "w" and len(have) == 2 and have[0] == have[1]:
            return f": set network.hidden to {have[0]}"
        if found["w"] == wanted["w"] and len(have) == 2 and have[0] == want[0]:
            if have[1] == want[1] + 1 and not bias:
                return ": it has a bias line; set network.bias to true"
            if have[1] == want[1] - 1 and bias:
                return ": it has no bias line; set network.bias to false"
        return ""


def load_start(path: str) -> Start:
    """Read weights from a run's directory (its newest checkpoint) or a safetensors file with w_in, w and w_out.

    Raises:
        InputError: there is nothing, or nothing readable, or it holds other arrays or numbers that are not finite.
    """
    place = found(Path(path))
    if not place.exists():
        raise InputError(f"network.weights: {path}: no such run directory or file; name one that `neuroanp train` made")
    start = _of_run(place) if place.is_dir() else _of_file(place)
    bad = [name for name in ARRAYS if not bool(start.arrays[name].isfinite().all())]
    if bad:
        raise InputError(f"network.weights: {path}: {', '.join(bad)} holds numbers that are not finite; train it again")
    return start


def of_record(record: RunDir) -> tuple[dict[str, Tensor], int]:
    """Return the digital target weights of a run's newest whole checkpoint, and its update; InputError if none."""
    tensors, meta = record.load_checkpoint(record.whole_checkpoint())
    return {name: tensors[AIM.format(name)] for name in ARRAYS}, int(meta["update"])


def _of_run(path: Path) -> Start:
    from neuroanp.training.config import load_config

    record = RunDir.open(path, check_code=False)
    arrays, update = of_record(record)
    profile = record.manifest.get("profile")
    name = profile.get("name") if isinstance(profile, Mapping) else None
    config = load_config(record.config_path)
    return Start(arrays, str(path), f"{config.rule_name} on {name or config.profile}", update)


def _of_file(path: Path) -> Start:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(read_limited(path, LARGEST_FILE))
    except SafetensorError as error:
        raise InputError(
            f"network.weights: {path}: not a safetensors file ({error}); name a run's directory, or save the arrays "
            "w_in, w and w_out with safetensors"
        ) from error
    named = {name: tensors.get(name, tensors.get(AIM.format(name))) for name in ARRAYS}
    floats = {name: W for name, W in named.items() if W is not None and W.is_floating_point()}
    arrays = {name: W.float() if W.element_size() < 4 else W for name, W in floats.items()}  # what numpy has a type for
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        there = ", ".join(sorted(tensors)[:8]) or "nothing"
        raise InputError(
            f"network.weights: {path}: no {', '.join(missing)} of floating-point numbers (it holds {there}); save the "
            "arrays w_in, w and w_out"
        )
    return Start(arrays, str(path), path.name)
