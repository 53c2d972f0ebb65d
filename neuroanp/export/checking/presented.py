"""What is presented to a reader of an export and what it must give, as files beside the artefact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from neuroanp.export.checking.script import SCRIPT, script
from neuroanp.records.atomic import write_bytes, write_text

STIMULUS, EXPECTED = "stimulus.npz", "expected.npz"
MOST = 2**21
"""Numbers of a stimulus with what is expected: some megabytes."""
FLOAT32 = 1e-5
"""How far outputs of a reader in float32 may be off, relative to the largest they can be: some hundred roundings."""
CLEAR = 1e-4
"""Thresholds: a potential this near may spike or not where sums are rounded to float32."""


@dataclass(frozen=True)
class Check:
    """What is presented to a reader of an export and what it must give.

    Args:
        stimulus: arrays by name. expected: arrays by name, such as spikes (T, B, N) and outputs (T, B, O); whole
            numbers must be equal.
        tolerance: of each expected array that is not whole: the largest difference allowed.
        own: files of the format itself that hold the two; None: stimulus.npz and expected.npz do.
    """

    stimulus: Mapping[str, Any]
    expected: Mapping[str, Any]
    tolerance: Mapping[str, float] = field(default_factory=dict)
    own: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        rounded = {name for name, array in self.expected.items() if np.asarray(array).dtype.kind == "f"}
        if rounded != set(self.tolerance):
            raise ValueError(f"a tolerance each of {sorted(rounded)}, not of {sorted(self.tolerance)}")

    @property
    def files(self) -> tuple[str, str]:
        """Names of the files of stimulus and expected output."""
        return self.own or (STIMULUS, EXPECTED)

    def write(self, folder: Path, reader: Path) -> None:
        """Write the script, and the arrays where the format has no file of its own; the same give the same bytes."""
        write_text(folder / SCRIPT, script(reader))
        if self.own is None:
            write_bytes(folder / STIMULUS, _packed(self.stimulus))
            tolerances = {f"{name}.tolerance": np.float64(most) for name, most in self.tolerance.items()}
            write_bytes(folder / EXPECTED, _packed({**self.expected, **tolerances}))

    def plain(self) -> dict[str, Any]:
        """Return what a report says of it."""
        stimulus, expected = self.files
        return {
            "command": f"python {SCRIPT}",
            "script": SCRIPT,
            "stimulus": stimulus,
            "expected": expected,
            "presented": {name: list(np.shape(array)) for name, array in self.stimulus.items()},
            "compared": {
                name: {"shape": list(np.shape(array)), "tolerance": float(self.tolerance.get(name, 0.0))}
                for name, array in self.expected.items()
            },
        }


def within(steps: int, sequences: int, numbers: int) -> int:
    """Return how many of `steps` are presented, so that no more than MOST numbers are written; one at least.

    Args:
        steps, sequences: what is wanted. numbers: presented and expected in a step of a sequence.

    >>> within(1000, 4, 900), within(5000, 4, 900)
    (582, 582)
    """
    return max(1, min(steps, MOST // max(1, sequences * numbers)))


def clear(distance: Any, sequences: int, margin: float = CLEAR) -> tuple[int, Any]:
    """Choose the sequences in which no potential comes near its threshold, in as many steps as there are such.

    Args:
        distance: (T, B), of the nearest potential of all units. sequences: how many are wanted.
        margin: what is near.

    Returns: how many steps, and the sequences' numbers, the first that there are.

    >>> clear(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]]), 2)
    (3, array([1]))
    """
    near = distance <= margin
    first = np.where(near.any(0), near.argmax(0), len(near))
    longest = int(first.max())
    return max(1, longest), np.flatnonzero(first == longest)[:sequences]


def rounded(outputs: Any, largest: float, relative: float = FLOAT32) -> float:
    """Return how far outputs may be off where sums are rounded.

    Args:
        outputs: of the network. largest: magnitude of a weight into them. relative: the rounding allowed.

    >>> rounded([0.5, -2.0], 1.0, relative=1e-6)
    2e-06
    """
    return relative * max(float(np.abs(outputs).max()), largest)


def compact(array: Any) -> Any:
    """Return whole numbers from 0 to 255 as bytes, others as they are.

    >>> compact([0.0, 255.0]).dtype, compact([0.5]).dtype
    (dtype('uint8'), dtype('float64'))
    """
    array = np.asarray(array)
    small = bool(((array >= 0) & (array <= 255) & (array == np.round(array))).all())
    return array.astype(np.uint8) if small else array


def _packed(arrays: Mapping[str, Any]) -> bytes:
    content = BytesIO()
    np.savez_compressed(content, **arrays)  # pyright: ignore[reportArgumentType]
    return content.getvalue()
