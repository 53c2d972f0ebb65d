"""Directories that appear whole, and what lies in them."""

from __future__ import annotations

from pathlib import Path

from neuroanp.export.directory import MARK, whole

SPIKING = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 8},
    "backend": "lif",
    "network": {"hidden": 10},
    "training": {"updates": 3, "batch": 4, "controls": False},
}


def exported(folder: Path, text: str, force: bool = False) -> Path:
    """Put a directory of one file at `folder`."""
    with whole(folder, force) as building:
        (building / "a.txt").write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    """Return the files below a directory, marks aside; of an empty directory its name."""
    paths = [path for path in sorted(folder.rglob("*")) if path.name != MARK]
    files = [path for path in paths if path.is_file() or not any(path.iterdir())]
    return {path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else "" for path in files}
