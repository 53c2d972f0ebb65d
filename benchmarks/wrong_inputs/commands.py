"""Wrong words of the command line: those of commands.yaml, and those that something beside them makes wrong."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.wrong_inputs.case import Case

WORDS = Path(__file__).with_name("commands.yaml")


def _held() -> AbstractContextManager[object]:
    from neuroanp.records.finding import found
    from neuroanp.records.run_dir import RunDir

    return RunDir.open(found(Path("good"))).lock()


def without(*modules: str) -> AbstractContextManager[object]:
    """Let modules be missing."""
    import sys
    from unittest.mock import patch

    missing: dict[str, Any] = dict.fromkeys(modules)
    return patch.dict(sys.modules, missing)


CASES = [
    *(
        Case(kind, one["give"], one["give"], tuple(one["says"]))
        for kind, several in yaml.safe_load(WORDS.read_text("utf-8")).items()
        for one in several
    ),
    Case(
        "runs", "rm of a run that is written", "runs rm good --yes", ("not removed, nor anything else", "in use by"),
        code=1, within=_held,
    ),
    Case(
        "going on", "--tensorboard without tensorboard", "train ok.yaml --tensorboard tb",
        ("tensorboard cannot be imported", "pip install 'neuroanp[tensorboard]'"),
        within=lambda: without("tensorboard.summary.writer.event_file_writer"),
    ),
]  # fmt: skip
