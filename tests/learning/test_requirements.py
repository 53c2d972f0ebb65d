"""What rules say that hardware must provide: in the words of one list, by their options."""

from __future__ import annotations

import re

import pytest

from neuroanp.learning import requirements
from neuroanp.learning.anp import ANP
from neuroanp.learning.echo import Echo
from neuroanp.learning.node_perturbation import NP
from neuroanp.training.filling import METHODS

WORDS = {value for name, value in vars(requirements).items() if name.isupper() and isinstance(value, str)}
LOCAL = [name for name in METHODS.names() if METHODS.get(name).local]


@pytest.mark.parametrize("name", METHODS.names())
def test_needs_are_in_the_words_of_the_list(name):
    model = METHODS.get(name)
    said = [*model().needs, *(need for more in requirements.by_choice(model).values() for need in more)]
    assert bool(said) == model.local
    for need in said:
        assert need in WORDS or re.fullmatch(r"memory per unit: [A-Z0-9 +()]+ numbers", need), need
    assert len(set(model().needs)) == len(model().needs)


@pytest.mark.parametrize("name", LOCAL)
def test_a_local_rule_hears_a_scalar_or_an_error(name):
    feedback = {requirements.SCALAR_LOSS, requirements.TRIAL_LOSS, requirements.SIGNED_ERROR, requirements.RETURN}
    assert feedback & set(METHODS.get(name)().needs)


def test_they_follow_the_options():
    assert requirements.SILENT_TWIN not in ANP().needs
    assert requirements.SILENT_TWIN in ANP(preset="paper").needs
    assert requirements.TRACE in ANP().needs
    assert requirements.TRACE not in ANP(gamma=0).needs
    assert requirements.TRACE in ANP(gamma=0, loss="trial").needs
    assert requirements.OWN_INNOVATION in ANP(difference="innovation").needs
    assert requirements.KNOWN_NOISE not in ANP().needs
    assert {requirements.KNOWN_NOISE, requirements.NOISE_LEVEL} <= set(NP().needs)


def test_a_choice_says_what_it_needs_besides():
    more = requirements.by_choice(ANP)
    assert more["reference silent"] == (requirements.SILENT_TWIN,)
    assert more["difference innovation"] == (requirements.OWN_INNOVATION,)
    assert "credit batch" not in more
    assert more["weights identified with difference innovation"] == (requirements.IDENTIFIED_INNOVATION,)


def test_so_does_an_option_that_is_off_unless_it_is_set():
    more = requirements.by_choice(Echo)
    assert more["eta"] == (requirements.SCALAR_LOSS, requirements.SQUARED_NORM)
    assert more["decorrelation"] == (requirements.DECORRELATION,)
    assert requirements.OWN_NOISE in Echo().needs
    assert "eta" not in requirements.by_choice(ANP)
    assert requirements.by_choice(ANP)["decorrelation"] == (requirements.DECORRELATION,)


def test_a_choice_that_changes_the_class_says_so():
    """Every other is of the class that the method has without it."""
    told = {"readout delta": "S+", "readout rls": "S+"}
    assert requirements.feedback_by_choice(ANP) == told
    assert requirements.feedback_by_choice(Echo) == {"hears loss": "S+"}
    assert all(requirements.feedback_by_choice(METHODS.get(name)) == {} for name in ("wp", "bptt"))
