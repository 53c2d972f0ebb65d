"""Read IDX files, the format of MNIST: unsigned bytes in a box of one to three dimensions, perhaps packed by gzip."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from math import prod
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError
from neuroanp.files import opening, read_regular
from neuroanp.yaml_io import display

MOST = 256 * 2**20
"""Bytes of a file, and of what it unpacks to: five times MNIST's largest."""
GZIP = b"\x1f\x8b"
RATIO = 1032
"""Times that deflate can shorten at most: 258 bytes in 2 bits."""
UNSIGNED_BYTE = 0x08
TYPES = {0x08: "unsigned byte", 0x09: "signed byte", 0x0B: "short", 0x0C: "int", 0x0D: "float", 0x0E: "double"}
"""Third byte of a file: what its numbers are."""


@dataclass(frozen=True)
class Idx:
    """What an IDX file holds.

    Args:
        label: the file in messages.
        values: uint8, of as many dimensions as were asked for; read-only.
    """

    label: str
    values: np.ndarray


def read_idx(path: Path, dimensions: int, what: str) -> Idx:
    """Read an IDX file of unsigned bytes.

        0 0 8 D   n_1 .. n_D   data    D dimensions; sizes are 4 bytes each, the highest first

    A header is not believed: the file must have just the bytes that it announces. No memory is taken for them before
    that is known or, of a file packed by gzip, before it is known that so few bytes can hold so many; and no more is
    ever unpacked than was announced.

    Args:
        path: the file. dimensions: D, that it must have. what: it holds, for messages: "images".

    Raises:
        InputError: the file is missing, no regular file, too large, cut off, too long, packed badly, no IDX file or one
            of other numbers or dimensions, or holds nothing.

    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998), "the IDX file format".
    """
    label = display(path)
    with opening(label, f"a folder; name a file of {what}"):
        raw = read_regular(path, MOST, f"name a file of {what}")
    if len(raw) > MOST:
        raise InputError(f"{label}: more than the {MOST >> 20} MiB allowed")
    packed = raw.startswith(GZIP)
    try:
        with gzip.open(BytesIO(raw)) if packed else BytesIO(raw) as file:
            shape = _shape(file, label, dimensions, what)
            _check_size(shape, len(raw) * RATIO if packed else len(raw) - 4 - 4 * dimensions, packed, label)
            data = file.read(prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{label}: packed by gzip, and damaged ({error}); get it again") from None
    if len(data) != prod(shape):
        raise InputError(_other_size(shape, "fewer" if len(data) < prod(shape) else "more", label))
    return Idx(label, np.frombuffer(data, np.uint8).reshape(shape))


def _shape(file: BufferedIOBase, label: str, dimensions: int, what: str) -> tuple[int, ...]:
    """Read the sizes; InputError where the first bytes are none of such a file."""
    magic, sizes = file.read(4), file.read(4 * dimensions)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
        raise InputError(f"{label}: not an IDX file (it begins with {magic.hex(' ') or 'nothing'}); name one of {what}")
    if magic[2] != UNSIGNED_BYTE:
        raise InputError(f"{label}: its numbers are of type {TYPES[magic[2]]}; {what} are of unsigned bytes")
    if magic[3] != dimensions:
        raise InputError(f"{label}: it has {magic[3]} dimensions, {what} have {dimensions}; is it the right file?")
    if len(sizes) < 4 * dimensions:
        raise InputError(f"{label}: cut off in its header; get it again")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    if 0 in shape:
        raise InputError(f"{label}: it holds no {what} ({_times(shape)})")
    return shape


def _check_size(shape: tuple[int, ...], room: int, packed: bool, label: str) -> None:
    """Refuse a header whose data cannot be there: in `room` bytes, or at most so many of a packed file."""
    size = prod(shape)
    if size > MOST:
        raise InputError(f"{label}: {_times(shape)} = {size:,} bytes, more than the {MOST >> 20} MiB allowed")
    if size > room or (size < room and not packed):
        raise InputError(_other_size(shape, "fewer" if size > room else "more", label))


def _other_size(shape: tuple[int, ...], has: str, label: str) -> str:
    return f"{label}: its header says {_times(shape)} = {prod(shape):,} bytes, and it has {has}; get it again"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{n}" for n in shape)
