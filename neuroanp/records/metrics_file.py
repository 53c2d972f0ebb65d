"""metrics.csv as a run writes it: rows appended to the file and to its copy, with a running seal of both.

A checkpoint stores the seal of the rows up to its update. A resumed run cuts both files back to there: whichever of
them still begins with what was sealed restores the other.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.records.atomic import said, write_all
from neuroanp.records.copies import FOLDER, changed, is_file, make_folder, peek, put_one, told_aside
from neuroanp.records.metrics import MAX_BYTES, Number
from neuroanp.records.seal import Seal

NAME = "metrics.csv"
COPY = f"{FOLDER}/{NAME}"


class MetricsFile:
    """The rows of one run, for the process that writes them.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     rows = MetricsFile(Path(root))
    ...     _ = rows.append([{"update": 1, "train_loss": 0.5}])
    ...     seal = rows.seal
    ...     _ = rows.append([{"update": 2, "train_loss": 0.25}])
    ...     rows.restore(seal), (Path(root) / "metrics.csv").read_text()
    ([], 'update,train_loss\\n1,0.5\\n')
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._counted = hashlib.sha256(), 0
        """Hash and length of the rows that count; one value, so that no signal comes between the two."""
        self._names: list[str] = []
        self._known = False

    @property
    def seal(self) -> Seal:
        """The seal of all rows that were appended."""
        self._read_once()
        found, size = self._counted
        return Seal(size, found.hexdigest())

    def append(self, rows: Sequence[Mapping[str, Number]]) -> list[str]:
        """Append rows to the copy and to the file, which is flushed; the first row ever fixes the columns.

        Args:
            rows: values by column name; a missing value or None is an empty cell.

        Returns: sentences, where the file was damaged since the rows before were written.

        Raises:
            ValueError: a row has a column the file has not.
            RunError: the disk is full; the rows before are intact.
        """
        if not rows:
            return []
        self._read_once()
        told = [] if all(map(self._as_long, (NAME, COPY))) else self.restore(self.seal)
        names = self._names or list(rows[0])
        text = "".join(_line(names, row) for row in rows)
        if not self._names:
            text = ",".join(_name(name) for name in names) + "\n" + text
        data = text.encode()
        for name in (COPY, NAME):
            with said(self.root / name):
                make_folder(self.root, (self.root / name).parent)
                _extend(self.root / name, self._size, data, flush=name == NAME)
        after, size = self._counted[0].copy(), self._size + len(data)
        after.update(data)
        self._names, self._counted = names, (after, size)
        return told

    def trim(self) -> None:
        """Drop what an append that was cut short, by a second Ctrl-C say, left behind the rows that count."""
        self._read_once()
        for name in (NAME, COPY):
            if is_file(self.root / name):
                _cut(self.root / name, self._size)

    def restore(self, seal: Seal | None) -> list[str]:
        """Cut both files back to what was sealed, and restore one that is damaged from the other.

        Where none is whole, both are set aside, and the rows begin anew.

        Args:
            seal: of the rows to keep; None: none.

        Returns: sentences that say what was damaged.
        """
        seal = seal or Seal.of(b"")
        found = {name: peek(self.root, name, MAX_BYTES) for name in (NAME, COPY)}
        whole = {name: data for name, (data, _) in found.items() if data is not None and seal.begins(data)}
        if not whole and seal.size:
            told = [self._lost(name, *found[name], seal) for name in (NAME, COPY)]
            self._start_from(b"")
            return told[:1]  # the copy's fate is told with it
        data = next(iter(whole.values()), b"")[: seal.size]
        told = []
        for name, (_, why) in found.items():
            if name in whole:
                _cut(self.root / name, len(data))
            elif seal.size or why != "missing":
                told.append(self._restored(name, *found[name], seal, data))
        self._start_from(data)
        return told

    def _lost(self, name: str, data: bytes | None, why: str, seal: Seal) -> str:
        path = self.root / name
        where = told_aside(self.root, path)
        return (
            f"{path}: {why or changed(data or b'', seal)}, and no whole copy is left: the rows up to here are lost"
            f"{where}; weights and result are not touched by it"
        )

    def _restored(self, name: str, data: bytes | None, why: str, seal: Seal, whole: bytes) -> str:
        path, other = self.root / name, NAME if name == COPY else COPY
        where = told_aside(self.root, path)
        put_one(self.root, name, whole)
        return f"{path}: {why or changed(data or b'', seal)}; restored from {other}{where}"

    def _read_once(self) -> None:
        """Take up the whole lines that are there, if nothing was restored or appended before."""
        if self._known:
            return
        data, why = peek(self.root, NAME, MAX_BYTES)
        if data is None and why != "missing":
            raise InputError(f"{self.root / NAME}: {why}; restore it from a copy, or resume the run")
        whole = (data or b"")[: (data or b"").rfind(b"\n") + 1]
        copy, _ = peek(self.root, COPY, MAX_BYTES)
        if whole and (copy is None or not copy.startswith(whole)):
            put_one(self.root, COPY, whole, flush=False)
        self._start_from(whole)

    def _start_from(self, data: bytes) -> None:
        self._counted, self._known = (hashlib.sha256(data), len(data)), True
        self._names = data.partition(b"\n")[0].decode("utf-8", "replace").split(",") if data else []

    @property
    def _size(self) -> int:
        return self._counted[1]

    def _as_long(self, name: str) -> bool:
        path = self.root / name
        return is_file(path) and path.stat().st_size >= self._size if self._size else is_file(path) or not _there(path)


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _cut(path: Path, size: int) -> None:
    with said(path):
        if path.stat().st_size > size:
            os.truncate(path, size)


def _extend(path: Path, size: int, data: bytes, flush: bool) -> None:
    """Write `data` at `size`, over what a killed writer may have left there; undone if it does not fit."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        os.ftruncate(handle, size)
        os.lseek(handle, size, os.SEEK_SET)
        try:
            write_all(handle, data)
        except OSError:
            os.ftruncate(handle, size)  # half a batch of rows would be taken for all of it
            raise
        if flush:
            os.fsync(handle)
    finally:
        os.close(handle)


def _line(names: Sequence[str], row: Mapping[str, Number]) -> str:
    unknown = set(row) - set(names)
    if unknown:
        raise ValueError(f"columns {sorted(unknown)} are not in this file's header {list(names)}")
    return ",".join(_cell(row.get(name)) for name in names) + "\n"


def _cell(value: Number) -> str:
    """Return the shortest text that reads back as the same number."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else repr(float(value))


def _name(name: str) -> str:
    if not name or any(c in name for c in ',"\n\r'):
        raise ValueError(f"'{name}' cannot be a column's name")
    return name
