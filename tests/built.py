"""The built wheel, and an environment that holds it: made once, for all tests and all workers that ask for them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def command(*words: str | Path, cwd: Path) -> str:
    """Run a command in a clean environment, 120 columns wide, and return its stdout; fail with what it said."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment["COLUMNS"] = "120"
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (built,) = _once(tmp_path_factory, "wheel", _build).glob("neuroanp-*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of an environment with the wheel; its libraries are this one's.

    One for all workers, as compiled loops of a new one take half a minute; nobody installs anything into it.
    """
    return _once(tmp_path_factory, "environment", lambda place: _install(wheel, place)) / "bin"


@pytest.fixture(scope="module")
def of_ones_own(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of another such environment, into which a module's tests may install."""
    place = tmp_path_factory.mktemp("environment")
    _install(wheel, place)
    return place / "bin"


def _build(folder: Path) -> None:
    command(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "-w", folder, cwd=folder)


def _install(wheel: Path, place: Path) -> None:
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    command(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=place)
    site = Path(command(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    # Only the folder is added: the .pth files in it, one of which leads to the checkout, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of this session, made by the first worker that asks for it; the others wait."""
    base = factory.getbasetemp()
    home = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # that of a worker lies in that of all
    place, made = home / f"built-{name}", home / f"built-{name}.made"
    with _held(home / f"built-{name}.lock"):
        if not made.exists():
            shutil.rmtree(place, ignore_errors=True)  # what another worker did not bring to its end
            place.mkdir()
            make(place)
            made.touch()
    return place


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
