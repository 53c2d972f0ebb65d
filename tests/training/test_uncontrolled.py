"""Rules that choose the sign or the place of noise are refused where devices make it, before anything begins."""

from __future__ import annotations

import pytest

from neuroanp.errors import InputError
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4},
    "network": {"hidden": 5},
    "training": {"updates": 2, "batch": 3, "controls": False},
}
ANTITHETIC = {"name": "anp", "reference": "antithetic"}


@pytest.mark.parametrize(
    ("profile", "perturbation", "rule", "said"),
    [
        ("pcm", "auto", ANTITHETIC, "rule.reference: 'antithetic' turns the sign of the noise, and the noise of the "
         "units is that of profile 'pcm' itself, and nobody controls it; use anp with reference 'two' or 'mean', or "
         "cdrge, or echo, or"),
        ("pcm", "auto", ANTITHETIC, "wp, or perturbation.name: gaussian, which adds noise on purpose"),
        ("smtj_koenders", "gaussian", {**ANTITHETIC, "name": "np"}, "nobody controls it; use anp with reference 'two' "
         "or 'mean', or cdrge, or echo, or"),
        ("smtj_koenders", "auto", "inp", "rule: 'inp' perturbs one group of units at a time, and the noise of the "
         "units is that of profile 'smtj_koenders' itself"),
        ("ideal", "none", ANTITHETIC, "and no noise is added to the units"),
    ],
)  # fmt: skip
def test_noise_that_nobody_controls(profile, perturbation, rule, said, tmp_path):
    config = configure({**SMALL, "profile": profile, "perturbation": perturbation, "rule": rule})
    with pytest.raises(InputError) as error:
        launch(config, tmp_path)
    assert said in str(error.value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("rule", [ANTITHETIC, {**ANTITHETIC, "name": "np"}, "inp"])
def test_noise_that_is_added_on_purpose_beside_that_of_a_device(rule, tmp_path):
    config = configure({**SMALL, "profile": "pcm", "perturbation": "gaussian", "rule": rule})
    assert launch(config, tmp_path).result["status"] == "finished"


@pytest.mark.parametrize("rule", [ANTITHETIC, "np", "inp"])
def test_where_there_is_no_noise_nobody_is_sent_to_a_rule_that_needs_some(rule, tmp_path):
    """Rules that move weights bring their own; units of whole numbers cannot have them moved by so little."""
    for backend, moves in (("rate", True), ("loihi", False)):
        task = "xor" if backend == "loihi" else SMALL["task"]
        config = configure({**SMALL, "task": task, "backend": backend, "perturbation": "none", "rule": rule})
        with pytest.raises(InputError) as error:
            launch(config, tmp_path)
        remedies = str(error.value).rpartition("; use ")[2]
        words = remedies.replace(",", " ").replace(":", " ").split()
        assert "gaussian" in words
        assert ("wp" in words) == moves
        assert not {"anp", "echo"} & {*words}
