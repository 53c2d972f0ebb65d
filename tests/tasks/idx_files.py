"""Write IDX files, byte by byte, and small sets of images."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def idx_bytes(values: np.ndarray, kind: int = 0x08) -> bytes:
    """Return unsigned bytes of any dimensions as the content of an IDX file."""
    head = struct.pack(">BBBB", 0, 0, kind, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def random_set(train: int = 40, test: int = 12, side: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random images and labels by MNIST's names of files; no two images are alike."""
    rng = np.random.default_rng(seed)
    parts = {"train": train, "t10k": test}
    found = {f"{part}-images-idx3-ubyte": rng.integers(256, size=(n, side, side)) for part, n in parts.items()}
    return found | {f"{part}-labels-idx1-ubyte": rng.integers(10, size=n) for part, n in parts.items()}


def write_set(folder: Path, arrays: dict[str, np.ndarray], packed: bool = False) -> Path:
    """Write a set into a folder, made if need be; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        content = idx_bytes(values)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder
