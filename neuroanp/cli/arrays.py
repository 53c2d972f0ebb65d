"""Files of numbers that `neuroanp predict` reads and writes: .npy, .npz (written), and .csv of one sequence."""

import csv
import io
from collections.abc import Mapping
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
READ, WRITTEN = (".npy", ".csv"), (".npy", ".csv", ".npz")


def read_array(path: Path) -> "np.ndarray":
    """Return the numbers of a .npy file, or of a .csv file with a header: (T, columns).

    Raises:
        InputError: no such file, not a regular one, too large, damaged, or no numbers.
    """
    _check_ending(path, READ, "--inputs")
    try:
        data = read_regular(path, LARGEST)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file of inputs") from None
    if len(data) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST >> 30} GiB; present it in parts")
    return _npy(path, data) if path.suffix == ".npy" else _csv(path, data)


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


def _csv(path: Path, data: bytes) -> "np.ndarray":
    """Read a table: a header, then a step a row."""
    import numpy as np

    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no table of text ({error}); write UTF-8, commas between the columns") from None
    rows = [row for row in rows if row]
    if len(rows) < 2:
        raise InputError(f"{path}: {len(rows)} lines; write a header, then a step a row")
    if all(_number(text) is not None for text in rows[0]):
        raise InputError(f"{path}: its first line is numbers, not a header; add a line of names, one a column")
    width, problems, numbers = len(rows[0]), [], []
    for line, row in enumerate(rows[1:], 2):
        values = [_number(text) for text in row]
        numbers.append(values)
        if len(row) != width:
            problems.append(f"row {line}: {len(row)} columns, the header has {width}")
        problems += [
            f"row {line}: column {column[:40]!r}: {text[:40]!r} is no number"
            for column, text, value in zip(rows[0], row, values, strict=False)
            if value is None
        ]
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise InputError(f"{path}: cannot be read as numbers", [*problems[:SHOWN], *more])
    return np.array(numbers, dtype=np.float64)


def _number(text: str) -> float | None:
    """Return a field's number, or None.

    >>> _number(" 1e-3"), _number("1_000"), _number("")
    (0.001, None, None)
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


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


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Write outputs: .npy, .csv of one sequence (a step a row), or .npz with all `arrays`, whole or not at all.

    Args:
        path: the file, whose ending decides.
        arrays: by name, "outputs" among them; of one sequence where it is a table (see `check_fits`).

    Raises:
        InputError: the place cannot be written to.
        RunError: the disk is full.
    """
    import numpy as np

    from neuroanp.records.atomic import write_bytes

    y, stream = arrays["outputs"], io.BytesIO()
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(f"y{column}" for column in range(y.shape[-1]))
        writer.writerows(row.tolist() for row in y.reshape(len(y), -1))
        stream.write(text.getvalue().encode())
    elif path.suffix == ".npy":
        np.save(stream, y, allow_pickle=False)
    else:
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    write_bytes(path, stream.getvalue())


def _check_ending(path: Path, endings: tuple[str, ...], what: str) -> None:
    if path.suffix not in endings:
        raise InputError(f"{what}: {path}: its name must end in {' or '.join(endings)}")
