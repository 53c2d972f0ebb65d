"""An export, checked in a reader of others, from Python."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroanp.export.checking.running import Checked


def check_export(path: str | PathLike[str]) -> Checked:
    """Run an export in the reader of its format and compare what that gives with what neuroanp expects.

    The directory may be a stranger's: it is left as it is, and no script that lies there is run.

    Args:
        path: the directory that `export` wrote.

    Returns: whether it passed (it is also true then, and else false), in one line what was found, and the figures.

    Raises:
        InputError: no export, a damaged report, an unknown format, or no reader here, with how to get it.
        RunError: the reader crashed, or took too long.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 1, "batch": 2, "controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     run = na.train(tiny, runs=folder, report=False, progress=False)
    ...     report = na.export(run, "onnx")
    ...     found = check_export(run.path / "export" / "onnx")
    >>> found.passed, found.said  # doctest: +ELLIPSIS
    (True, 'PASS onnxruntime: outputs ... off at most (...)')
    """
    from neuroanp.export.checking.running import check
    from neuroanp.export.directory import path_of

    return check(path_of("path", path))
