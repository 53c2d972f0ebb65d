"""Check an export from anywhere in its reader: the directory may be a stranger's, so nothing that lies there is run.

The script is neuroanp's own for the format that the report names. What the report lists is copied, regular files of
plain names alone, into a directory of its own; files that the reader runs as programs must be as the format writes
them (`Exporter.foreign`). Time, memory and files of the subprocess are bounded.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.machinery import all_suffixes
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neuroanp.errors import InputError, RunError, printable
from neuroanp.export.checking.script import SCRIPT, script
from neuroanp.export.protocol import EXPORTERS, Exporter
from neuroanp.files import no_directory, opening, read_regular
from neuroanp.records.atomic import said
from neuroanp.records.json_io import read_object

MOST_FILES, MOST_BYTES = 500, 2**30  # as many layers as there may be, with skips, have some 400 arrays
SECONDS, MEMORY, LARGEST_FILE = 600, 16 * 2**30, 2**28
"""What the subprocess may take: of time, of address space (torch alone takes some gigabytes), of a file it writes."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
BOUNDED = """
import resource, runpy, sys
for kind, most in zip((resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE), {limits}):
    soft, hard = resource.getrlimit(kind)
    least = min(limit for limit in (most, soft, hard) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(kind, (least, hard))
sys.argv = [{script!r}, "--json"]
runpy.run_path({script!r}, run_name="__main__")
"""


@dataclass(frozen=True)
class Checked:
    """What a reader of others found of an export.

    Args:
        path: the export. format: its name. passed: whether the reader gives what is expected. said: that in one line,
            with figures.
        readers: by name a row an array: how many of its numbers `differ` (`of` how many), or by how much they do at
            most (`largest`) and may (`tolerance`), whether it `agrees`, and that as it is `said`.

    >>> agree = {"array": "y", "largest": 1e-7, "tolerance": 2e-5, "agrees": True}
    >>> found = Checked(Path("export/onnx"), "onnx", True, "PASS onnxruntime", {"onnxruntime": [agree]})
    >>> bool(found), found.plain()["path"]
    (True, 'export/onnx')
    """

    path: Path
    format: str
    passed: bool
    said: str
    readers: Mapping[str, list[dict[str, Any]]]

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"Checked({self.path} as {self.format}: {self.said})"

    def plain(self) -> dict[str, Any]:
        """Return it as values that JSON takes."""
        return {**asdict(self), "path": str(self.path)}


def check(folder: Path) -> Checked:
    """Present an export's stimulus in its reader and compare what that gives with the expected output.

    Args:
        folder: the export's directory, which is left as it is.

    Raises:
        InputError: it is no export, its report is damaged, its format is not known or brings no check, the reader is
            not installed, or a file would be run that neuroanp does not write so.
        RunError: the reader crashed, or did not end in time.
    """
    name, names = _told(folder)
    kind = EXPORTERS.get(name)
    if kind.script is None:
        raise InputError(f"{folder}: format '{name}' brings no check")
    with said(folder, "set TMPDIR to another place", "repeat the command"), TemporaryDirectory() as place:
        there = Path(place)
        if absent := _copy(folder, names, there):
            return Checked(folder, name, False, f"FAIL {', '.join(absent)}: not in the directory", {})
        if problems := kind.foreign(there):
            raise InputError(f"{folder}: not run, for it is not as neuroanp writes {name}", problems)
        return _asked(folder, name, kind, there)


def _told(folder: Path) -> tuple[str, list[str]]:
    """Return the format and the names of the files, from the report.

    Raises:
        InputError: there is none, or it does not say.
    """
    path = folder / "report.json"
    if not folder.is_dir():
        raise InputError(f"{folder}: {no_directory(folder)}; name one that neuroanp export wrote")
    if not path.exists():
        raise InputError(f"{folder}: holds no report.json, so it is no export; name one that neuroanp export wrote")
    told = read_object(path, "export the run again")
    name, files, how = (told.get(key) for key in ("format", "files", "check"))
    if isinstance(name, str) and isinstance(files, list) and how is None:
        EXPORTERS.get(name)
        raise InputError(
            f"{path}: names no check: its format brings none, or an older version wrote it; export it again"
        )
    if not isinstance(name, str) or not isinstance(files, list) or not isinstance(how, dict):
        raise InputError(f"{path}: damaged (format, files and check must be there); export the run again")
    names: list[Any] = list(dict.fromkeys([*files, how.get("stimulus"), how.get("expected")]))
    if len(names) > MOST_FILES:
        raise InputError(f"{path}: names {len(names)} files, an export has at most {MOST_FILES}; export the run again")
    if bad := [each for each in names if not _plain(each)]:
        raise InputError(f"{path}: damaged: {bad[0]!r:.80} is no name of an export's file; export the run again")
    return name, names


def _plain(name: Any) -> bool:
    """Tell whether a name is that of a file of data in this directory, and not of what Python would import."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not name.endswith(tuple(all_suffixes()))


def _copy(folder: Path, names: list[str], there: Path) -> list[str]:
    """Copy files, regular ones alone and no more than MOST_BYTES in all; return the names of those that are missing."""
    left, absent = MOST_BYTES, []
    for name in names:
        if not os.path.lexists(folder / name):
            absent.append(name)
            continue
        with opening(f"{folder / name}", "a directory; export the run again"):
            data = read_regular(folder / name, left, "export the run again")
        if len(data) > left:
            raise InputError(f"{folder / name}: too large; the files of an export have at most {MOST_BYTES >> 30} GiB")
        left -= len(data)
        (there / name).write_bytes(data)
    return absent


def _asked(folder: Path, name: str, kind: type[Exporter], there: Path) -> Checked:
    """Run the script on the copied files and return what it found."""
    assert kind.script is not None
    (there / SCRIPT).write_text(script(kind.script), encoding="utf-8")
    code, out, err = _run(there)
    try:
        verdict = json.loads(out.splitlines()[-1])
        told, readers = printable(str(verdict["said"])), verdict["readers"]
        whole = verdict["exit_code"] == code and code in (0, 1, 3)
    except (ValueError, LookupError, TypeError):
        told, readers, whole = "", {}, False
    if not whole:
        last = (err.strip().splitlines() or ["without a word"])[-1]
        how = "not within its time" if code is None else f"with exit code {code}"
        raise RunError(f"{folder}: its reader did not end as it should, but {how}: {printable(last)[:300]}")
    if code == 3:
        raise InputError(f"{folder}: {told}")
    return Checked(folder, name, code == 0, told, readers)


def _run(there: Path) -> tuple[int | None, str, str]:
    """Run the script in a subprocess with bounds; return its exit code (None: out of time) and what it printed."""
    limits = (SECONDS, MEMORY, LARGEST_FILE, 0)
    command = [sys.executable, "-P", "-c", BOUNDED.format(limits=limits, script=SCRIPT)]
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    place = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(there)}
    with subprocess.Popen(
        command, cwd=there, env=place, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        try:
            out, err = child.communicate(timeout=SECONDS)
            return child.returncode, out, err
        except subprocess.TimeoutExpired:
            return None, "", f"stopped after {SECONDS} s"
        finally:
            with suppress(ProcessLookupError, PermissionError):  # the reader's own children too
                os.killpg(child.pid, signal.SIGKILL)
