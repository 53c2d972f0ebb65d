"""Where a Dask scheduler comes from: one inside this process, one that is there, or one for the jobs of a queue."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from neuroanp.comparing.cluster_file import ClusterFile
from neuroanp.comparing.within import is_page, within
from neuroanp.errors import RunError

LOG = logging.getLogger("neuroanp")
CONNECT_S = 10
"""How long an answer of a scheduler is waited for."""
LOOPBACK = "127.0.0.1"
DASHBOARD = 8787


class Scheduler(Protocol):
    """Where a Dask scheduler comes from.

    Args:
        name: of it, as messages have it. most: workers that are started for it by and by; 0: nobody starts any.
        script: what is handed to a queue; None: nothing is.

    >>> here = Local(workers=2)
    >>> here.name, here.most, here.script, here.need(runs=3, refused=0, stuck=0)
    ('this machine', 0, None, None)
    >>> type(Address("tcp://10.0.0.1:8786").reached()).__name__  # entered, it connects
    '_GeneratorContextManager'
    """

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def most(self) -> int:
        """Workers that are started for it by and by; 0: nobody starts any."""
        ...

    @property
    def script(self) -> str | None:
        """What is handed to a queue; None: nothing is."""
        ...

    def need(self, runs: int, refused: int, stuck: int) -> None:
        """Take what workers are needed for, where they are started for it.

        Args:
            runs: that are left. refused: workers that can do none.
            stuck: workers that are there and lack something for one and the same run; 0: there is no such run.
        """
        ...

    def reached(self) -> Any:
        """Return a context that yields a client of it; RunError says why it cannot be reached."""
        ...


@dataclass(frozen=True)
class Local:
    """A scheduler and workers inside this process, which nothing outside can reach.

    Its workers are threads that watch over the processes of their runs: no process is spawned that would import the
    user's script again. Dask serves its state on a port of the loopback interface, of its own choice.
    """

    workers: int
    dashboard: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return "this machine"

    @property
    def most(self) -> int:
        """All its workers are there at once."""
        return 0

    @property
    def script(self) -> None:
        """No queue is handed anything."""
        return None

    def need(self, runs: int, refused: int, stuck: int) -> None:
        """Its workers are what they are."""

    @contextmanager
    def reached(self) -> Iterator[Any]:
        """Start it, for as long as the block runs."""
        from distributed import LocalCluster

        made: Any = LocalCluster  # typed as what only an asynchronous one is
        with quiet(), made(
            n_workers=self.workers, threads_per_worker=1, processes=False, memory_limit=0,
            dashboard_address=f"{LOOPBACK}:{DASHBOARD if self.dashboard else 0}",
            worker_dashboard_address=f"{LOOPBACK}:0",
        ) as cluster, _client(cluster, self.name) as client:  # fmt: skip
            if self.dashboard:
                LOG.info(f"dashboard: http://{LOOPBACK}:{cluster.scheduler.http_server.port}/status")
            yield client


@dataclass(frozen=True)
class Address:
    """A scheduler that somebody else started."""

    address: str
    dashboard: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.address

    @property
    def most(self) -> int:
        """Nobody starts workers for it but whoever started it."""
        return 0

    @property
    def script(self) -> None:
        """No queue is handed anything."""
        return None

    def need(self, runs: int, refused: int, stuck: int) -> None:
        """Its workers are what they are."""

    @contextmanager
    def reached(self) -> Iterator[Any]:
        """Connect to it, for as long as the block runs."""
        with quiet():
            _try(self.address)
        with quiet(), _client(self.address, self.address) as client:
            if self.dashboard:
                LOG.info(f"dashboard: {client.dashboard_link}")
            yield client


@dataclass(frozen=True)
class Queue:
    """A scheduler in this process, and workers that are jobs of a queue."""

    file: ClusterFile
    label: str
    dashboard: bool = False
    _needed: list[int] = field(default_factory=lambda: [0])

    @classmethod
    def of(cls, path: Path, dashboard: bool = False) -> Queue:
        """Read the file that describes it; InputError tells of all that is wrong with it."""
        from neuroanp.yaml_io import display, read, validate

        return cls(validate(read(path), ClusterFile), display(path), dashboard)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.file.kind} ({self.label})"

    @property
    def most(self) -> int:
        """The queue starts its jobs when it has room for them."""
        return self.file.jobs.maximum

    @property
    def script(self) -> str:
        """What is handed to the queue for each job; the scheduler's address is known when it runs."""
        return self.file.job_class(f"{self.file.host or '<address of this machine>'}:<port>").job_script()

    def need(self, runs: int, refused: int, stuck: int) -> None:
        """Note how many jobs are needed: those that can do nothing stay where they are, and others come elsewhere."""
        self._needed[:] = [refused + max(-(-runs // self.file.cores), stuck + (stuck > 0))]

    def jobs(self) -> int:
        """Return how many jobs are needed, the file's bounds left aside."""
        return self._needed[0]

    @contextmanager
    def reached(self) -> Iterator[Any]:
        """Start the scheduler and hand jobs to the queue, for as long as the block runs."""
        page = f"{LOOPBACK}:{DASHBOARD if self.dashboard else 0}"
        with quiet():
            try:
                cluster = self.file.cluster(page)
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                raise RunError(f"{self.label}: its scheduler cannot be started: {error}") from error
            with cluster, _client(cluster, self.name) as client:
                if self.dashboard:
                    LOG.info(f"dashboard: http://{LOOPBACK}:{cluster.scheduler.http_server.port}/status")
                self.file.ask(cluster, self.jobs)
                yield client


@contextmanager
def _client(where: Any, name: str) -> Iterator[Any]:
    """Yield a client; RunError says that no scheduler answers."""
    from distributed import Client

    try:
        client = Client(where, timeout=CONNECT_S, set_as_default=False, name="neuroanp")
    except Exception as error:  # whatever sockets, certificates and Dask's handshake raise
        raise _silent(name, error) from error
    try:
        yield client
    finally:
        client.close(timeout=5)


def _try(address: str) -> None:
    """Raise RunError where no scheduler answers: of a client's timeout Dask's greeting takes no notice."""
    from distributed.comm.addressing import parse_host_port
    from distributed.comm.core import connect
    from distributed.security import Security

    async def greeted() -> None:
        words = Security().get_connection_args("client")
        comm = await asyncio.wait_for(connect(address, timeout=CONNECT_S, **words), CONNECT_S + 0.5)
        await comm.close()

    try:
        within(CONNECT_S + 1, lambda: asyncio.run(greeted()))
    except Exception as error:  # whatever sockets, certificates and Dask's greeting raise
        host, port = parse_host_port(address.partition("://")[2])
        if is_page(host, port):
            raise RunError(
                f"what answers at {address} is a web page (HTTP), and no scheduler: Dask's page of its state mostly "
                "has port 8787, and its scheduler 8786; take the address that it tells when it starts (Scheduler at: "
                "tcp://...)"
            ) from error
        raise _silent(address, error) from error


def _silent(name: str, error: Exception) -> RunError:
    """Return what is said where no scheduler answers."""
    return RunError(
        f"no Dask scheduler answers at {name} within {CONNECT_S} s ({type(error).__name__}: "
        f"{str(error).strip().partition(chr(10))[0] or 'no answer'}); start one there (dask scheduler), or check "
        "the address, the firewall and, for tls://, the certificates of Dask's configuration"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Dask's own log and warnings from the screen while the block runs: what matters of them we say ourselves."""
    import distributed  # noqa: F401 - it sets the levels of its log when it is imported
    from distributed.versions import VersionMismatchWarning

    log = logging.getLogger("distributed")
    before = {one: one.level for one in (log, *map(logging.getLogger, _loggers()))}
    for one in before:
        one.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            yield
    finally:
        for one, level in before.items():
            one.setLevel(level)


def _loggers() -> list[str]:
    """Return the names of Dask's loggers that have a level of their own."""
    known = [*logging.root.manager.loggerDict]
    return [name for name in known if name.startswith(("distributed.", "dask_jobqueue"))]
