"""The benchmark of rules under noise: whose settings, beside which Gaussian noise; and ideas, beside which methods."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks.rules.__main__ as script
from benchmarks import common
from benchmarks.rules.cells import TUNING, Cell
from benchmarks.rules.comparisons import against_gaussian, ideas
from benchmarks.rules.numbers import Numbers
from benchmarks.rules.overview import needed, under_noise
from benchmarks.rules.ways import IDEAS, PCM_IDEAS, WAYS

from .test_rules import CELL, SETTINGS, known


def tuned(numbers: Numbers, cell: Cell) -> None:
    """Make the first setting of a method the one that is chosen, without noise."""
    for k, setting in enumerate(WAYS[cell.way].settings):
        for seed in TUNING:
            numbers.add(cell._replace(condition="ideal").run(setting, seed, controls=False), {"test_loss": 0.1 + k})


def test_under_noise_a_row_has_the_settings_of_none_and_the_ridge_that_hears_the_noise(numbers: Numbers) -> None:
    cells = {name: CELL._replace(condition=name) for name in ("white", "smtj_koenders")}
    tuned(numbers, CELL)
    for name, losses in {"white": (0.25, 0.25), "smtj_koenders": (0.5, 1.5)}.items():
        for seed, loss in enumerate(losses):
            row = {"test_loss": loss, "ridge": 0.1, "ridge_noisy": 1.0, "refit": 9.0, "refit_noisy": 0.125}
            numbers.add(cells[name].run(SETTINGS[0], seed), row)
    tables = {name: {"copy3": [cell], "copy5": [cell._replace(task="copy5")]} for name, cell in cells.items()}
    table = under_noise(tables, numbers)
    assert under_noise({**tables, "pcm": {"copy3": [CELL._replace(condition="pcm")]}}, numbers) == table
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert '| white | echo | E | 0.25 [0.12] 2, 2 | `--conditions white --ways "echo" --only copy3` |' in lines
    assert sum(line.startswith("| smtj_koenders | echo | E | 1 [0.12] 1, 2 | ") for line in lines) == 1
    assert sum(line.endswith("| ridge, untrained | | 1 | |") for line in lines) == 2
    assert "copy5" not in table
    text = [" ".join(line.split()) for line in (against_gaussian(tables, numbers) or "").splitlines()]
    assert "| smtj_koenders | E | copy3 | echo | 1 | echo | 0.25 | 4 | | | | | 1 of 2 |" in text
    assert "- NOT MET: smtj_koenders: 0 of 1 within 3 times of Gaussian noise of .01" in text
    assert not any("its own size" in line for line in text)
    with_ideal = {**tables, "ideal": {"copy3": [CELL]}}
    for seed in (0, 1):
        known(numbers, 0, seed, 0.125, True, ridge=0.5, refit=0.125)
    assert against_gaussian(with_ideal, numbers) == against_gaussian(tables, numbers)
    assert against_gaussian({"smtj_koenders": tables["smtj_koenders"]}, numbers) is None
    assert against_gaussian({"white": tables["white"]}, numbers) is None


@pytest.mark.slow
def test_noise_of_a_device_is_held_to_the_best_of_the_class_under_gaussian_noise(numbers: Numbers) -> None:
    """Whichever method that is: one that was run under the device's noise alone counts there, too."""
    other = CELL._replace(way="echo, identified")
    for cell in (CELL, other):
        tuned(numbers, cell)
    setting = WAYS[other.way].settings[0]
    for cell, chosen, loss in (
        (CELL._replace(condition="white"), SETTINGS[0], 0.25),
        (CELL._replace(condition="smtj_koenders"), SETTINGS[0], 1.0),
        (other._replace(condition="smtj_koenders"), setting, 0.5),
    ):
        for seed in (0, 1):
            numbers.add(cell.run(chosen, seed), {"test_loss": loss, "ridge": 1.0, "refit": 1.0, "ridge_noisy": 0.75})
    cells = {
        "white": {"copy3": [CELL._replace(condition="white"), other._replace(condition="white")]},
        "smtj_koenders": {"copy3": [each._replace(condition="smtj_koenders") for each in (CELL, other)]},
    }
    text = [" ".join(line.split()) for line in (against_gaussian(cells, numbers) or "").splitlines()]
    assert "| smtj_koenders | E | copy3 | echo, identified | 0.5 | echo | 0.25 | 2 | | | | | 2 of 2 |" in text
    assert "- met: smtj_koenders: 1 of 1 within 3 times of Gaussian noise of .01" in text


@pytest.mark.slow
def test_noise_of_a_device_is_held_to_gaussian_noise_of_its_own_size(numbers: Numbers) -> None:
    """Beside that of .01, each with a verdict of its own; of a task that one of them was not run on it says nothing."""
    tuned(numbers, CELL)
    tasks = ("copy3", "parity")
    every = {name: {t: [CELL._replace(condition=name, task=t)] for t in tasks}
             for name in ("white", "white_02", "smtj_koenders")}  # fmt: skip
    tuned(numbers, CELL._replace(task="parity"))
    for condition, task, loss in (
        ("white", "copy3", 0.125), ("white_02", "copy3", 0.25), ("smtj_koenders", "copy3", 0.5),
        ("white_02", "parity", 0.125), ("smtj_koenders", "parity", 0.5),
    ):  # fmt: skip
        for seed in (0, 1):
            row = {"test_loss": loss, "ridge": 1.0, "refit": 1.0, "ridge_noisy": 0.75}
            numbers.add(every[condition][task][0].run(SETTINGS[0], seed), row)
    text = [" ".join(line.split()) for line in (against_gaussian(every, numbers) or "").splitlines()]
    assert "| smtj_koenders | E | copy3 | echo | 0.5 | echo | 0.125 | 4 | white_02 | echo | 0.25 | 2 | 2 of 2 |" in text
    assert "| smtj_koenders | E | parity | echo | 0.5 | | | | white_02 | echo | 0.125 | 4 | 2 of 2 |" in text
    assert "- NOT MET: smtj_koenders: 0 of 1 within 3 times of Gaussian noise of .01" in text
    assert "- NOT MET: smtj_koenders: 1 of 2 within 3 times of Gaussian noise of its own size" in text
    assert not any(line.startswith("| white") for line in text)


@pytest.mark.slow
def test_where_the_size_of_noise_was_not_measured_nothing_is_said_of_it(numbers: Numbers) -> None:
    cells = {name: CELL._replace(task="adding", condition=name) for name in ("white", "pcm")}
    tuned(numbers, CELL._replace(task="adding"))
    for setting in SETTINGS:
        for seed in TUNING:
            numbers.add(cells["pcm"].run(setting, seed, controls=False), {"test_loss": 0.5})
    for name, cell in cells.items():
        chosen = cell.setting(numbers)
        for seed in (0, 1):
            row = {"test_loss": 0.5 if name == "pcm" else 0.25, "ridge": 1.0, "refit": 1.0, "ridge_noisy": 0.75}
            numbers.add(cell.run(chosen, seed), row)
    text = against_gaussian({name: {"adding": [cell]} for name, cell in cells.items()}, numbers) or ""
    (line,) = [line for line in text.splitlines() if line.startswith("| pcm")]
    assert " ".join(line.split()) == "| pcm | E | adding | echo | 0.5 | echo | 0.25 | 2 | | | | | 2 of 2 |"


def test_what_methods_need_is_told_once(numbers: Numbers) -> None:
    """Under noise of those alone that the table without it has no row of."""
    other = CELL._replace(way="echo, identified")
    for cell in (CELL, other):
        tuned(numbers, cell)
        for seed in (0, 1):
            row = {"test_loss": 0.5, "ridge": 1.0, "refit": 0.5, "ridge_noisy": 1.0, "refit_noisy": 0.5}
            numbers.add(cell._replace(condition="white").run(WAYS[cell.way].settings[0], seed), row)
    cells = {"white": {"copy3": [each._replace(condition="white") for each in (CELL, other)]}}
    bullets = [line for line in under_noise(cells, numbers, ["echo"]).splitlines() if line.startswith("- ")]
    assert bullets == [f"- echo, identified: 2 passes an update; {needed('echo, identified')}"]
    assert "identifies by least squares" in bullets[0]
    assert under_noise(cells, numbers, ["echo", "echo, identified"]).count("\n- ") == 0


def test_phase_change_arrays_have_settings_of_their_own(numbers: Numbers) -> None:
    tuned(numbers, CELL)
    assert CELL._replace(condition="smtj_koenders").setting(numbers) == SETTINGS[0]
    cell = CELL._replace(condition="pcm")
    assert {run.label.split(", ")[1] for run in cell.wanted(numbers)} == {"pcm"}
    assert {run.config.seed for run in cell.wanted(numbers)} == {TUNING[0]}
    for k, setting in enumerate(SETTINGS):
        for seed in TUNING:
            numbers.add(cell.run(setting, seed, controls=False), {"test_loss": 0.9 - 0.1 * k})
    assert cell.setting(numbers) == SETTINGS[5]


def test_ideas_on_cells_that_err_are_held_to_other_methods(numbers: Numbers) -> None:
    idea, beside = (CELL._replace(way=way, condition="pcm") for way in ("echo, identified, forget 0.5", "echo"))
    (setting,) = PCM_IDEAS[idea.way].settings
    for seed in TUNING:
        numbers.add(idea.run(setting, seed, controls=False), {"test_loss": 0.5})
    for k, each in enumerate(SETTINGS):
        for seed in TUNING:
            numbers.add(beside.run(each, seed, controls=False), {"test_loss": 1.0 + k})
    cells = {"copy3": [beside, idea]}
    assert ideas(cells, numbers) is None
    text = ideas(cells, numbers, PCM_IDEAS, ("echo",)) or ""
    assert "| echo                         | E     | as tuned        | 1     |" in text
    assert "| echo, identified, forget 0.5 | E     | delta, lr 0.001 | 0.5   |" in text
    assert WAYS["echo, identified"].rule.items() <= PCM_IDEAS[idea.way].rule.items()
    values = {name: next(way.rule[k] for k in ("weights_forget", "ridge") if k in way.rule)
              for name, way in PCM_IDEAS.items()}  # fmt: skip
    assert all(name.endswith(f" {value:g}") for name, value in values.items())
    assert len(values) == 5


def test_ideas_are_tried_on_the_seeds_of_tuning_alone(numbers: Numbers) -> None:
    idea = CELL._replace(way="echo, K=3")
    (setting,) = IDEAS[idea.way].settings
    cells = {"copy3": [CELL, idea]}
    tuned(numbers, CELL)
    assert ideas(cells, numbers) is None
    for seed, loss in zip(TUNING, (1.0, 2.0), strict=True):
        assert [run.config.seed for run in idea.wanted(numbers)] == [seed]
        numbers.add(idea.run(setting, seed, controls=False), {"test_loss": loss})
    assert idea.wanted(numbers) == []
    assert idea.rows(numbers) is None
    text = ideas(cells, numbers) or ""
    assert "| echo      | E     | as tuned | 0.1   |" in text
    assert "| echo, K=3 | E     | lr 0.004 | 1.5   |" in text


@pytest.mark.long
def test_tables_of_another_file_of_numbers_leave_the_record_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those of the record itself are written."""
    (results := tmp_path / "results").mkdir()
    monkeypatch.setattr(common, "HERE", tmp_path)
    words = ["rules", "--only", "copy3", "--ways", "echo", "--until", "0"]
    tuned(Numbers(tmp_path / "own.json"), CELL)
    for seed in range(8):
        row = {"test_loss": 0.5, "ridge": 1.0, "refit": 0.5}
        Numbers(tmp_path / "own.json").add(CELL.run(SETTINGS[0], seed), row)
    monkeypatch.setattr("sys.argv", [*words, "--afresh", str(tmp_path / "own.json")])
    script.main()
    assert not [*results.iterdir()]
    monkeypatch.setattr("sys.argv", words)
    script.main()
    text = (results / "rules.md").read_text(encoding="utf-8")
    assert "\n- tables written on (runs were done before, on machines that are not noted): " in text
    assert "- machine:" not in text
