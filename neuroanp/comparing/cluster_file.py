"""The file of a queue: `--cluster slurm.yaml`. It is read like every other file; nothing in it is run here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from neuroanp.units import Size
from neuroanp.yaml_io import Problem, Section, all_at, at

LOG = logging.getLogger("neuroanp")
ACCOUNT = {"slurm": "account", "pbs": "account", "lsf": "project", "sge": "project", "oar": "project"}
"""What each calls whom its jobs are booked to."""
TEXTS = Annotated[tuple[str, ...], Field(strict=False)]
MOST = 10_000
Count = Annotated[int, Field(ge=1, le=MOST)]
CERTIFICATES = ("tls_ca_file", "tls_worker_cert", "tls_worker_key")
"""What a worker is handed, as Dask calls it."""
PAGE = ("--dashboard-address", "127.0.0.1:0")


class Between(Section):
    """Jobs as they are needed, between two numbers."""

    minimum: Annotated[int, Field(ge=0, le=MOST)] = 0
    maximum: Count

    @model_validator(mode="after")
    def _ordered(self) -> Between:
        if self.minimum > self.maximum:
            raise all_at([Problem(("minimum",), f"{self.minimum} is more than maximum, {self.maximum}")])
        return self


def _between(value: Any) -> Any:
    """Return a number of jobs as bounds that are alike, and bounds as they are."""
    if isinstance(value, Between | Mapping):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        shown = f"'{value}'" if isinstance(value, str) else f"{value}"
        raise at((), f"{shown:.80} is no number of jobs; write a whole number, or {{minimum: 0, maximum: 40}}")
    if not 1 <= value <= MOST:
        raise at((), f"{value} must be {'at least 1' if value < 1 else f'at most {MOST}'}")
    return Between(minimum=value, maximum=value)


class ClusterFile(Section):
    """What a queue is asked for.

    Args:
        kind: the queue; `local` starts processes of this machine, to try a file.
        jobs: how many, or {minimum: ..., maximum: ...}.
        cores: of each job, a run each. memory: of each job.
        interface, host: where the scheduler, in the process that asks, listens for its workers: one of them.
        walltime: of each job, as the queue writes it ("02:00:00"). queue, account: of each job.
        directives: further lines of the job script's head, without their #SBATCH or the like.
        prologue: shell lines before the worker starts.
        disk: of each job (htcondor).
        python: the interpreter of the workers; this one if not given.
        log_directory, local_directory: of the queue's logs; of the workers' scratch files.
        name: of the jobs. tls: encrypt, with certificates made for this sweep.
        shared_directory: where these are handed to the workers.
    """

    kind: Literal["slurm", "pbs", "lsf", "sge", "oar", "htcondor", "local"]
    jobs: Annotated[Between, BeforeValidator(_between)]
    cores: Count = 1
    memory: Size
    interface: str | None = None
    host: str | None = None
    walltime: str | None = None
    queue: str | None = None
    account: str | None = None
    directives: TEXTS = ()
    prologue: TEXTS = ()
    disk: Size | None = None
    python: str | None = None
    log_directory: str | None = None
    local_directory: str | None = None
    name: str = "neuroanp"
    tls: bool = False
    shared_directory: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> ClusterFile:
        problems = []
        if (self.interface is None) == (self.host is None):
            problems.append(
                Problem(
                    ("interface",),
                    "say where the scheduler listens for its workers, by interface (ib0) or by host (10.0.0.5), not by "
                    "both: whoever reaches that port can run code as you",
                )
            )
        own = {"account": ACCOUNT, "queue": {**ACCOUNT}, "walltime": {**ACCOUNT}, "disk": {"htcondor": "disk"}}
        for key, kinds in own.items():
            if key in self.model_fields_set and self.kind not in kinds:
                problems.append(Problem((key,), f"kind {self.kind} has none; those that do: {', '.join(kinds)}"))
        if self.kind == "htcondor" and self.disk is None:
            problems.append(Problem(("disk",), "kind htcondor needs it; write e.g. '1 GB'"))
        for key in ("directives", "prologue"):
            if self.kind == "local" and key in self.model_fields_set:
                problems.append(Problem((key,), "kind local runs one command, without a script; leave it out"))
        for key, value in dict(self).items():
            texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else ()
            if any("\n" in text for text in texts):
                problems.append(Problem((key,), "has more than one line; write a list, one line each"))
        if self.tls and self.shared_directory is None:
            problems.append(Problem(("shared_directory",), "tls needs it: certificates are handed over in files there"))
        if problems:
            raise all_at(problems)
        return self

    def options(self) -> dict[str, Any]:
        """Return what dask_jobqueue's class of jobs takes."""
        found: dict[str, Any] = {
            "cores": self.cores, "processes": 1, "memory": f"{round(self.memory)} B", "job_name": self.name,
            "worker_extra_args": list(PAGE), "python": self.python or sys.executable,
            "log_directory": self.log_directory, "local_directory": self.local_directory, "interface": self.interface,
            "job_script_prologue": list(self.prologue),
        }  # fmt: skip
        if self.kind == "htcondor":
            pairs = (line.partition("=") for line in self.directives)
            found |= {"disk": f"{round(self.disk or 0)} B"}
            found["job_extra_directives"] = {key.strip(): value.strip() for key, _, value in pairs}
        elif self.kind != "local":
            found |= {"queue": self.queue, ACCOUNT[self.kind]: self.account, "walltime": self.walltime}
            found["job_extra_directives"] = list(self.directives)
        return {key: value for key, value in found.items() if value is not None}

    def job_class(self, address: str) -> Any:
        """Return one job of the queue, for its script; nothing is started.

        Args: address: of the scheduler, without its scheme.
        """
        options = self.options()
        if self.tls:
            from distributed.security import Security

            files = {key: f"{self.shared_directory}/<certificates of this sweep>.{key}" for key in CERTIFICATES}
            options |= {"protocol": "tls://", "security": Security(require_encryption=True, **files)}
        scheme = "tls" if self.tls else "tcp"
        return self._class().job_cls(f"{scheme}://{address}", name=f"{self.name}-0", **options)

    def cluster(self, page: str) -> Any:
        """Start the scheduler of the queue's jobs, none of which is asked for yet.

        Args: page: where it serves its state.
        """
        where = {"host": self.host} if self.host is not None else {"interface": self.interface}
        options = {**self.options(), "scheduler_options": {**where, "dashboard_address": page}}
        if self.tls:
            options |= {"security": True, "protocol": "tls://", "shared_temp_directory": self.shared_directory}
        return self._class()(**options)

    def ask(self, cluster: Any, needed: Callable[[], int]) -> None:
        """Ask the queue for jobs: as many as runs need, and again for those that it ends before their time.

        Args: cluster: that was started. needed: how many jobs are needed for the runs that are left.
        """
        from distributed.deploy.adaptive import Adaptive

        least, most = self.jobs.minimum, self.jobs.maximum

        class Needed(Adaptive):
            """Dask's own would ask for none: runs are handed to workers that are there."""

            async def target(self) -> int:
                return needed()

            async def workers_to_close(self, target: int) -> list[str]:
                """Return idle ones alone: asked for a number, Dask closes those that do runs as well."""
                scheduler: Any = self.scheduler
                idle = await scheduler.workers_to_close(memory_ratio=0, attribute="name")
                return idle[: max(len(self.observed) - target, 0)]

        cluster.adapt(Adaptive=Needed, minimum=least, maximum=most, interval="1 s", wait_count=10)
        asked = f"{least}" if least == most else f"{least} to {most}"
        LOG.info(f"{asked} jobs of {self.cores} run{'s' * (self.cores > 1)} each are asked of {self.kind}")

    def _class(self) -> Any:
        """Return dask_jobqueue's class of clusters."""
        from dask_jobqueue.htcondor import HTCondorCluster
        from dask_jobqueue.local import LocalCluster
        from dask_jobqueue.lsf import LSFCluster
        from dask_jobqueue.oar import OARCluster
        from dask_jobqueue.pbs import PBSCluster
        from dask_jobqueue.sge import SGECluster
        from dask_jobqueue.slurm import SLURMCluster

        known = {
            "slurm": SLURMCluster, "pbs": PBSCluster, "lsf": LSFCluster, "sge": SGECluster, "oar": OARCluster,
            "htcondor": HTCondorCluster, "local": LocalCluster,
        }  # fmt: skip
        return known[self.kind]
