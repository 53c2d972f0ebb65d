"""Settings of all tests."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.built import installed, of_ones_own, wheel
from tests.reporting.devtools import Chromium

__all__ = ["installed", "of_ones_own", "wheel"]

# A first example pays for imports, and machines are shared: how long one takes says nothing of the code.
settings.register_profile("neuroanp", deadline=None)
settings.load_profile("neuroanp")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among the tests themselves: they are a million objects, and all stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk() -> Iterator[None]:
    """Let runs of this process go on before the disk has what they wrote: a test's folder outlives no power cut.

    Every run waits two dozen times for milliseconds. Tests of faults and kills put calls of their own in this place,
    and processes that tests start wait as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def locks_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let tests that run beside one another each have an instrument of the same name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless Chromium, one for all tests: to start one takes longer than to show it a page."""
    program = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
    if program is None:
        remedy = "Chromium is missing; on Debian: apt-get update && apt-get install -y chromium"
        pytest.fail(remedy) if os.environ.get("CI") else pytest.skip(remedy)
    one = Chromium(program, tmp_path_factory.mktemp("browser"))
    yield one
    one.close()


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let comparisons do their runs in this process, one after another: a worker takes seconds to begin."""
    from neuroanp.comparing import pool
    from neuroanp.comparing.worker import work

    monkeypatch.setattr(pool, "run_all", lambda jobs, *_: [work(job, lambda kind, content: None) for job in jobs])
