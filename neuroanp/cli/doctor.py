"""doctor: what is installed, what is missing, and how to get it."""

import os
import platform
import re
import shlex
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show, text
from neuroanp.files import real

ROOM = 1 << 30  # bytes: a run takes a few MB, a large comparison with checkpoints some hundred


@dataclass(frozen=True)
class Check:
    """One line of the doctor's.

    Args:
        name: what was looked at.
        status: "ok"; "missing": commands fail without it; "warning": it works, but badly; "optional": something
            more is possible.
        detail: what was found.
        remedy: what to do where it is not ok.
    """

    name: str
    status: str
    detail: str
    remedy: str = ""


@guarded
def doctor(runs: options.Runs = Path("runs"), json: options.Json = False, debug: options.Debug = False) -> None:
    """Check versions, extras, backends, compiler, CUDA, threads and disk; say how to get what is missing."""
    checks = [*_software(), *_extras(), *_programs(), *_compute(), *_disk(runs)]
    if json:
        print_json([asdict(check) for check in checks])
    else:
        _print(checks)
    if any(check.status == "missing" for check in checks):
        raise typer.Exit(1)


def _print(checks: list[Check]) -> None:
    from rich.table import Table

    colours = {"ok": "green", "optional": "cyan", "warning": "yellow", "missing": "bold red"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "status", "found", "how to get it"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        status = text(check.status, style=colours[check.status])
        table.add_row(check.name, status, text(check.detail), text(check.remedy))
    show(table)


def _requirements() -> Iterator[tuple[str, str | None]]:
    """Yield (package, extra or None) for what neuroanp declares to need."""
    from importlib.metadata import requires

    for line in requires("neuroanp") or []:
        package = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", line)
        if package:
            yield package[0], extra[1] if extra else None


def version(package: str) -> str:
    """Return the version of an installed package; PackageNotFoundError where there is none."""
    from importlib import metadata  # a tenth of what `neuroanp --help` takes

    return metadata.version(package)


def _found(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _software() -> Iterator[Check]:
    from neuroanp.version import __version__

    yield Check("neuroanp", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    yield Check("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package, extra in dict.fromkeys(_requirements()):  # one that depends on the Python version is there twice
        if extra is None:
            found = _found(package)
            remedy = "" if found else "install neuroanp again: pip install neuroanp"
            yield Check(package, "ok" if found else "missing", found or "not installed", remedy)


def _extras() -> Iterator[Check]:
    wanted = [(package, extra) for package, extra in _requirements() if extra and package != "neuroanp"]
    for extra in dict.fromkeys(extra for _, extra in wanted):
        packages = [package for package, of in wanted if of == extra]
        missing = [package for package in packages if _found(package) is None]
        if missing:
            remedy = f"pip install 'neuroanp[{extra}]'"
            yield Check(f"extra {extra}", "optional", f"not installed: {', '.join(missing)}", remedy)
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(f"{package} {_found(package)}" for package in packages))


def _programs() -> Iterator[Check]:
    """Look for the programs that read exports back."""
    for program, what in (("ngspice", "crossbars"), ("iverilog", "Verilog")):
        found = shutil.which(program)
        remedy = "" if found else f"apt-get install {program}, to run exported {what}"
        yield Check(program, "ok" if found else "optional", found or "not installed", remedy)


def _compute() -> Iterator[Check]:
    from neuroanp.backends.protocol import BACKENDS

    names = BACKENDS.names()
    yield Check("backends", "ok" if names else "missing", ", ".join(names) or "none", "" if names else "reinstall")
    try:
        import torch
    except ImportError as error:
        yield Check("torch works", "missing", str(error), "pip install --force-reinstall torch")
        return
    if torch.cuda.is_available():
        from neuroanp.kernels.device_draws import why_no_triton

        yield _on_cuda(torch.cuda.get_device_name(0), why_no_triton(torch.device("cuda")))
    else:
        remedy = "an NVIDIA GPU with a CUDA build of torch; then --set compute.device=cuda"
        yield Check("CUDA", "optional", "not available: everything runs on the CPU", remedy)
    yield rate_loops()
    yield from _code_generation()
    from neuroanp.records.environment import usable_cores

    yield _threads(usable_cores(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS"))


def _on_cuda(name: str, why: str | None) -> Check:
    """Say which path a GPU takes: updates are recorded as CUDA graphs, noise drawn by one kernel or by torch's."""
    graphs = "an update of data is one CUDA graph"
    if why is None:
        return Check("CUDA", "ok", f"{name}: {graphs}, noise is drawn by a kernel of Triton")
    said = f"{name}: {graphs}; Triton does not work ({why}): torch draws noise and reads arrays, several times slower"
    return Check("CUDA", "warning", said, "pip install triton, and a C compiler (gcc)")


def rate_loops() -> Check:
    """Say which path rate networks take: compiled loops, and where those are kept between processes."""
    from neuroanp.kernels.cache import compiled_loops

    name, found = "rate networks", compiled_loops()
    path = "layers of tanh units in float32 on a CPU by compiled loops, others step by step in torch"
    if found.numba is None:
        return Check(name, "missing", f"no compiled loops: {found.why}", "pip install --force-reinstall numba")
    if found.switched_off:
        said = f"{found.why}: the loops are Python's, and take minutes instead of seconds"
        return Check(name, "warning", said, "unset NUMBA_DISABLE_JIT")
    if found.folder is None:
        said = f"numba {found.numba}: compiled loops cannot be kept, and each process needs them anew: {found.why}"
        return Check(name, "missing", said, "export NUMBA_CACHE_DIR=DIR, a folder that you can write to")
    return Check(name, "ok", f"{path}; numba {found.numba} keeps the loops in {found.folder}")


def _code_generation() -> Iterator[Check]:
    """Look for what Brian2 needs to compile its loops; without it they are NumPy's."""
    slow = "the spiking backend computes with NumPy, and says so: slower, same results"
    found = _found("Cython")
    remedy = "" if found else "pip install Cython"
    yield Check("Cython", "ok" if found else "warning", found or f"not installed: {slow}", remedy)
    wanted = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++")[0]  # as setuptools does
    path = shutil.which(wanted)
    if path is not None:
        yield Check("C++ compiler", "ok", path)
    else:
        remedy = "apt-get install g++ (Debian, Ubuntu), xcode-select --install (macOS), or name yours in CXX"
        yield Check("C++ compiler", "warning", f"no {wanted}: {slow}", remedy)


def _threads(cores: int, taken: int, asked: str | None) -> Check:
    """Compare the threads that torch takes, and those that OMP_NUM_THREADS asks of all libraries, with the cores.

    >>> _threads(2, 8, None).status, _threads(2, 2, "8").status, _threads(8, 2, None).detail
    ('warning', 'warning', '8 cores; torch takes 2 threads')
    """
    limit = f" (OMP_NUM_THREADS={asked})" if asked else ""
    said = f"{cores} core{'s' * (cores > 1)}; torch takes {taken} thread{'s' * (taken > 1)}{limit}"
    wanted = max(taken, int(asked) if asked and asked.isascii() and asked.isdigit() else 0)
    if wanted <= cores:
        return Check("threads", "ok", said)
    return Check("threads", "warning", f"{said}: they wait for each other", f"export OMP_NUM_THREADS={cores}")


def _disk(runs: Path) -> Iterator[Check]:
    """Try to write where runs would be made, without leaving anything behind."""
    there = real(runs)
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"neuroanp")
    except OSError as error:
        yield Check("runs folder", "missing", f"{runs}: {error.strerror}", "choose another one with --runs DIR")
    else:
        yield Check("runs folder", "ok", f"{runs} can be written" if runs.exists() else f"{runs} will be made")
    free = shutil.disk_usage(there).free
    enough = free >= ROOM
    remedy = "" if enough else "free some, or choose another disk with --runs DIR"
    yield Check("disk space", "ok" if enough else "missing", f"{free / 1e9:.1f} GB free in {there}", remedy)
