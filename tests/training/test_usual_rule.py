"""What runs where nothing is said of the rule: outputs that infer their errors from the scalar loss, in class S."""

from __future__ import annotations

from typing import Any

import pytest

from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure, load_config
from neuroanp.training.described import describe
from neuroanp.training.launch import launch

from .own_losses import LogCosh

TINY: dict[str, Any] = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}, "network": {"hidden": 6},
    "training": {"updates": 3, "batch": 4, "controls": False},
}  # fmt: skip


@pytest.mark.parametrize("rule", [{}, {"rule": None}, {"rule": {}}])
def test_outputs_infer_their_errors(rule: dict[str, Any]) -> None:
    found = configure({**TINY, **rule})
    assert found.rule == ANP(preset="inferred")
    assert found.rule == ANP(preset="inferred", reference="mean", K=1, readout="rls", errors="inferred")
    assert found.rule.feedback == "S"
    assert found.optimizer.clip == 1.0
    assert configure({**TINY, **rule, "optimizer": {"clip": None}}).optimizer.clip is None
    assert configure({**TINY, **rule, "optimizer": {"lr": 0.1}}).optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"rule": "anp"}, ANP()),
        ({"rule": {"name": "anp"}}, ANP()),
        ({"rule": {"K": 3}}, ANP(preset="inferred", K=3)),
        ({"rule": {"preset": "default"}}, ANP()),
        ({"task": {"name": "digits", "loss": "cross_entropy"}, "rule": None}, ANP()),
        ({"rule": {"preset": "inferred", "K": 3}}, ANP(preset="inferred", K=3)),
        ({"task": {"name": "digits", "loss": "cross_entropy"}}, ANP()),
        ({"task": {"name": "digits", "loss": "squared_error"}}, ANP(preset="inferred")),
        ({"task": "xor", "backend": "lif"}, ANP(preset="spiking")),
    ],
)
def test_where_something_is_said_or_least_squares_are_none(other: dict[str, Any], expected: ANP) -> None:
    found = configure({**TINY, **other})
    assert found.rule == expected
    assert found.optimizer.clip == (1.0 if expected.preset == "inferred" else None)


@pytest.mark.parametrize("rule", [False, 0, [], "", [{"name": "anp"}]])
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(InputError, match="rule"):
        configure({**TINY, "rule": rule})


@pytest.mark.parametrize("options", [{"loss": "trial"}, {"reference": "running"}])
def test_options_that_need_plain_rules_say_how_to_get_them(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="preset 'default'"):
        configure({**TINY, "rule": options})
    assert configure({**TINY, "rule": {**options, "preset": "default"}}).rule == ANP(**options)


@pytest.mark.parametrize(
    ("options", "able"),
    [({"forget": 0.9}, "set readout 'rls'"), ({"ridge": 0.01}, "set readout 'rls'"),
     ({"errors": "inferred"}, "set readout 'delta' or 'rls'"), ({"readout": "delta", "forget": 0.9}, "readout 'rls'")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["anp", "np", "inp"])
def test_an_option_of_another_readout_says_which_has_it(name: str, options: dict[str, Any], able: str) -> None:
    with pytest.raises(InputError, match=f"changes nothing with readout .*{able}"):
        configure({**TINY, "rule": {"name": name, **options}})
    configure({**TINY, "rule": {"name": name, **options, "readout": "rls"}})
    configure({**TINY, "rule": {"preset": "inferred", "readout": "perturb"}})  # what a preset has is nobody's wish


def test_a_run_is_read_back_as_it_was(tmp_path) -> None:
    """And a config of before, which says nothing of readouts, is plain ANP: its preset is written out."""
    record = launch(configure(TINY), tmp_path)
    again = load_config(record.path / "config.yaml")
    assert again.rule == ANP(preset="inferred")
    plain = launch(configure({**TINY, "rule": "anp"}), tmp_path)
    text = (plain.path / "config.yaml").read_text()
    assert "readout" not in text
    assert load_config(plain.path / "config.yaml").rule == ANP()


def test_a_task_with_a_loss_of_its_own_is_told_what_to_say() -> None:
    class Options(CopyConfig):
        pass

    class OwnLoss(Copy):
        config = Options

        def __init__(self, options: Any) -> None:
            super().__init__(options)
            self.loss = LogCosh()

    TASKS.register("own loss")(OwnLoss)
    try:
        with pytest.raises(InputError, match="the loss is the mean log-cosh; use delta, or rule: anp"):
            describe(Experiment.of(configure({**TINY, "task": "own loss"})))
        describe(Experiment.of(configure({**TINY, "task": "own loss", "rule": "anp"})))
    finally:
        del TASKS._registered["own loss"]
