"""Write and read layers of neurons in netx, the HDF5 layout that lava-dl loads onto Loihi.

    layer/k  type "dense_rec"  shape (n,)  inFeatures m  outFeatures n  weight (n, m)  weight_rec (n, n)  [bias (n,)]
    layer/k  type "dense"      the same, without weight_rec: a layer whose units do not reach each other
    layer/L  type "dense"      shape (O,)  inFeatures n  outFeatures O  weight (O, n)                     [bias (O,)]
    layer/k/neuron  type "CUBA"  iDecay  vDecay  vThMant  refDelay 1  gradedSpike false

Layers are numbered from the input on, and netx connects each to the next one alone; the last are the outputs. Weights
are whole numbers in float32; netx gives input and recurrent weights of a layer one exponent, each layer its own.
A bias is a mantissa that netx shifts by 6 bits; it is left out where it is zero.
Source: lava-dl 0.6.0, `lava.lib.dl.netx.hdf5`.
"""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
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
    Block,
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
LAYERS_MOST = 101
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
    for k, (weight, recurrent, neurons) in enumerate(network.blocks):
        weights = [("weight", weight), *([] if recurrent is None else [("weight_rec", recurrent)])]
        for name, numbers, low, high in [
            *((f"layer/{k}/{key}", W, WEIGHT_LOW, WEIGHT_HIGH) for key, W in weights),
            (f"layer/{k}/bias", neurons.bias, BIAS_LOW, BIAS_HIGH),
        ]:
            least, most = int(numbers.min()), int(numbers.max())
            if least < low or most > high:
                raise InputError(f"loihi: {name}: {least} to {most} on the chip, allowed {low} to {high}")
    content = BytesIO()  # HDF5 crashes where a disk is full
    with hdf5().File(content, "w", libver=("earliest", "v110"), track_order=False) as file:
        for k, block in enumerate(network.blocks):
            _write_layer(file, f"layer/{k}", block)
    write_bytes(path, content.getvalue())


def _write_layer(file: Any, name: str, block: Block) -> None:
    weight, recurrent, neurons = block
    post, pre = weight.shape
    weights = {"weight": weight} if recurrent is None else {"weight": weight, "weight_rec": recurrent}
    held: dict[str, Any] = {
        "type": np.array([b"dense" if recurrent is None else b"dense_rec"], "S10"),
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
            layers = _numbered(file, "layer")
            blocks = [_read_layer(layers, str(k)) for k in range(len(layers))]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: not a netx file that can be read: {error}") from error
    for k, (below, block) in enumerate(pairwise(blocks), 1):
        if block.weight.shape[1] != len(below.weight):
            raise InputError(
                f"{path}: layer/{k} takes {block.weight.shape[1]} units, layer/{k - 1} has {len(below.weight)}"
            )
    *hidden, outputs = blocks
    if outputs.recurrent is not None:
        raise InputError(f"{path}: layer/{len(hidden)}/type: 'dense_rec', expected 'dense' of the last, the outputs")
    return CubaNetwork(tuple(hidden), outputs)


def _numbered(file: Any, name: str) -> Any:
    """Return the group of the layers, which are numbered from 0: two or more."""
    count = len(_linked(file, name))
    if not 2 <= count <= LAYERS_MOST:
        raise InputError(f"/{name}: {count} layers, expected 2 to {LAYERS_MOST}")
    return _group(file, name, {str(k) for k in range(count)}, most=LAYERS_MOST)


def _read_layer(layers: Any, name: str) -> Block:
    layer = _group(layers, name, LAYER_KEYS, frozenset({"bias", "weight_rec"}))
    neuron = _group(layer, "neuron", NEURON_KEYS)
    names = set(layer)  # a link that leads nowhere is a name too
    recurs = "weight_rec" in names
    _expect(layer, "type", "dense_rec" if recurs else "dense")
    _expect(neuron, "type", "CUBA")
    pre, post = (_whole(layer, key, 1, FEATURES_MOST) for key in ("inFeatures", "outFeatures"))
    if _array(layer, "shape", (1,), "iu").tolist() != [post]:
        raise InputError(f"layer/{name}/shape: not outFeatures, {post}")
    _whole(neuron, "refDelay", 1, 1)
    _whole(neuron, "gradedSpike", 0, 0)
    weight = _weights(layer, "weight", (post, pre))
    recurrent = torch.from_numpy(_weights(layer, "weight_rec", (post, post))) if recurs else None
    bias = _array(layer, "bias", (post,), "iu") if "bias" in names else np.zeros(post, np.int64)
    if bias.min() < BIAS_LOW or bias.max() > BIAS_HIGH:
        raise InputError(f"layer/{name}/bias: {bias.min()} to {bias.max()}, allowed {BIAS_LOW} to {BIAS_HIGH}")
    i_decay, v_decay = (_whole(neuron, key, 0, DECAY_ONE) for key in ("iDecay", "vDecay"))
    threshold = _whole(neuron, "vThMant", 0, THRESHOLD_HIGH)
    neurons = Cuba(i_decay, v_decay, threshold, torch.from_numpy(bias.astype(np.int64)))
    return Block(torch.from_numpy(weight), recurrent, neurons)


def _weights(layer: Any, key: str, shape: tuple[int, int]) -> NDArray[np.int64]:
    W = _array(layer, key, shape, "iuf")
    good = np.isfinite(W) & (W >= WEIGHT_LOW) & (W <= WEIGHT_HIGH) & (W % 2 == 0)
    if not good.all():
        raise InputError(
            f"{layer.name}/{key}: {int((~good).sum())} of {W.size} weights are no even whole numbers "
            f"from {WEIGHT_LOW} to {WEIGHT_HIGH}"
        )
    return W.astype(np.int64)


def _group(
    parent: Any, name: str, keys: set[str], optional: frozenset[str] = frozenset(), most: int = NAMES_MOST
) -> Any:
    """Return a group that holds these names and no others."""
    group = _linked(parent, name)
    wrong = sorted((set(group) - optional) ^ keys) if len(group) <= most else [f"{len(group)} names"]
    if wrong:
        raise InputError(f"{group.name}: missing or not known: {', '.join(wrong)[:200]}")
    return group


def _linked(parent: Any, name: str) -> Any:
    """Return a group that lies in this file."""
    h5py = hdf5()
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Group):
        raise InputError(f"{parent.name.rstrip('/')}/{name}: is missing, or not a group of this file")
    return parent[name]


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
