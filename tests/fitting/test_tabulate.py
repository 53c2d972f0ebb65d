"""Tables of other simulators become profiles: numbers in both formats by hand, wrong tables, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from neuroanp.cli import tabulate as command
from neuroanp.devices.measured_update import MeasuredUpdate
from neuroanp.errors import InputError
from neuroanp.fitting import tabulate
from neuroanp.fitting.step_tables import read_steps
from neuroanp.profiles import load, loads
from tests.close import close

UP = "Gbins, CDF, dG\n 2, 10,\n0,0.5,1,\n0,0,\n1,0.5,\n3,1,\n"
"""CrossSim: at 2 half of the steps lie within 0..1 and half within 1..3; at 10 within 0..0.5 and 0.5..1."""
DOWN = "2,6,10\n0,1\n-1,-2,-3\n0,0,0\n"
AXES = {"set_axis_level_G.txt": "2\n10\n", "set_axis_level_dG.txt": "-1\n0\n1\n2\n"}
SET = {"set_cdf.txt": "0 0 0.5 1\n0.2 0.2 0.9 0.9\n", **AXES}


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder / next(iter(files))


def test_a_table_of_crosssim_holds_quantiles(tmp_path: Path) -> None:
    steps = read_steps(written(tmp_path, **{"up.txt": UP}), "uS")
    assert (1e6 * steps.g).tolist() == close([2, 10])
    for (p, dg), told in zip(steps.points, ([0, 1, 3], [0, 0.5, 1]), strict=True):
        assert p.tolist() == [0, 0.5, 1]
        assert (1e6 * dg).tolist() == close(told)
    assert [*steps.files] == ["up.txt"]


def test_a_table_of_xbtorch_holds_probabilities(tmp_path: Path) -> None:
    steps = read_steps(written(tmp_path, **SET), "uS")
    assert (1e6 * steps.g).tolist() == close([2, 10])
    (p, dg), (p2, dg2) = steps.points
    assert p.tolist() == [0, 0, 0.5, 1]
    assert (1e6 * dg).tolist() == close([-1, 0, 1, 2])
    assert p2.tolist() == [0.2, 0.2, 0.9, 0.9]
    assert (1e6 * dg2).tolist() == close([-1, 0, 1, 2])
    assert [*steps.files] == ["set_cdf.txt", "set_axis_level_G.txt", "set_axis_level_dG.txt"]


def test_points_between_two_alike_are_left_out(tmp_path: Path) -> None:
    table = "2,10\n0,0.25,0.5,0.75,1\n1,0\n1,1\n1,2\n2,3\n2,3\n"
    (p, dg), (p2, _) = read_steps(written(tmp_path, **{"up.txt": table})).points
    assert (p.tolist(), dg.tolist()) == ([0, 0.5, 0.75, 1], [1, 1, 2, 2])
    assert p2.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_the_profile_draws_from_both_tables_in_siemens(tmp_path: Path) -> None:
    up, down = written(tmp_path, **{"up.txt": UP}), written(tmp_path, **{"down.txt": DOWN})
    made = tabulate(up, down, "mine", "2026-02-03", unit="uS", extends="ecram", folder=tmp_path)
    (tmp_path / "mine.csv").write_text(made.table)
    (tmp_path / "mine.yaml").write_text(made.profile)
    profile = load(tmp_path / "mine.yaml")
    law = profile.update
    assert isinstance(law, MeasuredUpdate)
    assert (1e6 * law.up.means).tolist() == close([1.25, 0.5])
    assert (1e6 * law.down.means).tolist() == close([-0.5, -1.0, -1.5])
    assert (profile.conductance.g_min, profile.conductance.g_max) == close((2e-6, 10e-6))
    # mean steps over the range: up (1.25 + 0.5) / 2, down 1
    assert law.tolerance == close((0.875 + 1.0) / 4 * 1e-6, rel=1e-3)
    assert law.max_pulses == np.ceil(2 * 8 / 0.9375)
    assert "numbers taken as uS" in profile.meta.source
    assert profile.provenance["update.file"].status == "measured"
    narrow = tabulate(up, down, "mine", "2026-02-03", unit="uS", g_min=3e-6, folder=tmp_path, table="mine.csv")
    assert loads(narrow.profile.replace("mine.csv", str(tmp_path / "mine.csv"))).conductance.g_min == close(3e-6)
    with pytest.raises(InputError, match=r"mine: the tables .* make no profile") as caught:
        tabulate(up, down, "mine", "2026-02-03", unit="uS", g_max=11e-6)
    assert "knows steps from 2 uS to 10 uS, and the range is 2 uS to 11 uS" in str(caught.value)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"up.txt": "2,10\n0,1\n"}, "2 lines of numbers; a table of CrossSim has one of conductances"),
        ({"up.txt": "2,10\n0,1\n0,0\n1\n"}, "up.txt:4: 1 changes, where the first line has 2 conductances"),
        ({"up.txt": "2,10\n0,0.5,1\n0,0\n1,1\n"}, "2 lines of changes for 3 probabilities"),
        ({"up.txt": "10,2\n0,1\n0,0\n1,1\n"}, "conductances do not rise: 2 after 10"),
        ({"up.txt": "2,10\n0,2\n0,0\n1,1\n"}, "2 is not a probability"),
        ({"up.txt": "2,10\n0,1\n0,1\n1,0\n"}, "0 after 1e-06: a cumulative distribution does not fall"),
        ({"up.txt": "2,10\n0,1\n0,x\n1,0\n"}, "up.txt:3: 'x' is not a number"),
        ({"up.txt": "2,10\n0,1\n0,nan\n1,0\n"}, "up.txt:3: a number that is not finite"),
        ({"up.txt": "2\n0,1\n0\n1\n"}, "1 conductances of 2 points; a table has 2 to 4096"),
        ({"up.txt": ""}, "0 lines of numbers"),
        ({"up.txt": "2,10\n0,1\n" + "0,1\n" * 5_000_000}, "larger than 16 MiB"),
        ({"set_cdf.txt": "0 1\n"}, "set_axis_level_G.txt: no such file; it lies beside set_cdf.txt"),
        ({"set_cdf.txt": "0 1 1\n0 1 1\n", **AXES}, "cdf.txt:1: 3 probabilities, where set_axis_level_dG.txt has 4"),
        ({"set_cdf.txt": "0 0 1 1\n", **AXES}, "1 lines, where set_axis_level_G.txt has 2 conductances"),
        ({"set_cdf.txt": "0 0 1 1\n0 0.5 0.4 1\n", **AXES}, "set_cdf.txt:2: 0.4 after 0.5: a cumulative distribution"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(files: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_steps(written(tmp_path, **files), "uS")
    assert says in str(caught.value)


def test_the_command_writes_the_profile_and_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(command.tabulate)
    monkeypatch.chdir(tmp_path)
    written(tmp_path, **{"up.txt": UP, "down.txt": DOWN})
    words = ["up.txt", "down.txt", "--unit", "uS", "-o", "mine.yaml"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)["results"]
    assert (found["path"], found["table"], found["conductances"]) == ("mine.yaml", "mine.csv", [2, 3])
    assert found["mean_step"] == close(0.9375e-6)
    assert load(tmp_path / "mine.yaml").name == "mine"
    before = (tmp_path / "mine.csv").read_bytes()
    for more, says in (
        ([], "mine.csv: exists; replace it with --force"),
        (["--force", "--unit", "V"], "--unit: 'V' is not a unit of conductance"),
        (["--force", "--extends", "pmc"], "did you mean 'pcm'?"),
    ):
        refused = CliRunner().invoke(app, [*words, *more])
        assert refused.exit_code == 2
        assert says in refused.stderr
        assert (tmp_path / "mine.csv").read_bytes() == before
    swapped = CliRunner().invoke(app, ["down.txt", "up.txt", "-o", "swapped.yaml"])
    assert swapped.exit_code == 2
    assert "the other way; exchange the directions" in swapped.stderr
    assert not (tmp_path / "swapped.csv").exists()
