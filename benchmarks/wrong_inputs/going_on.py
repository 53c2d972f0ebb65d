"""Runs that cannot go on, and callbacks that are none, raise errors or change what they are told."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# Wrong types are what is tried here.

from __future__ import annotations

from pathlib import Path
from typing import Any

import neuroanp as na
from benchmarks.wrong_inputs.case import Case
from benchmarks.wrong_inputs.commands import without
from benchmarks.wrong_inputs.place import QUIET, TINY


def run_of(label: str) -> Path:
    """Return a run of the place by its label."""
    return Path("runs") / label


def trained(**words: Any) -> Any:
    """Train the tiny run with what is wrong."""
    return na.train(TINY, runs="made", **{**QUIET, **words})


def raising(event: Any) -> None:
    """Fail, as a user's function does."""
    raise KeyError("colour")


def changing(event: Any) -> None:
    """Change what is told."""
    event.update = 7


def emptied(event: Any) -> None:
    """Change the numbers that are told."""
    event.metrics["train_loss"] = 0.0


def _board(folder: Any) -> Any:
    from neuroanp.training.tensorboard import TensorBoard

    return TensorBoard(folder)


GOING_ON = [
    Case(
        "going on",
        "na.extend of an unfinished run",
        lambda: na.extend(run_of("stopped"), 2, **QUIET),
        ("it has not finished; go on with: neuroanp resume",),
    ),
    Case(
        "going on",
        "na.extend of nothing",
        lambda: na.extend("nothing", 2, **QUIET),
        ("nothing: no such directory; name one that `neuroanp train` made",),
    ),
    Case(
        "going on",
        "na.extend of None",
        lambda: na.extend(None, 2, **QUIET),
        ("run: None is no path; pass text or a pathlib.Path",),
    ),
    Case(
        "going on",
        "na.extend of a folder",
        lambda: na.extend("lab", 2, **QUIET),
        ("lab: not a run directory (it has no manifest.json, nor its copy);",),
    ),
    Case(
        "going on",
        "na.extend by 0",
        lambda: na.extend(run_of("good"), 0, **QUIET),
        ("updates: 0 (int) is not a whole number from 1 to 99,999,999",),
    ),
    Case(
        "going on",
        "na.extend by -1",
        lambda: na.extend(run_of("good"), -1, **QUIET),
        ("updates: -1 (int) is not a whole number from 1 to 99,999,999",),
    ),
    Case(
        "going on",
        "na.extend by 1.5",
        lambda: na.extend(run_of("good"), 1.5, **QUIET),
        ("updates: 1.5 (float) is not a whole number from 1 to 99,999,999",),
    ),
    Case(
        "going on",
        "na.extend by '3'",
        lambda: na.extend(run_of("good"), "3", **QUIET),
        ("updates: '3' (str) is not a whole number from 1 to 99,999,999",),
    ),
    Case(
        "going on",
        "na.extend by True",
        lambda: na.extend(run_of("good"), True, **QUIET),
        ("updates: True (bool) is not a whole number from 1 to 99,999,999",),
    ),
    Case(
        "going on",
        "na.extend for another task",
        lambda: na.extend(run_of("good"), 2, task="xor", **QUIET),
        (
            "another run than what is to go on task: {'name': 'xor', 'start': 20,",
            "'cue': 'recall', 'test_size': 4, 'sequence_seed",
        ),
    ),
    Case(
        "going on",
        "na.extend with updates twice",
        lambda: na.extend(run_of("good"), 2, training={"updates": 9}, **QUIET),
        ("updates: training.updates says it too, and is that of the whole run; leave it out",),
    ),
    Case(
        "going on",
        "na.extend of a tampered run",
        lambda: na.extend(run_of("tampered"), 2, **QUIET),
        (
            "not as it was written (",
            "no whole copy is left",
        ),
    ),
    Case(
        "going on",
        "na.extend of a forged run",
        lambda: na.extend(run_of("forged"), 2, **QUIET),
        ("not as it was written (its content has changed), and no whole copy is left",),
    ),
    Case(
        "going on",
        "na.extend of a damaged run",
        lambda: na.extend(run_of("damaged"), 2, **QUIET),
        (
            "damaged (Expecting property name enclosed in double quotes: line 1",
            "or move the directory away and repeat the run",
        ),
    ),
    Case(
        "going on",
        "na.extend of a number",
        lambda: na.extend(3, 2, **QUIET),
        ("run: 3 is no path; pass text or a pathlib.Path",),
    ),
    Case(
        "going on",
        "na.resume of a config",
        lambda: na.resume("ok.yaml", **QUIET),
        ("ok.yaml: a file, not a directory; name one that `neuroanp train` made",),
    ),
    Case(
        "going on",
        "na.load_run of nothing",
        lambda: na.load_run("nothing"),
        ("nothing: no such directory; name one that `neuroanp train` made",),
    ),
    Case(
        "going on",
        "na.load_run of a number",
        lambda: na.load_run(3),
        ("run: 3 is no path; pass text or a pathlib.Path",),
    ),
    Case("going on", "na.load_run of ''", lambda: na.load_run(""), ("run: is empty; name a file or a directory",)),
]
CALLBACKS = [
    Case(
        "callbacks",
        "a word",
        lambda: trained(callbacks="print"),
        ("callbacks: 'print' (str): pass a list of functions of one event",),
    ),
    Case(
        "callbacks",
        "a number",
        lambda: trained(callbacks=3),
        ("callbacks: 3 (int): pass a list of functions of one event",),
    ),
    Case(
        "callbacks",
        "a list with a number",
        lambda: trained(callbacks=[print, 3]),
        ("callbacks: pass functions of one event 3 (int): cannot be called",),
    ),
    Case(
        "callbacks",
        "a class",
        lambda: trained(callbacks=[dict]),
        ("callbacks: pass functions of one event dict: a class; make one of it: dict(...)",),
    ),
    Case(
        "callbacks",
        "no argument",
        lambda: trained(callbacks=[lambda: None]),
        ("callbacks: pass functions of one event <lambda>: takes (), and is called with one event",),
    ),
    Case(
        "callbacks",
        "a mapping",
        lambda: trained(callbacks={"update": print}),
        ("callbacks: {'update': <built-in function print>} (dict): pass a list of functions of one event",),
    ),
    Case(
        "callbacks",
        "raises",
        lambda: trained(callbacks=raising),
        ("callback raising: KeyError: 'colour'", "the run is saved"),
        code=1,
        keeps=True,
    ),
    Case(
        "callbacks",
        "changes the event",
        lambda: trained(callbacks=changing),
        ("callback changing: ", "the run is saved"),
        code=1,
        keeps=True,
    ),
    Case(
        "callbacks",
        "changes the metrics",
        lambda: trained(callbacks=emptied),
        ("callback emptied: ", "the run is saved"),
        code=1,
        keeps=True,
    ),
    Case("callbacks", "TensorBoard(3)", lambda: _board(3), ("tensorboard: 3 is no path; pass text or a pathlib.Path",)),
    Case("callbacks", "TensorBoard('')", lambda: _board(""), ("tensorboard: is empty; name a file or a directory",)),
    Case(
        "callbacks",
        "TensorBoard into a file",
        lambda: trained(callbacks=_board("a_file")),
        ("a_file: cannot be written to: a_file is no directory; name another folder for TensorBoard",),
    ),
    Case(
        "callbacks",
        "TensorBoard, not installed",
        lambda: _board("tb"),
        ("pip install",),
        within=lambda: without("tensorboard.summary.writer.event_file_writer"),
    ),
]

CASES = [*GOING_ON, *CALLBACKS]
