"""Choose who does runs: processes of this machine, or a cluster."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neuroanp.comparing.executor import Executor
from neuroanp.comparing.limits import NO_LIMITS, Limits
from neuroanp.comparing.pool import Processes
from neuroanp.comparing.size import check_workers
from neuroanp.errors import InputError

LOCAL = "local"
TAKEN = "take 'local', the address of a Dask scheduler (tcp://host:8786 or tls://host:8786), or a YAML file of a queue"
REMEDY = "pip install 'neuroanp[cluster]'"
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(\d{1,5})")


def executor_of(
    workers: int | None = None, cluster: Any = None, limits: Limits = NO_LIMITS, dashboard: bool = False
) -> Executor:
    """Return who does runs; nothing is started or reached yet.

    Args:
        workers: runs at a time; None: one a core of this machine, or all that a cluster has room for.
        cluster: None, "local", an address, or a file; see `docs/scale.md`.
        limits: of each run. dashboard: whether Dask's page of tasks is served, on this machine alone.

    Raises:
        InputError: an argument is wrong, or what a cluster needs is not installed.
    """
    if cluster is None:
        if dashboard:
            raise InputError("--dashboard: the page is Dask's; add --cluster local, or leave it out")
        return Processes(check_workers(workers), limits)
    given = _given(cluster)
    local = given == LOCAL
    many = check_workers(workers) if local or workers is not None else None
    source = None if local or "://" in given else _file(given)
    if not local and source is None:
        _check_address(given)
    require(("distributed", "dask_jobqueue") if source is not None else ("distributed",), dashboard)
    from neuroanp.comparing.cluster import DaskExecutor
    from neuroanp.comparing.schedulers import Address, Local, Queue

    if source is not None:
        return DaskExecutor(Queue.of(source, dashboard), limits, many)
    return DaskExecutor(Local(many or 1, dashboard) if local else Address(given, dashboard), limits, many)


def _given(cluster: Any) -> str:
    """Return what names a cluster as text; InputError for anything else."""
    if not isinstance(cluster, str | os.PathLike):
        raise InputError(f"cluster: {cluster!r:.80} ({type(cluster).__name__}) names no cluster; {TAKEN}")
    given = os.fspath(cluster)
    if not isinstance(given, str) or not given.strip():
        raise InputError(f"--cluster: is empty; {TAKEN}")
    return given.strip()


def _check_address(given: str) -> None:
    """Raise InputError for what is no address of a scheduler.

    >>> _check_address("tcp://127.0.0.1:8786")
    >>> _check_address("ucx://node1:8786")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: --cluster ucx://node1:8786: neither tcp:// nor tls://, ...
    """
    scheme = given.partition("://")[0]
    if scheme not in ("tcp", "tls"):
        raise InputError(f"--cluster {given}: neither tcp:// nor tls://, which are those that are taken; {TAKEN}")
    found = _ADDRESS.fullmatch(given)
    if found is None or not 0 < int(found[3]) < 65536:
        raise InputError(f"--cluster {given}: not of the form {scheme}://host:port; write e.g. {scheme}://host:8786")


def _file(given: str) -> Path:
    """Return the file that describes a queue; InputError for what is none, and for an address without its scheme."""
    if not given.endswith((".yaml", ".yml")) and not os.path.isfile(given):
        near = f"; did you mean tcp://{given}?" if re.fullmatch(r"[\w.-]+:\d+", given) else f"; {TAKEN}"
        raise InputError(f"--cluster {given}: neither an address nor a YAML file{near}")
    return Path(given)


def require(modules: tuple[str, ...], dashboard: bool = False) -> None:
    """Raise InputError where what a cluster needs is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise InputError(f"--cluster: needs {' and '.join(missing)}, which this Python has not; {REMEDY}")
    if dashboard and find_spec("bokeh") is None:
        raise InputError("--dashboard: needs bokeh, which this Python has not; pip install bokeh, or leave it out")
