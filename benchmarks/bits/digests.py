"""Digests of what a run leaves, part by part: what stands in them is its bits, without clocks, places and code."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuroanp.records.identity import canonical
from neuroanp.records.json_io import read_object
from neuroanp.records.run_dir import RunDir

DIGITS = 16
CLOCKS = ("wall_s",)
"""Columns of metrics.csv that a clock wrote."""
HDF5 = b"\x89HDF\r\n\x1a\n"
TOLD = ("scores", "after", "health", "firing")
"""Fields of the manifest with numbers of the end, besides the ledger."""
CHECKING = frozenset({"READ_BACK.txt", "check.py", "stimulus.npz", "expected.npz"})
"""Files of an export that check it: what they hold is that of the others, or text."""
ABOUT_CHECKING = ("files", "check")
"""Keys of an export's report that tell of them."""


def parts_of_run(path: Path) -> dict[str, str]:
    """Return a digest of each part of a run's end.

    Returns: weights (the digital ones), devices (the other tensors of the arrays), books (those of the ledger and the
        chip's clock), optimizer and state (the rest of the last checkpoint); losses (all rows of the metrics), result,
        ledger, numbers (of the manifest); predictions and, where units spike, activity. A part that a run has not
        left is missing.
    """
    record = RunDir.open(path, check_code=False)
    newest, row = record.latest_checkpoint(), record.result
    tensors = {} if newest is None else record.load_checkpoint(newest)[0]
    found = {
        **_by_part({name: tensor.numpy() for name, tensor in tensors.items()}),
        "losses": _rows(path / "metrics.csv"),
        "result": plain_digest({key: value for key, value in (row or {}).items() if key != "run"}),
        "ledger": plain_digest(record.manifest.get("ledger")),
        "numbers": plain_digest({name: record.manifest.get(name) for name in TOLD}),
    }
    for name in ("predictions", "activity"):
        arrays = record.load_arrays(name)
        found |= {} if arrays is None else {name: arrays_digest(arrays)}
    return found


def parts_of_export(folder: Path, run: Path) -> dict[str, str]:
    """Return a digest of each file of an export, and of the report, but for those that check it.

    The name of the run, which has its identity in it, does not count.
    """
    return {
        path.name: content_digest(_counted(path), (str(run), run.name))
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name not in CHECKING
    }


def _counted(path: Path) -> bytes:
    """Return what counts of a file of an export."""
    if path.name != "report.json":
        return path.read_bytes()
    return canonical({key: value for key, value in read_object(path).items() if key not in ABOUT_CHECKING}).encode()


def content_digest(data: bytes, names: Iterable[str]) -> str:
    """Return the digest of a file: of the arrays of an HDF5 or zip file, else of its bytes, without `names` in it.

    >>> content_digest(b"net run-1, 8 units", ["run-1"]) == content_digest(b"net run-2, 8 units", ["run-2"])
    True
    """
    if data.startswith(HDF5):
        return arrays_digest(_hdf5(data, names))
    if data.startswith(b"PK"):
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return arrays_digest(dict(file))
    return digest([_without(data, names)])


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the digest of named arrays: names, types, shapes and bytes.

    >>> a, b = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    >>> arrays_digest({"a": a}) == arrays_digest({"a": b})
    False
    """
    return digest(
        piece
        for name, array in sorted(arrays.items())
        for piece in (f"{name} {array.dtype} {list(array.shape)}".encode(), array.tobytes())
    )


def plain_digest(data: Any) -> str:
    """Return the digest of plain values; a float's text reads back to its bits.

    >>> plain_digest({"a": 0.1, "b": None}) == plain_digest({"b": None, "a": 0.1})
    True
    """
    return digest([canonical(data).encode()])


def digest(pieces: Iterable[bytes]) -> str:
    """Return the first hex digits of a sha256 over pieces and their lengths."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(f"{len(piece)}\0".encode())
        found.update(piece)
    return found.hexdigest()[:DIGITS]


def part_of(name: str) -> str:
    """Return which part a tensor of a checkpoint belongs to.

    >>> [part_of(name) for name in ("substrate/w/aim", "substrate/w/g", "substrate/clock", "optimizer/m/w", "update")]
    ['weights', 'devices', 'books', 'optimizer', 'state']
    """
    first, _, rest = name.partition("/")
    if first != "substrate":
        return "optimizer" if first == "optimizer" else "state"
    if rest.startswith("ledger/") or rest == "clock":
        return "books"
    return "weights" if rest.endswith("/aim") else "devices"


def _by_part(tensors: Mapping[str, np.ndarray]) -> dict[str, str]:
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(part_of(name), {})[name] = tensor
    return {part: arrays_digest(group) for part, group in groups.items()}


def _rows(path: Path) -> str:
    """Return the digest of all columns but those of clocks, as they are written: numbers read back to their bits."""
    lines = [line.split(",") for line in path.read_text().splitlines()] if path.is_file() else []
    kept = [i for i, name in enumerate(lines[0]) if name not in CLOCKS] if lines else []
    return digest(",".join(cells[i] for i in kept).encode() for cells in lines)


def _without(data: bytes, names: Iterable[str]) -> bytes:
    for name in names:
        data = data.replace(name.encode(), b"RUN")
    return data


def _hdf5(data: bytes, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return all arrays and attributes of an HDF5 file, whose bytes have times in them."""
    import h5py

    found: dict[str, np.ndarray] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = _bytes(item[()], names)
        for key, value in item.attrs.items():
            found[f"{name}@{key}"] = _bytes(value, names)

    with h5py.File(io.BytesIO(data), "r") as file:
        take("/", file)
        file.visititems(take)
    return found


def _bytes(value: Any, names: Iterable[str]) -> np.ndarray:
    """Return a number or array as it is; text, which NumPy holds as objects, as its bytes."""
    array = np.asarray(value)
    if array.dtype != object and array.dtype.kind not in "SU":
        return array
    text = [each if isinstance(each, bytes) else str(each).encode() for each in array.ravel().tolist()]
    return np.frombuffer(b"\0".join(_without(each, names) for each in text), dtype=np.uint8)
