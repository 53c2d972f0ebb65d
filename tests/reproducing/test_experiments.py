"""The paper's sizes, literally, and what follows from them for the runs."""

import pytest

from neuroanp.errors import InputError
from neuroanp.reproducing import experiments
from neuroanp.reproducing.experiments import NONE, Data, at_paper, at_quick
from neuroanp.reproducing.paper import Asked
from neuroanp.reproducing.rates import TUNING_SEEDS
from neuroanp.reproducing.running import Cell, cells, plain
from neuroanp.reproducing.ways import WAYS
from neuroanp.training.configure import configure


def config(name: str, way: str, hidden: int = 500, seed: int = 42, data: Data = NONE, quick: bool = False) -> dict:
    found = (at_quick if quick else at_paper)(data)[name]
    return plain(Cell(found, way, hidden, seed, quick))


def test_copy_is_the_experiment_of_the_paper() -> None:
    """100 symbols, delay 10: 210 steps; batches of one fixed sequence, 500 epochs; noise and rate 1e-3, plain SGD."""
    assert config("copy_fixed", "anp") == {
        "task": {
            "name": "copy", "length": 100, "delay": 10, "symbols": 8, "mode": "fixed", "fresh_test": True,
            "test_size": 64,
        },
        "network": {"hidden": 500},
        "profile": "ideal",
        "rule": {"name": "anp", "preset": "paper"},
        "perturbation": {"name": "gaussian", "sigma": 1e-3},
        "optimizer": {"name": "sgd", "schedule": "constant", "lr": 1e-3},
        "training": {
            "updates": 500, "batch": 1, "controls": False, "evaluate_every": 500, "checkpoint_every": 125,
            "log_every": 25,
        },
        "seed": 42,
    }  # fmt: skip
    assert config("copy_fresh", "anp")["task"] == {
        "name": "copy", "length": 100, "delay": 10, "symbols": 8, "mode": "fresh", "test_size": 64,
    }  # fmt: skip
    made = configure(config("copy_fixed", "anp"))
    assert (2 * made.task.length + made.task.delay, made.rule.reference, made.rule.gamma) == (210, "silent", 0.0)


def test_mackey_glass_is_5000_steps_an_epoch_both_ways() -> None:
    """10 sequences of 5,000 in windows of 60, 36 of them scored: 139 make 5,004, and 500 epochs 69,500 updates."""
    ahead, back = config("forecast", "np"), config("recall", "np")
    assert (ahead["task"]["steps"], ahead["task"]["washout"], ahead["task"]["horizon"]) == (60, 24, 15)
    assert (ahead["task"]["train_length"], ahead["training"]["batch"]) == (10 * 5015, 10)
    assert ahead["training"]["updates"] == 500 * 139
    assert (ahead["task"].pop("direction"), back["task"].pop("direction")) == ("ahead", "recall")
    assert ahead == back
    assert ahead["optimizer"]["lr"] == 1e-3 * 10  # its code sums over the batch of 10, here the mean is taken
    assert config("recall", "anp")["optimizer"]["lr"] == 1e-3


def test_rates_of_decorrelation_are_the_papers() -> None:
    """1e-4 on copy; 1e-7 elsewhere, for each of the 36 scored steps of a window, or of a mean over the steps."""
    found = {name: config(name, "danp")["rule"]["decorrelation"]["lr"] for name in ("copy_fixed", "recall", "psmnist")}
    assert found == {"copy_fixed": 1e-4, "recall": 1e-7 * 36, "psmnist": 1e-7}


def test_backpropagation_of_the_paper_is_of_one_step_with_adam() -> None:
    assert WAYS["bptt1"].label == "BPTT, 1 step"
    assert config("copy_fixed", "bptt1")["rule"] == {"name": "bptt1"}
    assert config("copy_fixed", "bptt1")["optimizer"] == {"name": "adam", "schedule": "constant", "lr": 1e-3}
    assert config("copy_fixed", "bptt")["optimizer"]["schedule"] == "cosine"  # ours, and said so


def test_weather_and_digits_take_the_files_that_are_named() -> None:
    mine = Data(csv="WTH.csv", mnist="mnist")
    weather = config("weather", "anp", data=mine)["task"]
    assert (weather["path"], weather["split"], weather["horizon"], weather["target"]) == (
        "WTH.csv", 33_600, 1, "DryBulbFarenheit",
    )  # fmt: skip
    assert len(weather["columns"]) == 9
    assert config("weather", "anp")["task"] == {"name": "weather", "horizon": 1, "window": 48, "washout": 24}
    assert config("weather", "anp")["training"]["updates"] == 500 * 33_600 // (10 * 24)
    assert config("psmnist", "anp", data=mine)["task"] == {
        "name": "mnist", "path": "mnist", "permute": 0, "test_size": 10_000,
    }  # fmt: skip
    assert config("psmnist", "anp", data=mine)["training"]["updates"] == 500 * 600
    assert config("psmnist", "anp")["task"] == {"name": "digits", "mode": "pixels", "permute": 0}


def test_passes_are_equal_where_backpropagation_counts_two() -> None:
    """1,000 passes: 500 updates of two, 250 of four."""
    ways = at_paper()["copy_fixed"].ways
    assert {way: config("copy_fixed", way)["training"]["updates"] for way in ways} == {
        "anp": 500, "danp": 500, "np": 500, "wp": 500, "mean": 250, "echo": 500, "bptt": 500, "bptt1": 500,
    }  # fmt: skip


def test_passes_are_what_the_learners_take() -> None:
    """What an update of a local rule counts is what its learner presents; one of backpropagation is one and a half."""
    from neuroanp.training.learner import make_learner

    for name, way in WAYS.items():
        learner = make_learner(configure(config("copy_fresh", name, 40, quick=True)).rule)
        assert way.passes == (2 if name.startswith("bptt") else learner.passes), name


@pytest.mark.parametrize("sized", [at_paper, at_quick])
def test_every_run_is_a_configuration(sized) -> None:
    quick = sized is at_quick
    some = cells([*sized().values()], [42], quick)
    for cell in some:
        assert cell.config.seed == 42, cell
    echo = {cell.experiment.name: cell.config.rule.lags for cell in some if cell.way == "echo"}
    lags = {"forecast": 24, "recall": 24, "weather": 24, "psmnist": 24}
    assert echo == {**lags, "copy_fixed": 25, "copy_fresh": 15} if quick else {
        **lags, "copy_fixed": 210, "copy_fresh": 210,
    }  # fmt: skip


def test_scaling_goes_from_100_to_2000() -> None:
    assert at_paper()["scaling"].widths == (100, 250, 500, 1000, 2000)
    some = cells([at_paper()["scaling"]], experiments.SEEDS, quick=False)
    assert len(some) == 3 * 5 * 5
    assert {cell.seed for cell in some} == {42, 101, 300, 482, 708}


def test_quick_seeds_were_not_tuned_on() -> None:
    assert TUNING_SEEDS == (100, 101)
    assert not {*experiments.QUICK_SEEDS} & {*TUNING_SEEDS}
    assert {*experiments.QUICK_SEEDS} < {*experiments.SEEDS}


def test_what_is_asked_for() -> None:
    assert Asked.of().seeds == (42, 101, 300, 482, 708)
    assert Asked.of(quick=True).seeds == (42, 300, 482)
    assert Asked.of(quick=True, seeds=4).seeds == (42, 300, 482, 708)
    assert Asked.of(quick=True, seeds=5).seeds == (42, 300, 482, 708, 101)
    assert Asked.of(seeds=4).seeds == (42, 101, 300, 482)
    assert Asked.of(seeds=[7, 8]).seeds == (7, 8)
    assert Asked.of(only=["scaling", "recall"]).names == ("recall", "scaling")
    for wrong in ({"only": ["recal"]}, {"only": ["recall", "recall"]}, {"seeds": 0}, {"seeds": 6}, {"seeds": [1, 1]}):
        with pytest.raises(InputError):
            Asked.of(**wrong)


def test_titles_fit_their_panels_and_each_experiment_has_its_own():
    titles = {name: experiment.title for name, experiment in at_paper().items()}
    assert titles["recall"] == "Mackey-Glass, 15 steps back, the code's task"
    assert titles == {name: experiment.title for name, experiment in at_quick().items()}
    assert len(set(titles.values())) == 7
    assert max(len(f"{name}: {title}") for name, title in titles.items()) <= 60
