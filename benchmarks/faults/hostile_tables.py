"""Hostile tables and arrays: CSV, npz, npy and IDX files that lie about their size, hold code, or pack a bomb."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import struct
import zipfile
from pathlib import Path

from benchmarks.faults.families import ESCAPES, Place, family, instead, texts


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.canary}",)


def _rows(place: Place, cell: str, column: int) -> str:
    lines = ["time_us,voltage_mV"]
    for n in range(300):
        row = [f"{n}", f"{place.rng.gauss(0, 100):.3f}"]
        if n == 150:
            row[column] = cell
        lines.append(",".join(row))
    return "\n".join(lines) + "\n"


def _cells(place: Place) -> str:
    cell = place.rng.choice([
        "1e999", "0x1p3", "1+2j", "\u0661\u0662", "\uff11", "\u00b2", "1_0", "=cmd|'/c calc'!A0",
        "__import__('os')", "1,2", "'", '"', "1e308e", "\u22121", "9" * 9000, "{0.__class__}", "%n%s",
    ])  # fmt: skip
    return _rows(place, cell, 1)


def _heads(place: Place) -> str:
    said = ESCAPES.replace("\x1b]0;owned\x07", "\x1b[31m")
    head = place.rng.choice([
        "time_us,time_us", ",,", "time_us," + "x" * 140_000, ",".join(f"c{n}" for n in range(70_000)), "1,2",
        "time_us", f"time_us,{said}", f"{said},{said}", "time_us,voltage_" + "m" * 500 + "V", "time_us,voltage_kg",
        "time_us voltage_mV", "time_\u0661us,voltage_mV",
    ])  # fmt: skip
    return head + "\n" + "".join(f"{n},{n % 2}\n" for n in range(50))


def _shapes(place: Place) -> str:
    return place.rng.choice([
        '"' * 100_001, "a,b\n" + '"x\n' * 50_000, "a,b\n" + "1,2,3\n" * 1000, "\n" * 100_000, "#" * 100_000 + "\n",
        "a,b\n" + "1," * 200_000, "time_us,voltage_mV\n" + "1,2\n" * 2, "time_us,voltage_mV", "a,b\n1\n1,2,3\n\n,,\n",
        "time_us,voltage_mV\n1,1\n" + "\x0c\x0b\x1c\x85\u2028,\n" * 99, "time_us;voltage_mV\n" + "1,5;2,5\n" * 3,
    ])  # fmt: skip


def _coded(place: Place) -> bytes:
    text = _rows(place, "0.5", 1)
    return place.rng.choice([
        text.encode("utf-16")[:-1], text.encode("utf-16-le"), text.encode("utf-32")[:-3], text.encode() + b"\0\0",
        gzip.compress(b"0," * 500_000), gzip.compress(text.encode()), lzma.compress(text.encode()),
        bz2.compress(b"0," * 500_000), b"\xef\xbb\xbf\xef\xbb\xbf", text.encode().replace(b"150,", b"150\xff\xfe,"),
    ])  # fmt: skip


def _large(place: Place) -> bytes:
    line = place.rng.choice([b"1,1\n", b"nan,nan\n", b"1,x\n", b",\n"])
    return b"time_us,voltage_mV\n" + line * (400_000 // len(line))


instead("csv", ".csv")
texts("csv", ".csv", {
    "cells that are no numbers": _cells, "headers that are none": _heads, "rows that are none": _shapes,
    "encodings, packed, NUL": _coded,
})  # fmt: skip
texts("csv", ".csv", {"rows without number of nothing": _large}, fine=None)


# ---- npz and npy ----


def header(shape: object, dtype: object = "<f8", version: bytes = b"\x01\x00", order: object = False) -> bytes:
    """Return the header of an npy file that says what one wants."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': {order!r}, 'shape': {shape!r}, }}".encode()
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text) + 1)
    return b"\x93NUMPY" + version + length + text + b"\n"


def _array(place: Place) -> bytes:
    """An npy file that is none."""
    rng, data = place.rng, struct.pack("<300d", *[place.rng.gauss(0, 0.1) for _ in range(300)])
    pickled = pickle.dumps(Bomb(place.canary))
    objects = header((1,), "|O") + pickled
    return rng.choice([
        objects, pickled, header((2**60,)) + data, header((2**31, 2**31, 4)) + data, header((-300,)) + data,
        header((300, -1, -1)) + data, header((300,), ">f8") + data[:-1], header((300,), "<c16") + data * 2,
        header((300,), "|S8") + data, header((300,), "<U2") + data, header((300,), "<M8[ns]") + data,
        header((300,), "|V8") + data, header((300,), [("a", "<f4"), ("b", "|O")]) + data,
        header((300.0,)) + data, header((True,)) + data, header("x" * 60_000) + data, header((300,), "<f8",
        b"\x09\x09"),
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65_535, header((300,)) + struct.pack("<d", float("nan")) * 300,
        header((300,)) + struct.pack("<d", float("inf")) * 300, header((0,)), header(()) + data[:8],
        header((10**400,)) + data, b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 999, header((300,), "<f16") + data * 2,
        b"\x93NUMPY\x01\x00\x99\x00" + b"__import__('os').system('touch " + str(place.canary).encode() + b"')",
    ])  # fmt: skip


def _archive(place: Place, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    path = place.folder / "hostile.npz"
    with zipfile.ZipFile(path, "w", kind, allowZip64=True) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@family("npz", "arrays that are none, pickles")
def _in_npz(place: Place) -> Path:
    return _archive(place, {"voltage_mV.npy": _array(place)})


@family("npz", "zip bombs")
def _packed(place: Place) -> Path:
    size = place.rng.choice([2**26, 2**27])
    kind = place.rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    head = header((size // 8,))
    path = _archive(place, {"voltage_mV.npy": head + bytes(size)}, kind)
    if place.rng.random() < 0.6:  # it says that it unpacks to little
        data = path.read_bytes()
        path.write_bytes(data.replace(struct.pack("<I", len(head) + size), struct.pack("<I", 4096)))
    return path


@family("npz", "names that are paths, twice, endless", fine=None)
def _members(place: Place) -> Path:
    good = header((300,)) + struct.pack("<300d", *[place.rng.gauss(0, 0.1) for _ in range(300)])
    name = place.rng.choice(
        ["../../voltage_mV.npy", "/voltage_mV.npy", f"{ESCAPES}.npy", "voltage_mV", ".npy", "x" * 60_000]
    )
    many = {f"{n}.npy": b"" for n in range(3000)}
    return _archive(place, place.rng.choice([{name: good}, many, {name: good, "b.npy": good}]))


@family("npz", "damaged archives", fine=None)
def _broken(place: Place) -> Path:
    good = header((300,)) + struct.pack("<300d", *[place.rng.gauss(0, 0.1) for _ in range(300)])
    path = _archive(place, {"voltage_mV.npy": good}, place.rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    data = bytearray(path.read_bytes())
    for _ in range(place.rng.randrange(1, 6)):
        data[place.rng.randrange(len(data))] ^= 0xFF
    path.write_bytes(bytes(data[: place.rng.choice([len(data), len(data), len(data) // 2])]))
    return path


instead("npz", ".npz")
instead("npy", ".npy")
texts("npy", ".npy", {"arrays that are none, pickles": _array})


# ---- IDX, as MNIST ----


@family("idx", "sizes that are none, gzip bombs")
def _idx(place: Place) -> Path:
    rng = place.rng
    sizes = rng.choice([(2**31 - 1, 28, 28), (2**31, 2**31, 2**31), (0, 28, 28), (4, 0, 0), (4, 28, 29), (4, 28, 28)])
    head = struct.pack(">I3I", rng.choice([0x803, 0x803, 0xD03, 0x801, 0xFFFFFFFF]), *sizes)
    body = bytes(4 * 784 - 1)
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    for name in names:
        if "labels" in name:
            content = struct.pack(">II", 0x801, 4) + bytes([0, 1, rng.choice([2, 255]), 3])
        else:
            content = head + body
        if rng.random() < 0.5:
            big = rng.choice([b"", bytes(100_000_000)])
            content = gzip.compress(content + big, 1)
            content = rng.choice([content, content[:-9], content + content])
            name += ".gz"
        (place.folder / name).write_bytes(content)
    return place.folder
