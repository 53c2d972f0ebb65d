"""Files of numbers that `neuroanp predict` writes: .npy, .npz, and .csv of one sequence."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".npy", ".csv", ".npz")


def check_output(path: Path, force: bool) -> None:
    """Raise InputError for a file that cannot be written, or is there already."""
    if path.suffix not in ENDINGS:
        raise InputError(f"--output: {path}: its name must end in {' or '.join(ENDINGS)}")
    if path.is_dir() or (path.exists() and not force):
        what = "a directory" if path.is_dir() else "there already"
        raise InputError(f"{path}: is {what}; name another file" + ("" if path.is_dir() else ", or use --force"))


def check_fits(path: Path, inputs: Any) -> None:
    """Raise InputError where the outputs of several sequences are to go into a table."""
    if path.suffix == ".csv" and inputs.ndim == 3 and inputs.shape[1] != 1:
        raise InputError(f"{path}: {inputs.shape[1]} sequences do not fit a table of steps; write .npy or .npz")


def write_arrays(
    path: Path, arrays: Mapping[str, "np.ndarray"], names: Sequence[str] = (), times: Sequence[str] | None = None
) -> None:
    """Write outputs: .npy, .csv of one sequence (a step a row), or .npz with all `arrays`, whole or not at all.

    Args:
        path: the file, whose ending decides.
        arrays: by name, "outputs" among them; of one sequence where it is a table (see `check_fits`).
        names: of the outputs, for a table; y0, y1, ... if not given.
        times: of the steps, the first column of a table.

    Raises:
        InputError: the place cannot be written to.
        RunError: the disk is full.
    """
    import numpy as np

    from neuroanp.records.atomic import OTHER_PLACE, REPEAT, write_bytes

    y, stream = arrays["outputs"], io.BytesIO()
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        first = [[]] * len(y) if times is None else [[time] for time in times]
        writer.writerow([*(["time"] * (times is not None)), *(names or (f"y{i}" for i in range(y.shape[-1])))])
        writer.writerows([*time, *row.tolist()] for time, row in zip(first, y.reshape(len(y), -1), strict=True))
        stream.write(text.getvalue().encode())
    elif path.suffix == ".npy":
        np.save(stream, y, allow_pickle=False)
    else:
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    write_bytes(path, stream.getvalue(), elsewhere=OTHER_PLACE, again=REPEAT)
