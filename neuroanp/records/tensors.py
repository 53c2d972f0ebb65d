"""Named arrays in one file: safetensors with a content checksum, never pickle.

The file is an ordinary safetensors file (8 bytes of header length, JSON header, data). Its
metadata hold `meta`, a JSON object, and `sha256`, the hash over the canonical header without that
entry and over the data, so that a flipped bit anywhere shows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.records.atomic import said
from neuroanp.records.identity import canonical
from neuroanp.records.json_io import finite, parse, read_limited

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MAX_HEADER = 16 * 2**20


class Damaged(ValueError):
    """The file is not the one that was written: cut short, changed, or something else."""


def pack_tensors(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """Return the file's bytes for torch tensors on any device; views are written as what they show."""
    from safetensors.torch import save

    own: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous()
        if flat.untyped_storage().data_ptr() in seen:  # safetensors refuses tensors that share memory
            flat = flat.clone()
        seen.add(flat.untyped_storage().data_ptr())
        own[name] = flat
    return _seal(save(own), meta)


def pack_arrays(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> bytes:
    """Return the file's bytes for NumPy arrays."""
    import numpy as np
    from safetensors.numpy import save

    own = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}  # keeps 0-d 0-d
    return _seal(save(own), meta)


def unpack_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `pack_tensors` made; Damaged if a bit of it changed."""
    from safetensors.torch import load

    raw, meta = read_sealed(path)
    return _loaded(load, raw), meta


def unpack_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `pack_arrays` made; Damaged if a bit of it changed."""
    from safetensors.numpy import load

    raw, meta = read_sealed(path)
    return _loaded(load, raw), meta


def read_sealed(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the file's bytes and its meta after checking sizes and checksum; Damaged otherwise."""
    with said(path):
        size = os.stat(path).st_size
    raw = read_limited(path, size)
    header, data = _split(raw)
    extra = header.get("__metadata__")
    if (
        not isinstance(extra, dict)
        or not isinstance(extra.get("sha256"), str)
        or not isinstance(extra.get("meta"), str)
    ):
        raise Damaged("it carries no checksum")
    stated = extra.pop("sha256")
    if _digest(header, data) != stated:
        raise Damaged("its content does not match its checksum")
    meta = parse(extra["meta"])
    if not isinstance(meta, dict):
        raise Damaged("its meta is not a JSON object")
    return raw, meta


def _loaded(load: Callable[[bytes], Any], raw: bytes) -> Any:
    from safetensors import SafetensorError

    try:
        return load(raw)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:  # a made-up header with its own checksum
        raise Damaged(f"its header does not describe its data ({error})") from error


def _seal(raw: bytes, meta: Mapping[str, Any]) -> bytes:
    """Put meta and checksum into the header of plain safetensors bytes."""
    header, data = _split(raw)
    extra = {"meta": canonical(finite(dict(meta)))}
    header["__metadata__"] = extra
    extra["sha256"] = _digest(header, data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data on an 8-byte boundary
    if len(text) > MAX_HEADER:
        raise ValueError(f"meta and names take {len(text)} bytes, at most {MAX_HEADER} are read back")
    return b"".join([len(text).to_bytes(8, "little"), text, data])


def _split(raw: bytes) -> tuple[dict[str, Any], memoryview]:
    """Cut a safetensors file into header and data; Damaged if the sizes do not add up."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 10 or length > min(MAX_HEADER, len(raw) - 8):
        raise Damaged("it ends before its header does")
    try:
        header = parse(raw[8 : 8 + length].decode("utf-8"))
    except ValueError as error:
        raise Damaged(f"its header is unreadable ({error})") from error
    if not isinstance(header, dict):
        raise Damaged("its header is not a JSON object")
    data = memoryview(raw)[8 + length :]
    if _extent(header) != len(data):
        raise Damaged(f"it holds {len(data)} bytes of data, its header says {_extent(header)}")
    return header, data


def _extent(header: dict[str, Any]) -> int:
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    try:
        return max((int(entry["data_offsets"][1]) for entry in entries), default=0)
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise Damaged("its header does not describe arrays") from error


def _digest(header: dict[str, Any], data: memoryview) -> str:
    extra = {name: value for name, value in header.get("__metadata__", {}).items() if name != "sha256"}
    digest = hashlib.sha256(canonical(header | {"__metadata__": extra}).encode())
    digest.update(data)
    return digest.hexdigest()
