"""List the runs of a store, ten thousand of them in a second or two: what the tables show of each, and nothing else.

A run's facts are read from its manifest and its result, both held to their seals; a manifest that is letter by letter
its own copy counts as whole without that (`runs show` looks at the seal too). What was read is noted in
STORE/.listing.json, which is a cache and no more: an entry counts for as long as both files have the inode, length and
time that they had then; one that is damaged, or of another form, is read anew; where none can be written there is none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError, NeuroanpError
from neuroanp.files import no_directory, read_regular
from neuroanp.records import manifest as manifests
from neuroanp.records.atomic import said, write_bytes
from neuroanp.records.copies import FOLDER as COPIES
from neuroanp.records.json_io import MAX_BYTES, parse
from neuroanp.records.result import RESULT, RESULT_KEYS, read_row, wrong_in
from neuroanp.records.run_dir import RunDir
from neuroanp.records.seal import Seal, of_parsed
from neuroanp.records.store import LINK

CACHE, FORMAT, LARGEST = ".listing.json", 1, 256 * 2**20
TEXTS = ("name", "task", "profile", "backend", "rule", "status", "started", "ended", "code")
KEYS = (*(key for key in RESULT_KEYS if key != "run"), "name", "started", "ended", "code", "sealed")
"""The facts of a run: the keys of its result, with what its manifest says beside it."""
Signature = list[int | None]
"""Inode, length and time of the manifest, and of the result (None: there is none)."""


@dataclass(frozen=True)
class Listing:
    """The runs of a store.

    Args:
        rows: facts by KEYS, in the order of the names. broken: a message for each directory that is no valid run.
        read: how many were read, and not known from the cache.
    """

    rows: list[dict[str, Any]]
    broken: list[str]
    read: int


def listing(root: Path, cache: bool = True) -> Listing:
    """List the runs that lie directly under `root`.

    Args:
        root: the store. cache: look into STORE/.listing.json, and write it where it is out of date.

    Raises:
        InputError: there is no such directory, or it cannot be read.
    """
    root = Path(root)
    known = _known(root) if cache else {}
    rows, kept, read = list[dict[str, Any]](), dict[str, Any](), 0
    names, links = _names(root)
    broken = [f"{root / name}: {LINK}" for name in links if manifests.is_there(root / name)]
    for name in names:
        path = root / name
        signature = _signature(path)
        if signature is None:
            continue
        entry = known.get(name)
        row = entry[1] if entry is not None and entry[0] == signature else None
        if row is None:
            read += 1
            try:
                row = facts(path)
            except InputError as error:
                broken.append(str(error))
                continue
        kept[name] = [signature, row]
        rows.append({**row, "name": name})
    if cache and (read or len(kept) != len(known)):
        with suppress(NeuroanpError):  # a store that cannot be written to, or is full, is listed all the same
            _keep(root, kept)
    return Listing(rows, broken, read)


def facts(path: Path) -> dict[str, Any]:
    """Return the facts of one run by KEYS, but for its name; of one without a result what its name and manifest tell.

    Raises:
        InputError: it is no run, or damaged beyond its copies.
    """
    found = _quickly(path)
    if found is not None:
        return found
    record = RunDir.open(path, check_code=False, quiet=True)
    try:
        row = record.result
    except InputError:
        row = None
    return _facts(path, record.manifest, row, record.sealed)


def _quickly(path: Path) -> dict[str, Any] | None:
    """Return the facts of a run whose manifest and result are as they were written; None: it needs a closer look."""
    try:
        data = _own(f"{path}/{manifests.NAME}")
        fields = parse(data.decode("utf-8"))
        if not isinstance(fields, dict) or not (_twins(path, data) or fields.get("seal") == of_parsed(fields)):
            return None
        manifests.checked(path, fields)
        seals = fields.get("seals")
        seal = Seal.read(seals.get(RESULT)) if isinstance(seals, dict) else None
        if seal is None:
            return _facts(path, fields, None, True)
        data = _own(f"{path}/{RESULT}")
        row = read_row(data)[0] if seal.holds(data) else None
        return None if row is None else _facts(path, fields, row, True)
    except (OSError, ValueError, RecursionError, InputError):
        return None


def _twins(path: Path, data: bytes) -> bool:
    """Return whether the copy of a manifest is the same, which takes a tenth of the time that its seal does."""
    try:
        return _own(f"{path}/{COPIES}/{manifests.NAME}") == data
    except (OSError, ValueError):
        return False


def _own(path: str) -> bytes:
    """Return the bytes of a regular file that is no link; OSError or ValueError for anything else."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise ValueError("no such file as neuroanp writes")
        return os.read(handle, found.st_size)
    finally:
        os.close(handle)


def _facts(path: Path, fields: Mapping[str, Any], row: Mapping[str, Any] | None, sealed: bool | None) -> dict[str, Any]:
    """Put together what a manifest and a result say."""
    seeds, profile = fields.get("seeds"), fields.get("profile")
    found: dict[str, Any] = {**dict.fromkeys(KEYS), "sealed": sealed}
    if row is not None:
        found |= {key: row[key] for key in RESULT_KEYS if key != "run"}
    else:
        found |= _of_name(path.name)
        seed, name = (_in(seeds, "seed"), _in(profile, "name"))
        found["seed"] = seed if isinstance(seed, int) and not isinstance(seed, bool) else found["seed"]
        found["profile"] = name if isinstance(name, str) else found["profile"]
    found |= {key: fields.get(key) for key in ("status", "started", "ended", "code")}
    del found["name"]
    return found


def _in(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else None


def _of_name(name: str) -> dict[str, Any]:
    """Return what the name of a run's directory says: task, profile, rule and seed.

    >>> _of_name("copy-my-pcm-anp-s3-0123456789abcdef")
    {'task': 'copy', 'profile': 'my-pcm', 'rule': 'anp', 'seed': 3}
    >>> _of_name("mine")
    {}
    """
    parts = name.split("-")
    if len(parts) < 5 or not (parts[-2][:1] == "s" and parts[-2][1:].isascii() and parts[-2][1:].isdigit()):
        return {}
    return {"task": parts[0], "profile": "-".join(parts[1:-3]), "rule": parts[-3], "seed": int(parts[-2][1:20])}


# ---- what is there ----


def _names(root: Path) -> tuple[list[str], list[str]]:
    """Return the names of the directories of a store, and of links in it; those that begin with a dot are left out."""
    with said(root):
        if not root.is_dir():
            raise InputError(f"{root}: {no_directory(root)}; name a store, such as the folder given with --runs")
        with os.scandir(root) as entries:
            there = [entry for entry in entries if not entry.name.startswith(".")]
            folders = sorted(entry.name for entry in there if _is_dir(entry))
            return folders, sorted(entry.name for entry in there if entry.is_symlink())


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _signature(path: Path) -> Signature | None:
    """Return what tells whether a run's manifest or result is another one; None where there is no run."""
    own = _of_file(f"{path}/{manifests.NAME}")
    if own is None and not manifests.is_there(path):
        return None
    return [*(own or [None, None, None]), *(_of_file(f"{path}/{RESULT}") or [None, None, None])]


def _of_file(path: str) -> list[int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns]


# ---- the cache ----


def _known(root: Path) -> dict[str, Any]:
    """Return what the cache holds, {} where it is damaged or not there."""
    path = root / CACHE
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return {}
        data = read_regular(path, LARGEST)
        head, _, body = data.partition(b"\n")
        if len(data) > LARGEST or head.decode("ascii") != _head(body):
            return {}
        runs = parse(body.decode("utf-8"))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    return {name: entry for name, entry in _entries(runs) if _sound(entry)}


def _entries(runs: Any) -> Iterator[tuple[str, Any]]:
    yield from runs.items() if isinstance(runs, dict) else ()


def _sound(entry: Any) -> bool:
    """Return whether an entry is what `_keep` writes; who made the file may have been anybody."""
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], list) and isinstance(entry[1], dict)):
        return False
    row = entry[1]
    if set(row) != {*KEYS} - {"name"} or not all(isinstance(row[key], str | None) for key in TEXTS if key != "name"):
        return False
    return isinstance(row["sealed"], bool | None) and not wrong_in({key: row.get(key) for key in RESULT_KEYS})


def _head(body: bytes) -> str:
    return f"{FORMAT} {sha256(body).hexdigest()}"


def _keep(root: Path, kept: Mapping[str, Any]) -> None:
    body = dumps(kept, separators=(",", ":"), allow_nan=False).encode()
    write_bytes(root / CACHE, _head(body).encode() + b"\n" + body, flush=False)
