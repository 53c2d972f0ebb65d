"""The benchmark of rules: the same budget for every method, no reported seed in the tuning, and its claims by hand."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.rules.cells import SEMIFINAL, TUNING, Cell
from benchmarks.rules.claims import Best, below_ridge, best, claims, targets
from benchmarks.rules.numbers import Numbers, Row, digest, do_all, train
from benchmarks.rules.overview import needed, overview
from benchmarks.rules.tables import at_edge, rates_beside, section
from benchmarks.rules.ways import DEFAULT, PASSES, SAME_TEST, TASKS, WAYS
from neuroanp.errors import DivergedError, RunError
from neuroanp.noise import Streams
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure

CELL = Cell("copy3", "ideal", "echo", seeds=2)
SETTINGS = WAYS["echo"].settings


def known(numbers: Numbers, setting: int, seed: int, loss: float, controls: bool = False, **more: float) -> None:
    numbers.add(CELL.run(SETTINGS[setting], seed, controls), {"test_loss": loss, **more})


def test_every_method_is_tuned_over_as_many_settings_and_presented_as_many_passes() -> None:
    for name, way in WAYS.items():
        count = 1 if name == DEFAULT else 6
        assert len(way.settings) == len({str(setting) for setting in way.settings}) == count
        config = Cell("copy3", "ideal", name).run(way.settings[0], 0).config
        assert config.training.updates * way.passes == PASSES == 9600
    assert {name: WAYS[name].passes for name in ("BPTT", "echo", "echo + ANP", "ANP, K=15")} == {
        "BPTT": 2, "echo": 2, "echo + ANP": 4, "ANP, K=15": 16,
    }  # fmt: skip


def test_what_runs_where_no_rule_is_named_is_in_the_table_as_it_is() -> None:
    config = Cell("copy3", "ideal", DEFAULT).run(WAYS[DEFAULT].settings[0], 0).config
    usual = configure({"task": "copy"})
    assert config.rule == usual.rule
    assert config.optimizer == usual.optimizer
    assert config.perturbation == usual.perturbation
    assert config.perturbation != Cell("copy3", "ideal", "echo").run(SETTINGS[0], 0).config.perturbation


def test_what_changes_no_number_is_left_out() -> None:
    """Looks and checkpoints on the way, and trainings of the readout alone but one; runs are called as with them."""
    for name in ("BPTT", "echo"):
        run = Cell("copy3", "ideal", name).run(WAYS[name].settings[0], 0)
        given = run.config.training
        assert given.evaluate_every == given.checkpoint_every == given.updates == PASSES // 2
        assert given.controls
        assert given.frozen == (name == "BPTT")
        usual = {"evaluate_every": 50, "checkpoint_every": 100, "frozen": True}
        assert digest(run.config.model_copy(update={"training": given.model_copy(update=usual)})) == run.key


def test_settings_are_tried_on_one_seed_and_the_two_best_on_another(numbers: Numbers) -> None:
    assert [seed for _, seed in CELL.tries(numbers)] == [100] * 6
    for k, loss in enumerate((0.5, 0.1, 0.9, 0.2, 0.7, 0.3)):
        assert CELL.chosen(numbers) is None
        known(numbers, k, 100, loss)
    assert CELL.tries(numbers)[6:] == [(SETTINGS[1], 101), (SETTINGS[3], 101)]
    known(numbers, 1, 101, 0.6)
    assert CELL.chosen(numbers) is None
    known(numbers, 3, 101, 0.3)
    assert CELL.chosen(numbers) == SETTINGS[3]  # .25 in the median, of the other .35
    assert [run.config.seed for run in CELL.wanted(numbers)] == [0, 1]
    assert not {*TUNING} & {*range(8)}
    assert SEMIFINAL == 2


def test_a_setting_that_diverged_is_never_chosen(numbers: Numbers) -> None:
    for k in range(6):
        run = CELL.run(SETTINGS[k], 100, controls=False)
        numbers.add(run, {"said": "diverged"} if k else {"test_loss": 5.0})
    assert CELL.tries(numbers)[6][0] == SETTINGS[0]


def test_a_run_is_found_from_everywhere_and_is_another_with_another_setting(tmp_path: Path, numbers: Numbers) -> None:
    here, there = (Cell("weather", "ideal", "echo", Path(folder) / "WTH.csv") for folder in ("a", "/b"))
    assert here.run(SETTINGS[0], 0).key == there.run(SETTINGS[0], 0).key
    keys = {here.run(setting, seed, c).key for setting in SETTINGS for seed in (0, 1) for c in (True, False)}
    keys |= {Cell(task, "ideal", "echo").run(SETTINGS[0], 0).key for task in TASKS}
    assert len(keys) == 24 + len(TASKS)
    known(numbers, 0, 0, 0.25)
    other = Numbers(tmp_path / "other.json")
    assert other.merge(numbers.path) == 1
    assert other.merge(numbers.path) == 0
    assert (Numbers(other.path).of(CELL.run(SETTINGS[0], 0, controls=False)) or {})["test_loss"] == 0.25


def test_where_tests_are_the_same_settings_are_chosen_by_sequences_left_out(numbers: Numbers) -> None:
    cell = CELL._replace(task="weather")
    for k, setting in enumerate(SETTINGS):
        run = cell.run(setting, 100, controls=False)
        assert (run.config.training.validation, run.config.training.evaluate_every) == (128, 4800)
        numbers.add(run, {"test_loss": 1.0 + k, "validation_loss": 6.0 - k})
    assert [setting for setting, _ in cell.tries(numbers)[6:]] == [SETTINGS[5], SETTINGS[4]]
    assert cell.run(SETTINGS[0], 0).config.training.validation is None
    assert CELL.run(SETTINGS[0], 100, controls=False).config.training.validation is None


def test_a_run_that_settings_are_chosen_by_keeps_the_loss_that_they_are_chosen_by() -> None:
    """Trained in earnest, with two updates: a run's result by itself says nothing of validation."""
    cell = CELL._replace(task="mackey_glass")
    config = cell.run(SETTINGS[0], 100, controls=False).config
    short: dict[str, int | None] = {"updates": 2, "evaluate_every": 2, "checkpoint_every": 2}
    row = train(config.model_copy(update={"training": config.training.model_copy(update=short)}))
    assert 0 < row["validation_loss"] != row["test_loss"]
    assert cell.loss(row) == row["validation_loss"]
    assert CELL.loss(row) == row["test_loss"]
    assert cell.loss({"said": "diverged"}) == inf
    with pytest.raises(KeyError, match="validation_loss"):
        cell.loss({"test_loss": 0.5})
    short["validation"] = None
    bare = train(config.model_copy(update={"training": config.training.model_copy(update=short)}))
    assert "validation_loss" not in bare


def test_a_run_is_another_with_another_text_of_its_profile(tmp_path: Path) -> None:
    text = (Path(next(iter(benchmarks.__path__))) / "rules" / "white.yaml").read_text()
    keys = set()
    for name, sigma in (("a", "10 mV"), ("b", "20 mV"), ("c", "10 mV")):
        file = tmp_path / name / "white.yaml"
        file.parent.mkdir()
        file.write_text(text.replace("sigma_white: 10 mV", f"sigma_white: {sigma}"))
        keys.add(digest(configure({"task": "copy", "profile": str(file)})))
    assert len(keys) == 2


def test_what_diverged_has_no_loss_and_what_failed_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(error: Exception):
        def launch(*args: object, **kwargs: object) -> None:
            raise error

        monkeypatch.setattr("benchmarks.rules.numbers.launch", launch)

    config = CELL.run(SETTINGS[0], 0).config
    ended(DivergedError("the loss is infinite at update 3\nremedy"))
    assert train(config) == {"said": "the loss is infinite at update 3"}
    ended(RunError("the disk is full"))
    with pytest.raises(RunError, match="the disk is full"):
        train(config)


def test_a_run_that_fails_is_not_kept_nor_repeated_and_the_others_go_on(
    numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def trained(config):
        tried.append(config.seed)
        assert len(tried) < 9, "the same again and again"
        if config.seed == 1:
            raise RunError("the disk is full")
        return {"test_loss": 0.5}

    monkeypatch.setattr("benchmarks.rules.numbers.train", trained)
    threads = lambda workers, mp_context: ThreadPoolExecutor(workers)  # noqa: E731
    monkeypatch.setattr("benchmarks.rules.numbers.ProcessPoolExecutor", threads)
    runs = [CELL.run(SETTINGS[0], seed) for seed in (1, 2, 3)]
    assert do_all(lambda known: [run for run in runs if known.of(run) is None], numbers, 1, None) == 1
    assert tried == [1, 2, 3]
    assert [numbers.of(run) is not None for run in runs] == [False, True, True]
    assert do_all(lambda known: runs[:1], numbers, 1, 0.0) == 0  # no time left: nothing is begun
    assert tried == [1, 2, 3]


def row(loss: float, refit: float, ridge: float) -> dict[str, float]:
    return {"test_loss": loss, "refit": refit, "ridge": ridge}


def test_claims_are_ratios_of_medians_and_counts_of_seeds() -> None:
    found: dict[str, list[Row]] = {
        "BPTT": [row(1.0, 1.0, 9.0), row(3.0, 1.0, 9.0)],
        "echo": [row(4.0, 1.0, 5.0), row(8.0, 6.0, 5.0)],
        "ANP, K=3": [row(6.0, 4.0, 5.0), row(6.0, 4.0, 5.0)],
        "ANP, K=15": [row(10.0, 1.0, 5.0), row(10.0, 1.0, 5.0)],
        "NP": [row(24.0, 1.0, 5.0), row(24.0, 1.0, 5.0)],
    }
    assert claims(found, "ridge", "refit") == [
        "class E, best here: echo, 6, 3 times BPTT; below the ridge 1 of 2, its refit 1 of 2",
        "class S, best here: ANP, K=3, 6, 3 times BPTT; below the ridge 0 of 2, its refit 2 of 2",
        "in units of class S's best, ANP, K=3: NP 4",
        "NOT MET: class S, ANP, K=3, at 0.6 of the loss of ANP, K=15 (<= .5)",
    ]
    for rows in found.values():
        for each, lagged in zip(rows, (5.0, 9.0), strict=True):
            each["lagged_linear"] = lagged
    assert claims(found, "ridge", "refit")[0].endswith("; below the lagged linear model 2 of 2")
    found["ANP, K=3"] = found["ANP, K=15"] = [{"said": "diverged"}] * 2
    assert claims(found, "ridge", "refit")[-1].startswith("NOT MET: class S, ANP, K=")


def test_a_seed_has_no_say_in_which_method_stands_for_its_class_on_it() -> None:
    """Here each method is best by all seeds but one, and by that one alone where it is bad."""
    found: dict[str, list[Row]] = {
        "echo": [row(loss, loss, 3.0) for loss in (1.0, 2.0, 4.0)],
        "echo + ANP": [row(loss, loss, 3.0) for loss in (4.0, 2.0, 1.0)],
        "NP": [row(0.1, 0.1, 3.0)] * 3,
    }
    assert best(found, "E") == Best(
        "echo on 2 of 3 seeds, echo + ANP on 1", [found["echo + ANP"][0], found["echo"][1], found["echo"][2]]
    )
    assert claims(found, "ridge", "refit")[0].endswith("below the ridge 1 of 3, its refit 1 of 3")
    assert below_ridge((best(found, "E") or Best("", [])).rows) == 1
    assert best({way: rows[:1] for way, rows in found.items()}, "E") == Best("echo", found["echo"][:1])
    assert best(found, "S+") is None


def test_targets_are_held_class_by_class() -> None:
    """By the method of the best median, those of class S refitted; what diverged or was not run meets nothing."""
    four = [
        {"BPTT": 1.0, "echo": 9.0, "echo + ANP": 10.4, "ANP, errors told": 9.0, "ANP, K=3": 11.0, "NP": 11.0},
        {"BPTT": 1.0, "echo": 9.0, "echo + ANP": 9.6, "ANP, errors told": 9.0, "ANP, K=3": 11.0, "NP": 11.0},
    ]
    found = {way: [row(each[way], 9.5 if way == "ANP, K=3" else 99.0, 10.0) for each in four * 4] for way in four[0]}
    assert targets(found, "parity", "ideal", "ridge", "refit") == [
        "met: class E, echo: 9 times BPTT (<= 10)",
        "met: class E, echo: as learned below the ridge on 8 of 8 seeds (>= 8)",
        "met: class S+, ANP, errors told: as learned below the ridge on 8 of 8 seeds (>= 8)",
        "met: class S, ANP, K=3: its refit below the ridge on 8 of 8 seeds (>= 7)",
    ]
    assert targets(found, "copy5", "ideal", "ridge", "refit")[0] == "NOT MET: class E, echo: 9 times BPTT (<= 5)"
    for rows in (found["echo"], found["ANP, errors told"], found["ANP, K=3"]):
        rows[0] = row(10.0, 10.0, 10.0)
    found["ANP, errors told"][1:4] = [row(10.0, 1.0, 10.0)] * 3
    assert [each[:3] for each in targets(found, "copy3", "ideal", "ridge", "refit")] == ["NOT"] * 3 + ["met"]
    forecast = targets(found, "weather", "ideal", "ridge", "refit")[1:]
    assert [each.partition(":")[0] for each in forecast] == ["met", "NOT MET", "met"]
    assert [each.rpartition(" ")[2] for each in forecast] == ["7)", "5)", "7)"]
    noisy = targets(found, "weather", "white", "ridge", "refit")
    assert noisy == [
        "NOT MET: class E, echo: as learned below the ridge on 7 of 8 seeds (>= 8)",
        "NOT MET: class S+, ANP, errors told: as learned below the ridge on 4 of 8 seeds (>= 8)",
        "NOT MET: class S, ANP, K=3: as learned below the ridge on 0 of 8 seeds (>= 8)",
    ]
    few = {way: rows[4:] for way, rows in found.items()}
    assert targets(few, "parity", "ideal", "ridge", "refit")[-1].endswith("on 4 of 4 seeds (>= 4)")  # of 3.5
    assert targets(found, "lorenz", "ideal", "ridge", "refit") == []
    for way, rows in found.items():
        found[way] = [{**each, "constant_mean": 20.0} for each in rows]
    assert targets(found, "adding", "ideal", "ridge", "refit") == [
        "met: echo: 0.45 of the loss of the constant (<= .5)"
    ]
    found["echo"] = found["ANP, errors told"] = [{**each, "test_loss": 10.5} for each in found["echo"]]
    (said,) = targets(found, "adding", "ideal", "ridge", "refit")
    assert said == "met: echo + ANP: 0.5 of the loss of the constant (<= .5)"
    for way, rows in found.items():
        found[way] = [{key: value for key, value in each.items() if key != "constant_mean"} for each in rows]
    assert targets(found, "adding", "ideal", "ridge", "refit") == [
        "NOT MET: echo + ANP: ? of the loss of the constant (<= .5)"
    ]
    found["BPTT"] = [row(inf, inf, 10.0)] * 8
    assert (
        targets(found, "parity", "ideal", "ridge", "refit")[0] == "NOT MET: class E, echo + ANP: ? times BPTT (<= 10)"
    )
    for way, rows in found.items():
        found[way] = [{**each, "constant_mean": 20.0} for each in rows]
    del found["echo + ANP"]
    assert targets(found, "adding", "ideal", "ridge", "refit")[0].startswith("NOT MET: echo: 0.525 of")


@pytest.mark.slow
def test_tables_show_what_is_there_and_name_what_is_missing(numbers: Numbers) -> None:
    cells = [CELL, CELL._replace(way="NP"), CELL._replace(way="echo, K=3")]
    assert section(cells, numbers) is None
    for k in range(6):
        known(numbers, k, 100, 0.1 + k)
        known(numbers, k, 101, 0.1 + k)
    for seed in (0, 1):
        known(numbers, 0, seed, 0.25, True, ridge=0.5, refit=0.125 + seed)
    text = section(cells, numbers) or ""
    assert "| echo   | E     | delta, lr 0.001 | 0.25 [0.25 .. 0.25]" in text
    assert "2 of 2      | 1 of 2 (0.75)" in text
    assert "- not run: NP\n" in text
    assert "- rate at the edge of those that were tried: echo" in text
    assert "settings chosen under ideal; ridge without noise" in text
    assert re.search(r"; made with neuroanp \S+, torch \S+ \(2 runs\)\.", text)
    assert not at_edge("echo", SETTINGS[1])
    told = WAYS["ANP, errors told"].settings
    assert [at_edge("ANP, errors told", each) for each in told[:3]] == [False, True, True]
    assert [len(rates_beside("ANP, errors told", each)) for each in told[:3]] == [1, 2, 2]
    table = overview({"copy3": cells, "copy5": [each._replace(task="copy5") for each in cells]}, numbers)
    assert '| echo             | E     | 0.25 [0.62] 2, 1 | `--ways "echo" --only copy3` |' in table
    assert "| ridge, untrained |       | 0.5              |" in table
    assert "NP" not in table
    assert "copy5" not in table
    assert "- echo: 2 passes an update; the outputs' signed errors and changes, " in table
    assert needed("BPTT").startswith("nothing: a host learns")


def test_what_decorrelation_costs_or_brings_is_told_where_it_is_not_best() -> None:
    """In units of the best of class S; where it is itself the best, its factor would be 1."""
    found = {"ANP, K=3": [row(2.0, 1.0, 5.0)] * 2, "DANP, errors inferred": [row(3.0, 1.0, 5.0)] * 2}
    said = "in units of class S's best, ANP, K=3: DANP, errors inferred 1.5"
    assert said in claims(found, "ridge", "refit")
    found["NP"] = [row(4.0, 1.0, 5.0)] * 2
    assert said.replace("K=3: ", "K=3: NP 2, ") in claims(found, "ridge", "refit")
    found["DANP, errors inferred"] = [row(1.0, 1.0, 5.0)] * 2
    assert "in units of class S's best, DANP, errors inferred: NP 4" in claims(found, "ridge", "refit")


@pytest.mark.parametrize("name", sorted({*TASKS} - {"weather"}))
def test_settings_are_chosen_by_sequences_left_out_where_every_seed_has_the_same_test(name: str) -> None:
    """And by the test where each seed has sequences of its own; weather's are of one table, like those here."""
    shown = [Experiment.of(configure({"task": dict(TASKS[name]), "seed": seed})) for seed in TUNING]
    first, second = (each.task.test(Streams(each.config.seed).generator("test")) for each in shown)
    same = bool((np.asarray(first.inputs) == np.asarray(second.inputs)).all())
    assert same == (name in SAME_TEST)
