"""Hostile HDF5 files, NIR and netx: links out of the file, virtual and external data, sizes that are not there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.faults.families import ESCAPES, FAMILIES, Family, Place, instead

Change = Callable[[Any, Any, str, Place], None]
"""(file, parent, name of a dataset of numbers, place): puts something in the dataset's place."""


UNREAD = ("shape", "v_reset", "w_in")
"""What nobody asks for, or need not be there."""


def numbers(file: Any) -> Iterator[str]:
    """Yield the paths of the datasets of numbers in a file, in order."""
    found: list[str] = []

    def look(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and path.rpartition("/")[2] not in UNREAD:
            found.append(path)

    file.visititems(look)
    yield from sorted(found)


def _changed(suffix: str, change: Change) -> Callable[[Place], Path]:
    def make(place: Place) -> Path:
        path = place.folder / f"hostile{suffix}"
        shutil.copy(base_of(place, suffix), path)
        with h5py.File(path, "r+") as file:
            chosen = place.rng.choice(list(numbers(file)))
            parent = file[chosen].parent
            change(file, parent, chosen.rpartition("/")[2], place)
        return path

    return make


def base_of(place: Place, suffix: str) -> Path:
    """Return the file of ours that is changed."""
    return place.base.nir if suffix == ".nir" else place.base.netx


def _external_link(file: Any, parent: Any, name: str, place: Place) -> None:
    other = place.folder / "other.h5"
    with h5py.File(other, "w") as made:
        made["x"] = parent[name][()]
    del parent[name]
    parent[name] = h5py.ExternalLink(place.rng.choice([str(other), "other.h5", "/proc/self/mem"]), "/x")


def _soft_link(file: Any, parent: Any, name: str, place: Place) -> None:
    data = parent[name][()]
    del parent[name]
    file["elsewhere"] = data
    parent[name] = h5py.SoftLink(place.rng.choice(["/elsewhere", f"{parent.name}/{name}", "/nothing", "/" * 900]))


def _external_data(file: Any, parent: Any, name: str, place: Place) -> None:
    shape, dtype = parent[name].shape, parent[name].dtype
    del parent[name]
    size = max(int(np.prod(shape)) * dtype.itemsize, 1)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_external(str(place.rng.choice([place.secret, "/dev/zero", "/etc/passwd"])).encode(), 0, size)
    h5py.h5d.create(parent.id, name.encode(), h5py.h5t.py_create(dtype), h5py.h5s.create_simple(shape or (1,)), plist)


def _virtual(file: Any, parent: Any, name: str, place: Place) -> None:
    shape, dtype = parent[name].shape or (1,), parent[name].dtype
    del parent[name]
    layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
    layout[...] = h5py.VirtualSource(str(place.folder / "other.h5"), "x", shape=shape)
    parent.create_virtual_dataset(name, layout, fillvalue=1)


def _shape(file: Any, parent: Any, name: str, place: Place) -> None:
    dtype = parent[name].dtype
    del parent[name]
    shape = place.rng.choice([(2**40,), (2**20, 2**20), (2**28, 2**28), (2**58,), (0,), (1,) * 32, (2**33, 1)])
    chunked = place.rng.random() < 0.5 and 0 not in shape
    parent.create_dataset(
        name, shape, dtype, chunks=tuple(min(n, 1024 if len(shape) < 9 else 1) for n in shape) if chunked else None
    )


def _filters(file: Any, parent: Any, name: str, place: Place) -> None:
    """A few kB that unpack to gigabytes, or are packed a hundred times, or by what nobody knows."""
    dtype = parent[name].dtype
    del parent[name]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    side = place.rng.choice([2**10, 2**13])
    plist.set_chunk((side, side))
    for _ in range(place.rng.choice([1, 3, 20])):
        plist.set_deflate(9)
    data = h5py.h5d.create(
        parent.id, name.encode(), h5py.h5t.py_create(dtype), h5py.h5s.create_simple((side * 8, side * 8)), plist
    )
    data.write_direct_chunk((0, 0), place.rng.choice([b"\0", b"x\x9c" + bytes(999), place.rng.randbytes(9999)]))


def _type(file: Any, parent: Any, name: str, place: Place) -> None:
    data = parent[name][()]
    shape = np.shape(data)
    del parent[name]
    new: Any = place.rng.choice([
        np.full(shape, np.nan), np.full(shape, np.inf), np.full(shape, 1e300), np.full(shape, 5e-324),
        np.zeros(shape, "<c16"), np.zeros(shape, [("a", "<f4"), ("b", "<i4")]), np.zeros(shape, "S8"),
        np.zeros(shape, bool), h5py.Empty("f8"), np.zeros(shape, h5py.string_dtype()),
        np.zeros(shape, h5py.vlen_dtype(np.int64)), np.zeros(shape, h5py.ref_dtype),
        np.zeros(shape, h5py.enum_dtype({"A": 0})), np.full(shape, -(2**62)), np.zeros((*shape, 2)),
        np.zeros(shape, "f2") if shape else 1j, "1.0", b"\0", np.zeros(shape, "V8"),
    ])  # fmt: skip
    try:
        parent[name] = new
    except (TypeError, ValueError, AttributeError):
        parent[name] = np.full(shape, np.nan)


def _names(file: Any, parent: Any, name: str, place: Place) -> None:
    spoken = ESCAPES.replace("/", "")
    file.move(f"{parent.name}/{name}", f"{parent.name}/{place.rng.choice([spoken, name + spoken, 'x' * 60_000, '..'])}")


def _many(file: Any, parent: Any, name: str, place: Place) -> None:
    group = parent if place.rng.random() < 0.5 else parent.parent
    for n in range(place.rng.choice([500, 3000])):
        group.create_group(f"g{n}")


def _loop(file: Any, parent: Any, name: str, place: Place) -> None:
    """A group that holds itself, by hard links; the tree of names has no end."""
    del parent[name]
    parent[name] = place.rng.choice([parent, file["/"], parent.parent])


CHANGES: dict[str, Change] = {
    "external links": _external_link, "soft links": _soft_link, "data in another file": _external_data,
    "virtual data": _virtual, "shapes that are not there": _shape, "filters that unpack": _filters,
    "types and numbers that are none": _type, "escapes in names": _names, "groups without number": _many,
    "groups in themselves": _loop,
}  # fmt: skip
EITHER = ("types and numbers that are none", "groups without number")
"""A type that says the same, and what nobody asks for, may be taken."""


def _damaged(suffix: str) -> Callable[[Place], Path]:
    def make(place: Place) -> Path:
        data = bytearray(base_of(place, suffix).read_bytes())
        for _ in range(place.rng.randrange(1, 20)):
            data[place.rng.randrange(min(len(data), 4000))] = place.rng.randrange(256)
        path = place.folder / f"hostile{suffix}"
        path.write_bytes(bytes(data[: place.rng.choice([len(data), len(data), place.rng.randrange(len(data))])]))
        return path

    return make


def _other(suffix: str) -> Callable[[Place], Path]:
    """An HDF5 file of another form: a user block, sizes of 4 bytes, another thing altogether."""

    def make(place: Place) -> Path:
        path = place.folder / f"hostile{suffix}"
        block = place.rng.choice([0, 512, 2**20])
        with h5py.File(path, "w", userblock_size=block, libver=place.rng.choice(["earliest", "latest"])) as file:
            file["x"] = 1
            group = file
            for n in range(place.rng.choice([1, 300])):
                group = group.create_group(place.rng.choice(["node", "nodes", f"g{n}"]) + str(n))
        return path

    return make


for _kind, _suffix in (("nir", ".nir"), ("netx", ".net")):
    instead(_kind, _suffix)
    for _name, _change in CHANGES.items():
        FAMILIES.append(Family(_kind, _name, _changed(_suffix, _change), None if _name in EITHER else False))
    FAMILIES.append(Family(_kind, "flipped bytes, cut short", _damaged(_suffix), None))
    FAMILIES.append(Family(_kind, "another HDF5 file", _other(_suffix)))
