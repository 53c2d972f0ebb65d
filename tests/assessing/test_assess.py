"""From measurements to the page: what is stored is used again, and what is said is what the runs gave."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import neuroanp as na
from neuroanp.assessing.report import LOSSES, table, to_dict
from neuroanp.cli.main import app
from neuroanp.errors import InputError
from neuroanp.profiles import load
from neuroanp.records.json_io import finite
from tests.assessing.conftest import TINY, InTurn, content, written
from tests.close import close

QUICK: dict[str, Any] = {
    "tasks": "tiny.yaml", "beside": "ideal", "seeds": 3, "progress": False, "requirements": False,
    "argv": ["neuroanp", "assess", "good.csv"],
}  # fmt: skip
TRACE = Path(__file__).parents[2] / "examples" / "data" / "telegraph.csv"
PLAIN = {**QUICK, "report": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An assessment with controls, made twice: the folder, what both calls gave, files before the second, and runs."""
    with pytest.MonkeyPatch.context() as patch:
        runs = InTurn()
        patch.setattr("neuroanp.comparing.pool.run_all", runs)
        patch.chdir(tmp_path_factory.mktemp("work"))
        written(Path("good.csv"), 0.2e-6)
        Path("tiny.yaml").write_text(TINY.replace(", controls: false", ""))
        first = na.assess("good.csv", **QUICK)
        counts, before = [runs.done], content()
        again = na.assess("good.csv", **QUICK)
        yield Path.cwd(), first, again, before, content(), [*counts, runs.done]


@pytest.fixture
def there(made: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first of both, in its folder."""
    monkeypatch.chdir(made[0])
    return made[1]


@pytest.mark.slow
def test_an_assessment_has_profile_page_and_record_and_a_second_call_repeats_nothing(made, there) -> None:
    _, first, again, before, after, counts = made
    assert counts == [6, 6]  # two profiles, three seeds
    folder = Path("assessments/good")
    names = {path.name for path in folder.iterdir()}
    drawn = {f"fit-programming{end}" for end in (".svg", "-phone.svg", ".csv")}
    assert names == {"good.yaml", *drawn, "fit.json", "report.html", "assessment.json", "runs"}
    assert after == before
    assert again.to_dict() == first.to_dict()
    assert json.loads((folder / "assessment.json").read_text()) == finite(to_dict(first.found))


@pytest.mark.slow
def test_the_profile_is_the_fit_and_its_numbers_say_where_they_are_from(there) -> None:
    found = there
    (law,) = found.to_dict()["fits"]
    (c0,) = [one for one in law["parameters"] if one["parameter"] == "programming.c0"]
    assert c0["low"] < 0.2e-6 < c0["high"]
    profile = load(found.path)
    assert profile.hash == found.to_dict()["profile_hash"]
    counts = found.to_dict()["parameters"]
    assert sum(counts.values()) == len(profile.provenance)
    assert counts["inherited"] == len(profile.inherited) > 0
    own = [origin.status for key, origin in profile.provenance.items() if key not in profile.inherited]
    assert counts["fitted"] == own.count("fitted")
    assert any("taken over from pcm" in line for line in found.words)


@pytest.mark.slow
def test_what_is_said_is_what_the_runs_gave(there) -> None:
    found = there
    (task,) = found.to_dict()["tasks"]
    losses: dict[str, list[float]] = {}
    for row in task["results"]:
        stored = json.loads((Path(row["run"]) / "result.json").read_text())
        assert stored["test_loss"] == row["test_loss"]
        losses.setdefault(row["profile"], []).append(row["test_loss"])
    (row,) = table(found.found).rows
    shown = [cell.text for cell in row.cells[2 : 2 + len(LOSSES)]]
    assert [float(one) for one in shown[:2]] == close([median(losses[name]) for name in ("good", "ideal")], rel=5e-3)
    (held,) = [one for one in task["held"] if one["other"] == "frozen recurrence"]
    frozen = [one["controls"]["frozen_recurrence"] for one in task["results"] if one["profile"] == "good"]
    assert held["losses"] == [[*pair] for pair in zip(losses["good"], frozen, strict=True)]
    assert float(shown[2]) == close(median(frozen), rel=5e-3)
    there_frozen = [one["controls"]["frozen_recurrence"] for one in task["results"] if one["profile"] == "ideal"]
    assert task["requirements"]["target"] == f"test_loss < {median(there_frozen):.3g}"
    assert median(there_frozen) != close(median(frozen))
    assert found.verdicts == {"tiny": "cannot be told"}  # of three seeds nothing can
    assert "3 seeds can tell no loss from a control" in found.words[0]
    assert "†‡" in row.cells[-3].text  # pcm's energies are illustrative, and taken over


@pytest.mark.slow
def test_the_page_says_what_is_said_and_needs_nothing_but_itself(there) -> None:
    page = there.report.read_text()
    (row,) = table(there.found).rows
    for line in (*there.words, *[cell.text for cell in row.cells]):
        assert escape(line.removeprefix("tiny: ")) in page.replace("&#39;", "&#x27;")
    assert page.count("<script") == 1  # the one that the policy names by its hash
    assert {part.partition('"')[0][:5] for part in page.split(' src="')[1:]} == {"data:"}


@pytest.mark.slow
def test_the_command_line_says_what_python_does(made, there, in_turn) -> None:
    words = ["assess", "good.csv", "--task", "tiny.yaml", "--beside", "ideal", "--seeds", "3", "--no-requirements"]
    shown = CliRunner().invoke(app, [*words, "--json"])
    assert shown.exit_code == 0, shown.output
    (told,) = json.loads(shown.stdout)["results"]
    assert told == finite(there.to_dict())
    assert in_turn.done == 0
    plain = CliRunner().invoke(app, [*words, "--no-progress"])
    assert plain.exit_code == 0, plain.output
    said = " ".join(plain.stdout.split())
    assert all(line in said for line in told["words"])
    assert plain.stdout.splitlines()[-1] == f"report: {told['report']}"


def test_a_fit_that_does_not_describe_its_data_gives_no_verdict(here, in_turn) -> None:
    before = content()
    told: dict[str, Any] = {**QUICK, "law": "koenders", "name": "mine"}
    with pytest.raises(InputError, match="law koenders does not describe these data"):
        na.assess(TRACE, **told)
    assert (content(), in_turn.done) == (before, 0)
    refused = CliRunner().invoke(app, ["assess", str(TRACE), "--law", "koenders", "--task", "tiny.yaml"])
    assert refused.exit_code == 2
    assert "take it --anyway" in refused.stderr
    assert (content(), in_turn.done) == (before, 0)


@pytest.mark.slow
def test_what_is_said_anyway_says_first_that_the_fit_does_not_describe_its_data(here, in_turn) -> None:
    found = na.assess(TRACE, **QUICK, law="koenders", name="mine", anyway=True)
    assert found.words[0].startswith("The fit does not describe its data (telegraph.csv, stochastic: the high level")
    assert found.to_dict()["describes_its_data"] is False
    page = found.report.read_text()
    assert page.index("The fit does not describe its data") < page.index('class="headline"')
    assert any("count as illustrative" in line for line in found.words)


@pytest.mark.slow
def test_a_folder_is_of_one_set_of_measurements(here, in_turn) -> None:
    na.assess("good.csv", **PLAIN)
    before = content()
    written(Path("other.csv"), 1e-6)
    with pytest.raises(InputError, match="holds the assessment of other measurements"):
        na.assess("other.csv", output="assessments/good", **PLAIN)
    assert content().keys() == {*before, "other.csv"}
    other = na.assess("other.csv", output="assessments/good", name="good", force=True, **PLAIN)
    assert other.profile.hash != json.loads(before["assessments/good/assessment.json"])["profile_hash"]
    profile = Path("assessments/good/good.yaml")
    profile.write_text(profile.read_text().replace("fitted to", "measured of"))
    with pytest.raises(InputError, match=r"good.yaml: was changed since it was fitted; restore it, or give --force"):
        na.assess("other.csv", output="assessments/good", name="good", **PLAIN)
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="-o full: holds other files"):
        na.assess("good.csv", output="full", **PLAIN)


def test_what_was_cut_off_goes_on(here, in_turn, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(jobs: Any, *rest: Any) -> Any:
        in_turn(jobs[:2], *rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("neuroanp.comparing.pool.run_all", cut)
        with pytest.raises(KeyboardInterrupt):
            na.assess("good.csv", **PLAIN)
    assert in_turn.done == 2
    profile = Path("assessments/good/good.yaml").stat().st_mtime_ns
    na.assess("good.csv", **PLAIN)
    assert in_turn.done == 6
    assert Path("assessments/good/good.yaml").stat().st_mtime_ns == profile


@pytest.mark.slow
def test_settings_of_one_task_and_of_all_reach_the_runs(here, in_turn) -> None:
    Path("other.yaml").write_text(TINY)
    found = na.assess(
        "good.csv", **{**PLAIN, "tasks": ["tiny.yaml", "other.yaml"], "updates": 2},
        overrides={"training.batch": 3, "network.hidden": 5}, for_task={"other": {"task.length": 2}},
    )  # fmt: skip
    configs = {one.name: one.laid.configs["good"][0] for one in found.found.trained}
    assert [one.training.updates for one in configs.values()] == [2, 2]
    assert [one.training.batch for one in configs.values()] == [3, 3]
    assert [one.task.model_dump()["length"] for one in configs.values()] == [1, 2]
    assert [row["updates"] for task in found.to_dict()["tasks"] for row in task["results"]] == [2] * 12


@pytest.mark.slow
def test_a_device_may_be_written_by_pulses_beside_ones_that_cannot_be(here, in_turn) -> None:
    pulses = Path(__file__).parents[2] / "examples" / "data" / "pulse.csv"
    found = na.assess(pulses, **PLAIN, write="pulse")
    (task,) = found.found.trained
    writes = {name: some[0].hardware.write for name, some in task.laid.configs.items()}
    assert writes == {"pulse": "pulse", "ideal": "auto"}
    assert {one.run.manifest["device"]["write"] for one in task.runs if one.result["profile"] == "pulse"} == {"pulse"}


@pytest.mark.slow
def test_requirements_are_looked_for_where_the_target_is_missed_alone(here, in_turn) -> None:
    words = {**PLAIN, "requirements": True, "overrides": {"hardware.only": ["programming_error"]}}
    missed = na.assess("good.csv", **words, target="test_loss < 1e-9")
    (task,) = missed.to_dict()["tasks"]
    assert task["requirements"]["why_no_sweep"] == "the ideal device misses it too: more --updates, or another --target"
    own, ideal = ([row["test_loss"] for row in task["results"] if row["profile"] == name] for name in ("good", "ideal"))
    assert median(own) > median(ideal)
    target = f"test_loss < {0.5 * (median(own) + median(ideal)):.6g}"
    before = in_turn.done
    swept = na.assess("good.csv", **{**words, "report": True}, target=target)
    (task,) = swept.to_dict()["tasks"]
    need = task["requirements"]
    assert (need["target"], need["why_no_sweep"]) == (target, "")
    assert [one["parameter"] for one in need["sweep"]["parameters"]] == ["programming.c0+c1+c2"]
    assert need["sweep"]["stated"]["met"] is False
    assert in_turn.done - before == 3 * (1 + 3)  # as stated, ideal, a decade less and more; three seeds
    assert Path(need["page"]).is_file()
    assert Path(need["page"]).relative_to("assessments/good").as_posix() in swept.report.read_text()
    before = in_turn.done
    na.assess("good.csv", **words, target=target)
    assert in_turn.done == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "word"),
    [
        pytest.param(0.05e-6, ("learns", "learns as well as ideal"), marks=pytest.mark.long),
        (12e-6, ("does not learn",)),
    ],
)
def test_a_device_of_known_truth_learns_and_one_of_absurd_noise_does_not(here, in_turn, error, word) -> None:
    """Errors of a write of .05 and 12 uS, of 25 uS full scale."""
    written(Path("device.csv"), error)
    told = {**PLAIN, "tasks": "copy", "seeds": 5, "overrides": {"hardware.only": ["programming_error"]}}
    found = na.assess("device.csv", **told)
    assert found.verdicts["copy"] in word, found.words
    assert found.words[0].startswith(f"device: {found.verdicts['copy']} (copy)")
    (task,) = found.to_dict()["tasks"]
    losses = {name: [r["test_loss"] for r in task["results"] if r["profile"] == name] for name in ("device", "ideal")}
    assert (max(losses["device"]) < 0.1) == (error < 1e-6)  # the constant mean has 0.19
    assert max(losses["ideal"]) < 0.05


@pytest.mark.slow
def test_a_forecast_of_ones_own_table_is_assessed_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped trace of a junction on a synthetic year of weather: a day's and a year's cycle, and noise."""
    monkeypatch.chdir(tmp_path)
    rng, hours = np.random.default_rng(0), np.arange(1200)
    stamps = np.datetime64("2020-01-01T00:00") + hours.astype("timedelta64[h]")
    warm = (
        10 + 8 * np.sin(2 * np.pi * hours / 24) + 12 * np.sin(2 * np.pi * hours / 8766) + rng.normal(0, 1, len(hours))
    )
    rows = [f"{stamp},{t:.2f},{60 - t:.1f}" for stamp, t in zip(stamps, warm, strict=True)]
    Path("station.csv").write_text("\n".join(["date,temperature,humidity", *rows]) + "\n")
    words = ["--task", "weather", "--seeds", "3", "--updates", "4", "--beside", "ideal", "--no-requirements"]
    for setting in ("path=station.csv", "target=temperature", "time=date", "window=12", "horizon=6", "washout=4"):
        words += ["--for", f"weather:task.{setting}"]
    words += ["--set", "training.batch=2", "--set", "network.hidden=4", "--workers", "1", "--no-progress", "--json"]
    done = CliRunner().invoke(app, ["assess", str(TRACE), *words])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)
    assert (tmp_path / "assessments" / "telegraph" / "report.html").is_file()
    text = (tmp_path / "assessments" / "telegraph" / "report.html").read_text()
    assert "persistence" in text
