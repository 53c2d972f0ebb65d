"""Notebooks are what their sources say, with outputs that any viewer shows; they run from top to bottom, and say so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from neuroanp.errors import InputError
from neuroanp.profiles import load
from notebooks import execute as books
from tests.close import close

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PACKAGE = NOTEBOOKS / "own_device_package"
PROFILE = PACKAGE / "lab_device" / "lab_cell.yaml"

slow = pytest.mark.slow


SOURCES = books.sources()
NUMBERED = [path for path in SOURCES if path.stem[0].isdigit()]
of_each = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def test_there_are_six_in_a_row_and_each_leads_to_the_next():
    assert [path.stem[:2] for path in NUMBERED] == ["01", "02", "03", "04", "05", "06"]
    assert set(books.SMALL) == {path.stem for path in NUMBERED}
    for source, following in pairwise(NUMBERED):
        assert f"({following.stem}.ipynb)" in source.read_text()


@of_each
def test_a_notebook_has_the_cells_of_its_source(source: Path):
    """Else `make notebooks` has to be run."""
    written = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert books.cells(written) == books.cells(books.read(source))


@of_each
def test_a_notebook_can_be_shown_to_anyone(source: Path):
    """Nothing failed or warned, no place of a machine is told, it is small, and has a picture; links lead somewhere."""
    path = source.with_suffix(".ipynb")
    assert list(books.problems(path)) == []
    book = nbformat.read(path, as_version=4)
    kinds = {kind for cell in book.cells for out in cell.get("outputs", []) for kind in out.get("data", {})}
    assert "image/png" in kinds
    text = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (source.parent / link).exists()] == []


@slow
@pytest.mark.parametrize("source", NUMBERED, ids=lambda path: path.stem)
def test_a_notebook_runs_at_small_sizes(source: Path, monkeypatch: pytest.MonkeyPatch):
    """In an empty folder, with what is installed: outside of a clone."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    book = books.execute(books.smaller(books.read(source), books.SMALL[source.stem]), source.stem)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    for cell in code:
        assert sum("image/png" in out.get("data", {}) for out in cell.outputs) <= 1, "drawn twice"


def test_sizes_are_replaced_where_they_stand():
    book = books.smaller(books.read(NUMBERED[0]), "UPDATES = 3")
    (at,) = (k for k, cell in enumerate(book.cells) if cell.source == "UPDATES = 3")
    assert "UPDATES = 600" in book.cells[at - 1].source
    with pytest.raises(ValueError, match="EPOCHS: not in the cell of parameters"):
        books.smaller(books.read(NUMBERED[0]), "EPOCHS = 3")


@pytest.mark.parametrize(
    ("said", "found"),
    [("at /home/ann/runs/a", "/home/ann"), ("x.py:3: UserWarning: old", "UserWarning: old"), ("runs/copy-1", "")],
)
def test_what_no_output_may_say_is_found(said: str, found: str, tmp_path: Path):
    cell = nbformat.v4.new_code_cell("1", execution_count=1, outputs=[nbformat.v4.new_output("stream", text=said)])
    path = tmp_path / "book.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert list(books.problems(path)) == ([f"cell 0: {found}"] if found else [])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example package into a folder of its own; the environment of the tests stays as it is."""
    folder = tmp_path_factory.mktemp("library")
    quiet = ["--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(folder), str(PACKAGE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def python(*words: str | Path, library: Path | None, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if library is not None:
        environment["PYTHONPATH"] = str(library)
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=environment)


@slow
def test_without_the_package_its_law_is_unknown():
    with pytest.raises(InputError, match=r"lab_cell.yaml:\d+: read.law: unknown read law 'power'"):
        load(PROFILE)


@slow
def test_the_law_of_an_installed_package_is_found_by_name(library: Path, tmp_path: Path):
    code = (
        "import sys; from neuroanp.profiles import load; law = load(sys.argv[1]).read;"
        "print(type(law).__module__, law.a, law.b, law.g_ref)"
    )
    done = python("-c", code, library / "lab_device" / "lab_cell.yaml", library=library, cwd=tmp_path)
    assert done.stdout.split() == ["lab_device.power_read", "3e-07", "0.5", "1e-05"], done.stderr
    validated = python("-m", "neuroanp", "profiles", "validate", PROFILE, library=library, cwd=tmp_path)
    assert validated.returncode == 0, validated.stderr
    doctest = python("-m", "doctest", library / "lab_device" / "power_read.py", library=library, cwd=tmp_path)
    assert doctest.returncode == 0, doctest.stdout


@slow
def test_own_device(library: Path, tmp_path: Path):
    done = python(NOTEBOOKS / "own_device.py", library=library, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "class PowerRead(Law):" in said
    assert re.search(r"read laws: .*\bpower\b", said)
    assert "a=3e-07 b=0.5 g_ref=1e-05" in said
    assert "a: | illustrative | a choice for this example" in said
    assert re.search(r"lab_cell.yaml:\d+: read.a: '0.3 uV' is not a conductance; write e.g. '25 uS'", said)
    assert re.search(r"lab_cell.yaml:\d+: read.g_reff: unknown key; did you mean 'read.g_ref'\?", said)
    law = {line: tuple(map(float, found)) for line, *found in re.findall(r"(.*): sampled (\S+) S, law (\S+) S", said)}
    assert len(law) >= 3
    for line, (sampled, expected) in law.items():
        assert sampled == close(expected, rel=0.03), line
    # sigma^2 = a^2 (G / G_ref + g_min / G_ref) at full scale
    assert max(expected for _, expected in law.values()) == close(0.3e-6 * (51 / 10) ** 0.5, rel=2e-3)
    largest = re.search(r"largest \|z\|: (\S+)", said)
    assert largest is not None
    assert float(largest[1]) < 4.5
    rows = dict(re.findall(r"^(\S.*?) +test loss (\S+) ", said, re.MULTILINE))
    assert set(rows) == {"lab_cell", "lab_cell without read noise", "ideal"}
    assert len(set(rows.values())) == 3
    assert all(0 < float(loss) < 2 for loss in rows.values())
    assert len(list((tmp_path / "runs").iterdir())) == 3


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-\d+)?")
ROUNDING = 1e-5  # where so little is left that machines differ in it, it only has to stay as little


@pytest.mark.long
@slow
def test_echo(tmp_path: Path):
    """It prints what the page of the theory shows, to the last word, and numbers near those there."""
    done = python(NOTEBOOKS / "echo.py", library=None, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "theory" / "echo.md").read_text(encoding="utf-8")
    shown = page[page.index("```text\n") + 8 :].split("```")[0].splitlines()
    said = done.stdout.splitlines()
    assert [NUMBER.sub("#", line).split() for line in said] == [NUMBER.sub("#", line).split() for line in shown]
    for line, expected in zip(said, shown, strict=True):
        near_zero = 0.1 if "cosine" in line else 0.0  # a cosine near 0 has no scale of its own
        for number, wanted in zip(map(float, NUMBER.findall(line)), map(float, NUMBER.findall(expected)), strict=True):
            if 0 < abs(wanted) < ROUNDING:
                assert abs(number) < ROUNDING, expected
            else:
                assert number == close(wanted, rel=0.3, abs=near_zero), expected
    assert re.search(r"^linear .* (?:0\.99\d|1\.000) \(mean", done.stdout, re.MULTILINE)
    figures = {path.name for path in tmp_path.glob("*.png")}
    assert figures == {f"echo_{name}.png" for name in ("responses", "cosine", "line_search", "floor")}
    assert all((ROOT / "docs" / "theory" / name).exists() for name in figures)


@pytest.mark.long
@slow
def test_systems(tmp_path: Path):
    """It shows every rule once for each task, with its books, and says of those that were left out why."""
    done = python(NOTEBOOKS / "systems.py", library=None, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(
        r"^(\w+) +(BP|LS|S\+|S|E) +(-?[\d.e-]+) +(\d+) +([\d.]+) +([\d.e-]+) +([\d.e-]+)$", done.stdout, re.M
    )
    copy, reaching = rows[:7], rows[7:]
    assert [row[0] for row in copy] == ["bptt", "anp", "echo", "wp", "oua", "cdrge", "sampled"]
    assert [row[0] for row in reaching] == ["reinforce", "nrl", "rmhl", "anp", "wp", "oua", "cdrge"]
    assert all(int(row[3]) == (1 if row[0] == "sampled" else 160) for row in rows)
    assert all(float(number) > 0 for row in rows for number in row[4:])
    for left, why in (("np", "must know the noise"), ("nrl", "learns from worlds"), ("bptt", "learns from data")):
        assert re.search(rf"{left}: left out: .*{why}", done.stderr)
    assert (tmp_path / "systems.png").stat().st_size > 10_000
