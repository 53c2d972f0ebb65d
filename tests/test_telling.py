"""Notes and bars of Python code: shown once, where somebody looks, and nowhere else."""

from __future__ import annotations

import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest

import neuroanp as na
from neuroanp.api.telling import NotebookBars, noted, watched
from neuroanp.errors import InputError
from neuroanp.records.metrics import Metrics

matplotlib.use("Agg")
LOG = logging.getLogger("neuroanp")
TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 3, "batch": 2, "controls": False},
}


@pytest.fixture
def bare():
    """Call something where nobody has configured logging: pytest's own handlers leave the root logger for as long."""

    def call(function, *args, **kwargs):
        root = logging.getLogger()
        before, root.handlers = root.handlers, []
        level = LOG.level
        try:
            return function(*args, **kwargs)
        finally:
            root.handlers = before
            assert (LOG.handlers, LOG.level) == ([], level)

    return call


@noted
def say(progress: Any = None) -> None:
    LOG.info("a note")
    LOG.warning("a warning")


def test_notes_and_warnings_are_shown_once(bare, capsys):
    @noted
    def outer() -> None:
        say()

    bare(outer)
    assert capsys.readouterr() == ("", "a note\nwarning: a warning\n")


@pytest.mark.parametrize("no", [False, np.False_])
def test_without_progress_warnings_alone_are_shown(bare, capsys, no):
    bare(say, progress=no)
    assert capsys.readouterr().err == "warning: a warning\n"


@pytest.mark.parametrize("where", ["", "neuroanp"])
def test_who_configured_logging_gets_the_log_there(bare, where, capsys):
    got: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            got.append(record.getMessage())

    def configured() -> None:
        logger, handler = logging.getLogger(where), Kept()
        logger.addHandler(handler)
        say()
        logger.removeHandler(handler)

    bare(configured)
    assert capsys.readouterr().err == ""
    assert got == ["a warning"]


def test_a_level_that_was_set_stays(bare, capsys):
    LOG.setLevel(logging.ERROR)
    try:
        bare(say)
    finally:
        LOG.setLevel(logging.NOTSET)
    assert capsys.readouterr().err == ""


def test_the_handler_goes_with_an_error(bare):
    @noted
    def fails() -> None:
        raise InputError("no")

    with pytest.raises(InputError):
        bare(fails)


def test_training_says_what_it_chose(bare, capsys, tmp_path):
    bare(na.train, TINY, runs=tmp_path, report=False)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("perturbation: Gaussian, sigma 0.01")
    assert shown.err.count("writes: verify") == 1
    bare(na.train, TINY, runs=tmp_path, seed=1, report=False, progress=False)
    assert capsys.readouterr().err == ""


def test_no_bars_where_nobody_looks(monkeypatch):
    with watched(None) as tell:
        assert tell is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with watched(False) as tell:
        assert tell is None
    own = print
    with watched(own) as tell:
        assert tell is own


def test_bars_move_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with watched(None, 2) as tell:
        assert tell is not None
        tell({"run": "copy pcm", "phase": "train", "update": 5, "updates": 10, "loss": 0.5})
        tell({"run": "copy pcm", "phase": "done", "update": 10, "updates": 10, "loss": 0.25})
    assert "done   copy pcm  loss 0.25" in capsys.readouterr().err


class Page:
    """Stands for IPython's display: keeps what is shown, and what it becomes."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def display(self, content: Any, raw: bool = False, display_id: bool = False) -> Page:
        self.shown.append(content)
        return self

    def update(self, content: Any, raw: bool = False) -> None:
        self.shown[-1] = content


@pytest.fixture
def page(monkeypatch):
    """A notebook's kernel, as far as it is asked."""
    found = Page()
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.version_info = (9, 0)  # pyright: ignore[reportAttributeAccessIssue]
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # pyright: ignore[reportAttributeAccessIssue]
    module.display, module.Image = found.display, lambda data, format: data  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return found


def test_a_notebook_keeps_how_a_run_ended(page, monkeypatch):
    monkeypatch.setattr("neuroanp.api.telling.EVERY_S", 0.0)
    with watched(None) as tell:
        assert isinstance(tell, NotebookBars)
        tell({"run": "copy pcm", "phase": "train", "update": 5, "updates": 10, "loss": 0.5})
        assert page.shown == [{"text/plain": "copy pcm  " + "█" * 12 + "░" * 12 + " 5/10 learning loss 0.5"}]
        tell({"run": "copy pcm", "phase": "done", "update": 10, "updates": 10, "loss": 0.25})
        assert tell.text() == "done   copy pcm  loss 0.25"
        tell({"run": "copy ecram", "phase": "done", "update": 10, "updates": 10, "loss": 0.125})
    assert page.shown == [{"text/plain": "done   copy ecram  loss 0.125  (2 runs)"}]


def test_a_notebook_counts_the_runs_of_a_comparison(page):
    with watched(None, 2) as tell:
        assert tell is not None
        for run in ("a", "b"):
            tell({"run": run, "phase": "train", "update": 0, "updates": 10, "loss": 0.5})
        tell({"run": "a", "phase": "failed", "update": 0, "updates": 0, "loss": None})
    first, second = page.shown[-1]["text/plain"].splitlines()
    assert first == "all runs  " + "█" * 12 + "░" * 12 + " 1/2"
    assert second.startswith("b  ")


def test_a_figure_is_shown_once_in_a_notebook(page, monkeypatch):
    """As the value of a cell IPython shows it and then what pyplot has open; else the latter alone."""
    import matplotlib.pyplot as plt

    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)  # pyplot would hook itself into the shell
    before = plt.get_fignums()
    figure: Any = Metrics({"update": [0, 1], "test_loss": [1.0, 0.5]}).plot()
    assert len(plt.get_fignums()) == len(before) + 1  # a script's plt.show() has it
    figure._ipython_display_()
    assert plt.get_fignums() == before
    (shown,) = page.shown
    assert shown.startswith(b"\x89PNG")
