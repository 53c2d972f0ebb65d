"""Files of numbers that `neuroanp predict` reads and writes: .npy, .npz (written), and .csv of one sequence."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError
from neuroanp.files import read_regular

if TYPE_CHECKING:
    import numpy as np

LARGEST = 1 << 30
"""Bytes of a file of inputs."""
SHOWN = 5
"""Problems of a table that are told one by one."""
FAR = 0.5
"""Ranges of the training rows by which an input may lie outside them without a word."""
LOG = logging.getLogger("neuroanp")
READ, WRITTEN = (".npy", ".csv"), (".npy", ".csv", ".npz")


def read_array(path: Path, names: Sequence[str] | None = None) -> "np.ndarray":
    """Return the numbers of a .npy file, or of a table with a line of names: (T, columns).

    Args:
        path: the file. names: of the columns that are taken of a table, in their order; None: all of them.

    Raises:
        InputError: no such file, not a regular one, too large, damaged, no numbers, or no column of a name.
    """
    _check_ending(path, READ, "--inputs")
    if path.suffix == ".csv":
        return _csv(path, names)
    try:
        data = read_regular(path, LARGEST)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file of inputs") from None
    if len(data) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST >> 30} GiB; present it in parts")
    return _npy(path, data)


def _npy(path: Path, data: bytes) -> "np.ndarray":
    """Read the format by its header alone: what it says of sizes is checked before memory is taken."""
    import numpy as np
    from numpy.lib import format as npy

    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(stream)
    except (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: no .npy file ({str(error)[:120]}); write it with numpy.save") from None
    if dtype.hasobject or dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {str(dtype)[:40]}, not numbers; save a float array (T, B, I)")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if len(data) - stream.tell() != size:
        raise InputError(f"{path}: {len(data) - stream.tell()} bytes of numbers, its header says {size}; copy it again")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _csv(path: Path, names: Sequence[str] | None) -> "np.ndarray":
    """Read a table, a step a row: the columns of these names, in their order, or all of them."""
    import numpy as np

    from neuroanp.tables import read_sheet

    sheet = read_sheet(path)
    wanted = [name for name in sheet.names if name] if names is None else names
    missing = [name for name in wanted if name not in sheet.names]
    if missing:
        raise InputError(
            f"{sheet.label}: no column {', '.join(missing)}; the network takes {', '.join(wanted)} "
            f"(columns there: {', '.join(filter(None, sheet.names))})"
        )
    columns, _, bad = sheet.read([sheet.names.index(name) for name in wanted])
    problems = bad.problems() + [
        f"{sheet.label}:{sheet.lines[row]}: {name}: missing; fill it, or leave the row out"
        for name, column in zip(wanted, columns, strict=True)
        for row in np.flatnonzero(~np.isfinite(column))[:SHOWN].tolist()
    ]
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise InputError(f"{sheet.label}: cannot be read as numbers", [*problems[:SHOWN], *more])
    return np.stack(columns, axis=1)


def warn_far(names: Sequence[str], scaled: "np.ndarray") -> None:
    """Warn of columns that lie far outside the rows that a network learned from: it has never seen such inputs.

    Args:
        names: of the columns. scaled: (T, columns), 0 to 1 over the training rows.
    """
    for name, column in zip(names, scaled.T, strict=True):
        far = int(((column < -FAR) | (column > 1 + FAR)).sum())
        if far:
            LOG.warning("%s: %d of %d values lie far outside the rows it learned from", name, far, len(column))


def check_output(path: Path, force: bool) -> None:
    """Raise InputError for a file that cannot be written, or is there already."""
    _check_ending(path, WRITTEN, "--output")
    if path.is_dir() or (path.exists() and not force):
        what = "a directory" if path.is_dir() else "there already"
        raise InputError(f"{path}: is {what}; name another file" + ("" if path.is_dir() else ", or use --force"))


def check_fits(path: Path, inputs: Any) -> None:
    """Raise InputError where the outputs of several sequences are to go into a table."""
    if path.suffix == ".csv" and inputs.ndim == 3 and inputs.shape[1] != 1:
        raise InputError(f"{path}: {inputs.shape[1]} sequences do not fit a table of steps; write .npy or .npz")


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray"], names: Sequence[str] = ()) -> None:
    """Write outputs: .npy, .csv of one sequence (a step a row), or .npz with all `arrays`, whole or not at all.

    Args:
        path: the file, whose ending decides.
        arrays: by name, "outputs" among them; of one sequence where it is a table (see `check_fits`).
        names: of the outputs, for a table; y0, y1, ... if not given.

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
        writer.writerow(names or [f"y{column}" for column in range(y.shape[-1])])
        writer.writerows(row.tolist() for row in y.reshape(len(y), -1))
        stream.write(text.getvalue().encode())
    elif path.suffix == ".npy":
        np.save(stream, y, allow_pickle=False)
    else:
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    write_bytes(path, stream.getvalue(), elsewhere=OTHER_PLACE, again=REPEAT)


def _check_ending(path: Path, endings: tuple[str, ...], what: str) -> None:
    if path.suffix not in endings:
        raise InputError(f"{what}: {path}: its name must end in {' or '.join(endings)}")
