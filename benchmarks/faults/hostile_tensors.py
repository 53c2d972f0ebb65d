"""Hostile safetensors files, alone and as checkpoints of a run: headers that lie, and numbers that are none."""

from __future__ import annotations

import json
import struct
from typing import Any

from benchmarks.faults.families import ESCAPES, Place, instead, texts


def packed(header: Any, data: bytes, length: int | None = None) -> bytes:
    """Return a safetensors file with any header, which may say that it is of another length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(dtype: object = "F32", shape: object = (4, 4), offsets: object = (0, 64)) -> dict[str, object]:
    """Return the entry of an array."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _lengths(place: Place) -> bytes:
    length = place.rng.choice([0, 1, 2**16, 2**31, 2**40, 2**63, 2**64 - 1])
    return packed({"w": one()}, bytes(64), length)


def _offsets(place: Place) -> bytes:
    offsets = place.rng.choice([
        [0, 2**62], [-64, 0], [64, 0], [0, 63], [0, 65], [32, 96], [0], [], "x", [0.0, 64.0], [None, None],
        [0, 64, 128], [2**64, 2**64 + 64], [0, 10**40],
    ])  # fmt: skip
    return packed({"w": one(offsets=offsets)}, bytes(64))


def _overlap(place: Place) -> bytes:
    names = ("w_in", "w", "w_out")
    gap = place.rng.choice([0, 32, 128])
    return packed({name: one(offsets=(gap * n, gap * n + 64)) for n, name in enumerate(names)},
    bytes(64 + 2 * gap - 8 * (
        gap == 128)))  # fmt: skip


def _shapes(place: Place) -> bytes:
    shape = place.rng.choice([
        [2**60], [2**31, 2**31, 2**31], [-4, -4], [4, -4], [0, 4], [16], [[4, 4]], "4,4", 16, None, [4.0, 4.0],
        [True, 16], [1] * 5000, [10**30, 0], [0, 2**63],
    ])  # fmt: skip
    return packed({name: one(shape=shape) for name in ("w_in", "w", "w_out")}, bytes(64))


def _types(place: Place) -> bytes:
    dtype = place.rng.choice([
        "F32\0", "f32", "O", "BOOL", "I64", "U8", "C64", "F8_E4M3", "F4", "I128", 32, None, ["F32"], ESCAPES, "x" * 9999
    ])  # fmt: skip
    return packed({name: one(dtype=dtype) for name in ("w_in", "w", "w_out")}, bytes(64))


def _headers(place: Place) -> bytes:
    text = place.rng.choice([
        b"", b"{}", b"[]", b"null", b"NaN", b"{" * 50_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"\xff\xfe{}",
        b"\0" * 64, b'{"w": 1, "w": 2}', b'{"__metadata__": {"sha256": 1, "meta": "{}"}}', b" " * 2_000_000,
        b'{"w":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,64]}}', b'{"__metadata__": []}',
        b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(100_000)) + b"}",
    ])  # fmt: skip
    return packed(text, bytes(64))


def _names(place: Place) -> bytes:
    name = place.rng.choice([ESCAPES, "../../w", "w\0", "", "w" * 9000, "__class__", "substrate.w.aim" + ESCAPES])
    return packed({name: one()}, bytes(64))


def _numbers(place: Place) -> bytes:
    """Arrays that fit the network, one number of which is none."""
    raw = bytearray(place.base.safetensors.read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    value = place.rng.choice([float("nan"), float("inf"), -float("inf")])
    size, code = (8, "<d") if b'"F64"' in raw[:start] else (4, "<f")
    at = start + size * place.rng.randrange((len(raw) - start) // size)
    raw[at : at + size] = struct.pack(code, value)
    return bytes(raw)


def _pickled(place: Place) -> bytes:
    import pickle

    from benchmarks.faults.hostile_tables import Bomb

    return place.rng.choice([pickle.dumps(Bomb(place.canary)), b"PK\x03\x04" + pickle.dumps(Bomb(place.canary))])


instead("safetensors", ".safetensors")
texts("safetensors", ".safetensors", {
    "lengths of headers that lie": _lengths, "offsets that lie": _offsets, "overlaps and gaps": _overlap,
    "shapes that are none": _shapes, "types that are none": _types, "headers that are none": _headers,
    "names that are none": _names, "numbers that are none": _numbers, "pickles": _pickled,
})  # fmt: skip
