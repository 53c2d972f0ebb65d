"""Write and read a recurrent network in netx, the HDF5 layout that lava-dl loads onto Loihi.

    layer/0  type "dense_rec"  shape (N,)  inFeatures I  outFeatures N  weight (N, I)  weight_rec (N, N)  [bias (N,)]
    layer/1  type "dense"      shape (O,)  inFeatures N  outFeatures O  weight (O, N)                     [bias (O,)]
    layer/k/neuron  type "CUBA"  iDecay  vDecay  vThMant  refDelay 1  gradedSpike false

Weights are whole numbers in float32; netx gives input and recurrent weights of a layer one exponent.
A bias is a mantissa that netx shifts by 6 bits; it is left out where it is zero.
Source: lava-dl 0.6.0, `lava.lib.dl.netx.hdf5`.
"""

from __future__ import annotations

from io import BytesIO
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.backends.loihi import (
    BIAS_HIGH,
    BIAS_LOW,
    DECAY_ONE,
    THRESHOLD_HIGH,
    WEIGHT_HIGH,
    WEIGHT_LOW,
    Cuba,
    CubaNetwork,
)
from neuroanp.errors import InputError
from neuroanp.export.nir_file import size_of
from neuroanp.records.atomic import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES_MOST = 1_000_000
NAMES_MOST = 20
LARGEST_FILE = 1 << 30
NEURON_KEYS = {"type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike"}
LAYER_KEYS = {"type", "shape", "inFeatures", "outFeatures", "weight", "neuron"}


def hdf5() -> Any:
    """Return the module h5py; raise InputError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise InputError("the format loihi needs h5py; pip install 'neuroanp[loihi]'") from error
    return h5py


def write(path: Path, network: CubaNetwork) -> None:
    """Write a network; the same network gives the same bytes.

    Raises:
        InputError: a number is out of the chip's range.
        RunError: the disk is full or fails.
    """
    w_in, w, w_out, hidden, output = network
    for name, numbers, low, high in [
        *((name, W, WEIGHT_LOW, WEIGHT_HIGH) for name, W in zip(("w_in", "w", "w_out"), network[:3], strict=True)),
        *((f"bias of {len(layer.bias)} units", layer.bias, BIAS_LOW, BIAS_HIGH) for layer in (hidden, output)),
    ]:
        least, most = int(numbers.min()), int(numbers.max())
        if least < low or most > high:
            raise InputError(f"loihi: {name}: {least} to {most} on the chip, allowed {low} to {high}")
    content = BytesIO()  # HDF5 crashes where a disk is full
    with hdf5().File(content, "w", libver=("earliest", "v110"), track_order=False) as file:
        _write_layer(file, "layer/0", b"dense_rec", {"weight": w_in, "weight_rec": w}, hidden)
        _write_layer(file, "layer/1", b"dense", {"weight": w_out}, output)
    write_bytes(path, content.getvalue())


def _write_layer(file: Any, name: str, kind: bytes, weights: dict[str, Any], neurons: Cuba) -> None:
    post, pre = weights["weight"].shape
    held: dict[str, Any] = {
        "type": np.array([kind], "S10"),
        "shape": np.array([post]),
        "inFeatures": pre,
        "outFeatures": post,
        "neuron/type": np.array([b"CUBA"], "S10"),
        "neuron/iDecay": neurons.i_decay,
        "neuron/vDecay": neurons.v_decay,
        "neuron/vThMant": neurons.threshold,
        "neuron/refDelay": 1,
        "neuron/gradedSpike": False,
    }
    held |= {key: W.cpu().numpy().astype(np.float32) for key, W in weights.items()}
    if neurons.bias.any():
        held["bias"] = neurons.bias.cpu().numpy()
    for key, value in held.items():
        file.create_dataset(f"{name}/{key}", data=value, track_times=False)


def read(path: Path) -> CubaNetwork:
    """Read a network of this layout, from anyone.

    Nothing is loaded before its type, shape and place in the file are known; links, other files, chunks, and texts of
    variable length are refused.

    Raises:
        InputError: no such file, too large, something is missing, out of range or unknown, or stored otherwise.
    """
    h5py = hdf5()
    path = Path(path)
    size_of(path, LARGEST_FILE)
    try:
        with h5py.File(path, "r") as file:
            if file.userblock_size or file.id.get_create_plist().get_sizes() != (8, 8):
                raise InputError(f"{path}: an unusual HDF5 file; write it with neuroanp export")
            layers = _group(file, "layer", {"0", "1"})
            w_in, w, hidden = _read_layer(layers, "0", "dense_rec")
            w_out, _, output = _read_layer(layers, "1", "dense")
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: not a netx file that can be read: {error}") from error
    if w_out.shape[1] != len(w_in):
        raise InputError(f"{path}: layer/1 takes {w_out.shape[1]} units, layer/0 has {len(w_in)}")
    return CubaNetwork(torch.from_numpy(w_in), torch.from_numpy(w), torch.from_numpy(w_out), hidden, output)


def _read_layer(layers: Any, name: str, kind: str) -> tuple[NDArray[Any], NDArray[Any], Cuba]:
    keys = LAYER_KEYS | ({"weight_rec"} if kind == "dense_rec" else set())
    layer = _group(layers, name, keys, frozenset({"bias"}))
    neuron = _group(layer, "neuron", NEURON_KEYS)
    _expect(layer, "type", kind)
    _expect(neuron, "type", "CUBA")
    pre, post = (_whole(layer, key, 1, FEATURES_MOST) for key in ("inFeatures", "outFeatures"))
    if _array(layer, "shape", (1,), "iu").tolist() != [post]:
        raise InputError(f"layer/{name}/shape: not outFeatures, {post}")
    _whole(neuron, "refDelay", 1, 1)
    _whole(neuron, "gradedSpike", 0, 0)
    weight = _weights(layer, "weight", (post, pre))
    recurrent = _weights(layer, "weight_rec", (post, post)) if kind == "dense_rec" else weight
    bias = _array(layer, "bias", (post,), "iu") if "bias" in layer else np.zeros(post, np.int64)
    if bias.min() < BIAS_LOW or bias.max() > BIAS_HIGH:
        raise InputError(f"layer/{name}/bias: {bias.min()} to {bias.max()}, allowed {BIAS_LOW} to {BIAS_HIGH}")
    i_decay, v_decay = (_whole(neuron, key, 0, DECAY_ONE) for key in ("iDecay", "vDecay"))
    threshold = _whole(neuron, "vThMant", 0, THRESHOLD_HIGH)
    return weight, recurrent, Cuba(i_decay, v_decay, threshold, torch.from_numpy(bias.astype(np.int64)))


def _weights(layer: Any, key: str, shape: tuple[int, int]) -> NDArray[np.int64]:
    W = _array(layer, key, shape, "iuf")
    good = np.isfinite(W) & (W >= WEIGHT_LOW) & (W <= WEIGHT_HIGH) & (W % 2 == 0)
    if not good.all():
        raise InputError(
            f"{layer.name}/{key}: {int((~good).sum())} of {W.size} weights are no even whole numbers "
            f"from {WEIGHT_LOW} to {WEIGHT_HIGH}"
        )
    return W.astype(np.int64)


def _group(parent: Any, name: str, keys: set[str], optional: frozenset[str] = frozenset()) -> Any:
    """Return a group that holds these names and no others."""
    h5py = hdf5()
    where = f"{parent.name.rstrip('/')}/{name}"
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Group):
        raise InputError(f"{where}: is missing, or not a group of this file")
    group = parent[name]
    wrong = sorted((set(group) - optional) ^ keys) if len(group) <= NAMES_MOST else [f"{len(group)} names"]
    if wrong:
        raise InputError(f"{where}: missing or not known: {', '.join(wrong)[:200]}")
    return group


def _array(group: Any, key: str, shape: tuple[int, ...], kinds: str) -> NDArray[Any]:
    """Load a dataset whose type, shape and stored bytes are what they must be."""
    h5py = hdf5()
    where = f"{group.name}/{key}"
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise InputError(f"{where}: is missing, or a link")
    data = group[key]
    if not isinstance(data, h5py.Dataset) or not _plain(h5py, data, kinds):
        raise InputError(f"{where}: not an array of the type it must have")
    if data.shape != shape:
        raise InputError(f"{where}: has the shape {data.shape}, not {shape}")
    # whole bytes in this very file: what is loaded is no larger than the file
    stored, made = prod(shape) * data.dtype.itemsize, data.id.get_create_plist()
    inside = made.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) and not made.get_external_count()
    ends = (data.id.get_offset() or 0) + stored  # of a compact one, which lies in its header, the offset is None
    if not inside or data.id.get_storage_size() != stored or ends > group.file.id.get_filesize():
        raise InputError(f"{where}: is not stored as plain bytes in this file")
    return np.asarray(data[()])


def _plain(h5py: Any, data: Any, kinds: str) -> bool:
    """Return whether a dataset holds what its numpy type says: no enumeration, no text of variable length."""
    dtype = data.dtype
    if dtype.kind not in kinds or dtype.itemsize > 10:
        return False
    return dtype.kind in "Sb" or h5py.h5t.py_create(dtype) == data.id.get_type()


def _whole(group: Any, key: str, low: int, high: int) -> int:
    value = int(_array(group, key, (), "iub"))
    if not low <= value <= high:
        raise InputError(f"{group.name}/{key}: {value}, allowed {low} to {high}")
    return value


def _expect(group: Any, key: str, word: str) -> None:
    found = bytes(_array(group, key, (1,), "S")[0]).decode("ascii")
    if found != word:
        raise InputError(f"{group.name}/{key}: '{found}', expected '{word}'")
