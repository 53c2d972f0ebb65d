"""A law, a task, a cell and a rule, made by `neuroanp new` in packages of their own, are found and used together.

They are installed by pip into an environment of its own, beside the wheel; nothing of neuroanp is touched.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from tests.built import command

pytestmark = pytest.mark.long  # minutes, most of them in installing and in new processes

KINDS = {"device": "ward", "task": "smoothing", "cell": "resonator", "rule": "shared_norm"}


def digest(installed: Path) -> dict[str, str]:
    """Return what every file of neuroanp in the environment holds."""
    (package,) = installed.parent.glob("lib/python*/site-packages/neuroanp")
    return {
        str(path.relative_to(package)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def installed(of_ones_own: Path) -> Path:
    return of_ones_own


@pytest.fixture(scope="module")
def own(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the four packages, all installed; neuroanp's files are as they were."""
    home, before = tmp_path_factory.mktemp("own"), digest(installed)
    for kind, name in KINDS.items():
        command(installed / "neuroanp", "new", kind, name, cwd=home)
        quiet = ["--no-deps", "--no-build-isolation", "--no-index"]
        command(sys.executable, "-m", "pip", "--python", installed / "python", "install", *quiet, home / name, cwd=home)
    assert digest(installed) == before
    return home


def said(installed: Path, own: Path, *words: str) -> dict:
    return json.loads(command(installed / "neuroanp", *words, "--json", cwd=own))


PROFILE = "ward/neuroanp_ward/ward.yaml"
LAYERS = "network.layers=[{cell: resonator, units: 8}]"
SMALL = ["--updates", "2", "--set", "training.batch=2", "--set", "training.frozen=false"]


def test_all_four_are_trained_together_and_compared(installed: Path, own: Path) -> None:
    words = ["--task", "smoothing", "--rules", "shared_norm,bptt", "--profiles", f"{PROFILE},ideal", "--seeds", "1"]
    rows = said(installed, own, "compare", *words, "--set", LAYERS, *SMALL, "--workers", "1")["results"]
    assert {(row["task"], row["profile"], row["rule"]) for row in rows} == {
        ("smoothing", profile, rule) for profile in ("ward", "ideal") for rule in ("shared_norm", "bptt")
    }
    assert {row["status"] for row in rows} == {"finished"}
    losses = {row["profile"]: row["test_loss"] for row in rows if row["rule"] == "shared_norm"}
    assert losses["ward"] != losses["ideal"]  # its law acts
    assert "resonator" in (own / rows[0]["run"] / "config.yaml").read_text()


def test_the_device_is_characterised_and_all_four_are_listed(installed: Path, own: Path) -> None:
    (read,) = said(installed, own, "characterize", PROFILE, "--only", "read_noise", "--devices", "500")["results"]
    assert "ward" in json.dumps(read)
    for kind, name in (("tasks", "smoothing"), ("cells", "resonator"), ("rules", "shared_norm")):
        assert name in command(installed / "neuroanp", kind, "list", cwd=own)
    shown = command(installed / "neuroanp", "profiles", "validate", PROFILE, cwd=own)
    assert "ward" in shown


def test_a_run_of_all_four_goes_on_and_is_asked(installed: Path, own: Path) -> None:
    words = ["--task", "smoothing", "--rule", "shared_norm", "--profile", PROFILE, "--set", LAYERS, *SMALL]
    (row,) = said(installed, own, "train", *words)["results"]
    run = ["predict", row["run"]]
    (asked,) = said(installed, own, *run)["results"]
    assert asked["loss"] == row["test_loss"]
    (longer,) = said(installed, own, "train", "--extend", row["run"], "--updates", "1")["results"]
    assert longer["updates"] == 3
