"""What tasks need that have no data of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file


def written(folder: Path) -> Path:
    """Write a table of 200 rows: a wave, noise, and a word."""
    v, rng = np.sin(np.arange(200) / 4), np.random.default_rng(0)
    rows = [f"{x:.6f},{rng.normal():.6f},{'AB'[int(x > 0)]}" for x in v]
    path = folder / "ts.csv"
    path.write_text("\n".join(["load,wind,site", *rows]))
    return path


def data_of(name: str, images: Path, folder: Path) -> dict[str, Any]:
    """Return the options of a task that needs a file."""
    if name == "arrays":
        rng, parts = np.random.default_rng(0), {}
        for part, size in (("train", 40), ("test", 12)):
            u = rng.uniform(-1, 1, size=(6, size, 2))
            parts |= {f"{part}/inputs": u, f"{part}/targets": np.cumsum(u, axis=0)}
        save_file({**parts, "mask": np.array([0.0, 1, 1, 1, 1, 1])}, folder / "x.safetensors")
        return {"path": str(folder / "x.safetensors")}
    if name == "table":
        return {"path": str(written(folder)), "target": "load"}
    return {"path": str(images)} if name == "mnist" else {}
