"""The three people's ways through the docs, from an empty directory with the built wheel, come to what they promise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.walks.pages import blocks
from tests.walks.test_pages import DOCS
from tests.walks.walking import environment_of, walk

pytestmark = pytest.mark.slow


def results(store: Path) -> list[dict[str, object]]:
    """Return what the runs of a store came to; all have finished, with a finite loss."""
    found = [json.loads(path.read_text()) for path in sorted(store.glob("*/result.json"))]
    assert found
    for one in found:
        assert one["status"] == "finished"
        assert math.isfinite(one["test_loss"])
    return found


def physicist(where: Path, said: str) -> None:
    assert "the baseline drifts" in said  # why the second trace is refused
    assert "extends: smtj_koenders" in (where / "my_mtj.yaml").read_text()
    assert "extends: pcm" in (where / "my_pcm.yaml").read_text()
    assert not (where / "drifting.yaml").exists()
    assert (where / "characterize-my_mtj.html").stat().st_size > 10_000
    for name in ("my_mtj", "my_ecram"):
        place = where / "assessments" / name
        assert {"report.html", f"{name}.yaml"} <= {path.name for path in place.iterdir()}
        profiles = {one["profile"] for one in results(place / "runs")}
        assert {name, "ideal", "pcm"} <= profiles
    results(where / "runs")


def researcher(where: Path, said: str) -> None:
    assert "optimizer.lr" in said
    found = results(where / "runs")
    assert {one["rule"] for one in found} >= {"anp", "echo", "bptt"}
    assert {one["profile"] for one in found} == {"ideal", "pcm", "smtj_koenders"}
    assert (where / "rules.png").stat().st_size > 5_000
    assert list((where / "tensorboard").rglob("events.out.*"))
    assert {one["seed"] for one in results(where / "runs" / "tuning")} == {100, 101}


def engineer(where: Path, said: str) -> None:
    """Three readers find what was exported, and one finds the weight that was turned over."""
    for reader in ("xylosim", "Icarus Verilog", "ngspice"):
        assert f"PASS {reader}" in said
    assert said.count("FAIL") == 1
    results(where / "runs")
    chip = np.load(where / "xor_xylo" / "xylo.npz")
    assert all(np.issubdtype(chip[name].dtype, np.integer) for name in chip.files)
    for place in ("xor_xylo", "xor_rtl", "copy_pcm"):
        report = json.loads((where / place / "report.json").read_text())
        assert {"units", "synapses", "presentation_s"} <= set(report["facts"])


PEOPLE: dict[str, Callable[[Path, str], None]] = {
    "device-physicist": physicist, "researcher": researcher, "chip-engineer": engineer
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("person", PEOPLE)
def test_the_walk_of_a_person(installed: Path, tmp_path: Path, person: str) -> None:
    """Every block runs in order, and what the tutorial promises lies there."""
    page = DOCS / "tutorials" / f"{person}.md"
    steps = walk(page, installed, tmp_path)
    assert len(steps) == sum(block.skipped is None for block in blocks(page))
    PEOPLE[person](tmp_path, "".join(step.said for step in steps))


HOW_TO = sorted(path.stem for path in (DOCS / "how-to").glob("*.md") if blocks(path))
SOME = ("cite", "editors")
"""How-to pages that are walked in the slow tier; the others go on to the long one, as they take minutes."""
INSTALL = ("own-package",)
"""Pages that install a package."""


@pytest.mark.parametrize("page", [pytest.param(p, marks=[pytest.mark.long] * (p not in SOME)) for p in HOW_TO])
def test_the_commands_of_a_how_to_page(request: pytest.FixtureRequest, tmp_path: Path, page: str) -> None:
    commands = request.getfixturevalue("of_ones_own" if page in INSTALL else "installed")
    walk(DOCS / "how-to" / f"{page}.md", commands, tmp_path)


def test_commands_are_those_of_the_wheel(installed: Path) -> None:
    import shutil

    assert shutil.which("neuroanp", path=environment_of(installed)["PATH"]) == str(installed / "neuroanp")
