"""The check finds every comparison with an absolute tolerance by default, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.tolerances import main, problems

HEAD = "import math\nimport numpy as np\nimport pytest\nimport torch\nfrom tests.close import close\n"
FORGOTTEN = [
    "assert x == pytest.approx(y)",
    "assert x == pytest.approx(y, rel=1e-9)",
    "assert x == pytest.approx(y, 1e-9)",
    "assert x == pytest.approx(y, abs=None)",  # asks for the default
    "assert x == [pytest.approx(y, rel=1e-9) for y in z]",
    "assert np.isclose(x, y)",
    "assert np.allclose(x, y, rtol=1e-9)",
    "assert np.allclose(x, y, 1e-9)",
    "assert torch.allclose(x, y, rtol=1e-9)",
    "assert torch.isclose(x, y).all()",
    "torch.testing.assert_close(x, y)",
    "torch.testing.assert_close(x, y, rtol=1e-9, atol=None)",
    "torch.testing.assert_close(x, y, **near)",  # what the stars bring cannot be seen
    "assert np.isclose(*pair)",
    "assert np.isclose(*pair, 1e-9, 0.0, 0.0)",
    "assert x.isclose(y).all()",
    "assert run(x)[0].allclose(y, 1e-9)",
    "near = pytest.approx",  # nor what another name is called with
    "check(torch.allclose)",
    "np.testing.assert_almost_equal(x, y, 12)",
    "np.testing.assert_array_almost_equal(x, y)",
    "self.assertAlmostEqual(x, y)",
    "import numpy\nassert numpy.allclose(x, y)",
    "import torch.testing as tt\ntt.assert_close(x, y)",
    "from torch.testing import assert_close\nassert_close(x, y)",
    "from pytest import approx as about\nassert x == about(y)",
    "def f():\n    from numpy import isclose\n    return isclose(x, y)",
]
SAID = [
    "assert x == close(y)",
    "assert x == pytest.approx(y, abs=0)",
    "assert x == pytest.approx(y, 1e-9, 1e-15)",
    "assert np.isclose(x, y, rtol=1e-9, atol=0.0)",
    "assert np.allclose(x, y, 1e-9, 0.0)",
    "assert torch.allclose(x, y, rtol=1e-9, atol=scale * 1e-12)",
    "torch.testing.assert_close(x, y, rtol=0, atol=0, **names)",
    "assert x.isclose(y, 1e-9, 0.0).all()",
    "assert math.isclose(x, y)",  # these two have no floor of their own
    "np.testing.assert_allclose(x, y, rtol=1e-9)",
    "isclose = 3\nprint(isclose)",
    "x = 'np.allclose(x, y)'  # pytest.approx(x)",
]


@pytest.mark.parametrize("line", FORGOTTEN)
def test_a_forgotten_tolerance_is_found_where_it_stands(line):
    ((number, message),) = problems(HEAD + line)
    assert number == HEAD.count("\n") + 1 + line.count("\n")
    assert "write " in message or "call it where" in message or "relative" in message


@pytest.mark.parametrize("line", SAID)
def test_what_says_its_tolerance_is_left_alone(line):
    assert list(problems(HEAD + line)) == []


def test_files_and_folders_are_searched_and_each_place_told(tmp_path, capsys):
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    (inner / "a.py").write_text(HEAD + FORGOTTEN[0] + "\n" + SAID[0] + "\n" + FORGOTTEN[5])
    (tmp_path / "b.py").write_text(SAID[1])
    assert main([str(tmp_path / "b.py")]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(tmp_path / "one"), str(tmp_path / "b.py")]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in out] == [f"{inner / 'a.py'}:6", f"{inner / 'a.py'}:8"]
    assert "tests/close.py" in out[0]
    assert "atol=0" in out[1]


def test_a_check_of_nothing_is_no_check(tmp_path):
    assert main([]) == main([str(tmp_path)]) == main([str(tmp_path / "gone"), __file__]) == 2


def test_make_lint_runs_it_over_everything_there_is():
    root = Path(__file__).parents[2]
    (line,) = (line for line in (root / "Makefile").read_text().splitlines() if "tolerances.py" in line)
    places = line.partition("tolerances.py")[2].split()
    made = {"build", "dist", "runs"}  # by commands, not by hand
    folders = [one for one in root.iterdir() if one.is_dir() and one.name not in made and not one.name.startswith(".")]
    code = {one.name for one in folders if any(one.rglob("*.py"))}
    assert {"neuroanp", "tests"} <= code
    assert code <= set(places)
