"""The bars follow the events; they move only on a terminal."""

import io
import logging

from rich.console import Console
from rich.progress import Progress, TextColumn

from neuroanp.api.telling import Bars
from neuroanp.cli.progress import progress


def make(runs: int | None) -> tuple[Bars, Progress, io.StringIO]:
    out = io.StringIO()
    display = Progress(
        TextColumn("{task.description}", markup=False),
        console=Console(file=out, force_terminal=False, width=100),
    )
    return Bars(display, runs), display, out


def event(run: str, update: int, phase: str = "train", loss: float | None = 0.5) -> dict:
    return {"run": run, "update": update, "updates": 10, "loss": loss, "phase": phase}


def test_one_bar_a_run_and_one_for_all() -> None:
    bars, display, _ = make(runs=2)
    bars(event("pcm [0]", 3))
    bars(event("ideal", 1))
    bars(event("pcm [0]", 5))
    shown = {task.description: (task.completed, task.total) for task in display.tasks}
    assert shown == {"all runs": (0.3, 2), "pcm [0]": (5, 10), "ideal": (1, 10)}


def test_a_finished_run_becomes_a_line() -> None:
    bars, display, out = make(runs=2)
    bars(event("pcm", 10))
    bars(event("pcm", 10, "done", 0.0123))
    bars(event("ideal", 2, "failed", None))
    assert [(task.description, task.completed) for task in display.tasks] == [("all runs", 2)]
    assert "done   pcm  loss 0.0123" in out.getvalue()
    assert "failed ideal" in out.getvalue()


def test_the_phase_is_said() -> None:
    bars, display, _ = make(runs=None)
    bars(event("pcm", 10, "controls", None))
    assert display.tasks[0].fields["state"] == "controls"


def test_nothing_moves_without_a_terminal_but_the_log_is_shown(capsys) -> None:
    with progress(True, runs=3) as report_to:
        logging.getLogger("neuroanp.training").info("perturbation: [auto] Gaussian 0.01")
        assert report_to is None
    logging.getLogger("neuroanp.training").info("after")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "perturbation: [auto] Gaussian 0.01\n"


def test_quiet_shows_warnings_only(capsys) -> None:
    with progress(False, quiet=True):
        logging.getLogger("neuroanp.training").info("writes: verify")
        logging.getLogger("neuroanp.training").warning("sigma is below half an ADC step")
    assert capsys.readouterr().err == "warning: sigma is below half an ADC step\n"


def test_what_was_said_is_known_afterwards() -> None:
    said: set[str] = set()
    with progress(False, said=said):
        logging.getLogger("neuroanp").info("writes: verify")
    assert said == {"writes: verify"}


def test_warnings_say_so(capsys) -> None:
    with progress(False):
        logging.getLogger("neuroanp.training").warning("sigma is below half an ADC step")
    assert capsys.readouterr().err == "warning: sigma is below half an ADC step\n"
