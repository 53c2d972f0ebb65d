"""What a check presents, and how what a reader gives is compared: the parts that every script of an export shares."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF
from neuroanp.export.checking import compare, presented
from neuroanp.export.checking.presented import Check
from neuroanp.export.writing import exporter

from .conftest import network

FAST = LIF(tau_s=0.0, refractory=0.0, input_gain=30.0, synapse_gain=30.0)

# What is presented


def test_potentials_near_the_threshold_are_not_presented():
    """Where float32 decides whether a unit spikes no reader can be wrong."""
    distance = np.ones((6, 4))
    distance[3, 0] = distance[5, 1] = distance[0, 3] = presented.CLEAR / 2
    steps, which = presented.clear(distance, 4)
    assert (steps, which.tolist()) == (6, [2])
    steps, which = presented.clear(distance[:, [0, 1, 3]], 4)
    assert (steps, which.tolist()) == (5, [1])
    assert presented.clear(np.zeros((3, 2)), 1)[0] == 1  # something is presented in any case


def test_files_stay_small(tmp_path):
    model = network((700, 40, 2), steps=900, batch=6, spikes_in=True, neuron=FAST)
    steps, sequences = exporter("nir").shown(model)
    assert sequences == 4
    assert steps * sequences * 742 <= presented.MOST < (steps + 1) * sequences * 742


@pytest.mark.parametrize("array", [np.array([0.0, 255.0]), np.array([1, 0]), np.array([-1.0, 0.5]), np.array([256])])
def test_compact_arrays_are_the_same_numbers(array):
    np.testing.assert_array_equal(presented.compact(array), array)


def test_a_tolerance_is_stated_of_all_that_is_not_whole():
    with pytest.raises(ValueError, match="outputs"):
        Check({}, {"outputs": np.ones(2)})
    with pytest.raises(ValueError, match="spikes"):
        Check({}, {"spikes": np.ones(2, int)}, {"spikes": 1.0})


# What is compared


ONE = np.array([[1, 0, 1]])
HALF = {"y": np.array([0.5, 1.0]), "y.tolerance": np.float64(0.25)}


@pytest.mark.parametrize(
    ("found", "expected", "agrees", "said"),
    [
        ({"s": ONE}, {"s": ONE}, True, "s 0 of 3 differ (2 are not 0)"),
        ({"s": 1 - ONE}, {"s": ONE}, False, "s 3 of 3 differ"),
        ({"s": ONE[:, :2]}, {"s": ONE}, False, "s has the shape (1, 2), expected (1, 3)"),
        ({}, {"s": ONE}, False, "s is not given"),
        ({"y": np.array([0.75, 1.0])}, HALF, True, "y 0.25 off at most (0.25 allowed)"),
        ({"y": np.array([0.5, 0.74])}, HALF, False, "y 0.26 off"),
        ({"y": np.array([0.5, np.nan])}, HALF, False, "y nan off"),
        ({"y": np.array([0.5, 1.0])}, {"y": HALF["y"]}, False, "y has no y.tolerance"),
        ({"y": np.array([0.5, 9.0])}, {**HALF, "y.tolerance": np.float64(np.inf)}, False, "y has no y.tolerance"),
    ],
)
def test_arrays_are_compared(found, expected, agrees, said):
    (row,) = compare.compared(found, expected)
    assert row["agrees"] is agrees
    assert row["said"].startswith(said)


def run_main(readers, stimulus=dict, expected=lambda: {"s": ONE}, words=()):
    return compare.main(readers, list(words), stimulus, expected)


@pytest.mark.parametrize(
    ("readers", "code", "said"),
    [
        ({"a": ((), "", lambda given: {"s": ONE})}, 0, "PASS a: s 0 of 3"),
        ({"a": ((), "", lambda given: {"s": ONE}), "b": ((), "", lambda given: {"s": 0 * ONE})}, 1, "FAIL a: s 0 of"),
        ({"a": ((), "", lambda given: {"s": ONE}), "b": (("no_such",), "get b", dict)}, 0, "PASS a: s 0"),
        ({"b": (("no_such",), "get b", dict)}, 3, "NOT CHECKED: b is not here (no_such missing); get b"),
        ({"a": ((), "", lambda given: given["x"])}, 1, "FAIL a: KeyError: 'x'"),
    ],
)
def test_readers_are_asked(readers, code, said, capsys, monkeypatch):
    monkeypatch.setattr(os, "chdir", lambda place: None)
    assert run_main(readers) == code
    assert capsys.readouterr().out.startswith(said)


def test_a_reader_that_cannot_take_it_is_told_beside_those_that_did(capsys, monkeypatch):
    def limited(given):
        raise NotImplementedError("2.0.0 refuses units whose time constants differ")

    monkeypatch.setattr(os, "chdir", lambda place: None)
    readers = {"a": ((), "", lambda given: {"s": ONE}), "b": ((), "", limited), "c": (("no_such",), "get c", dict)}
    assert run_main(readers) == 0
    said = capsys.readouterr().out
    assert said.startswith("PASS a: s 0 of 3")
    assert said.rstrip().endswith(" | not asked: b 2.0.0 refuses units whose time constants differ")
    assert run_main(readers, words=["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["not_asked"] == [
        "c is not here (no_such missing); get c", "b 2.0.0 refuses units whose time constants differ",
    ]  # fmt: skip


def test_nothing_expected_and_an_unknown_reader_do_not_pass(capsys, monkeypatch):
    monkeypatch.setattr(os, "chdir", lambda place: None)
    readers = {"a": ((), "", dict)}
    assert run_main(readers, expected=dict) == 1
    assert "nothing was compared" in capsys.readouterr().out
    assert run_main(readers, words=["c"]) == 2
