"""What a run and a report say of outputs that a host fitted: who did it, what writing lost, and what it took."""

from __future__ import annotations

from neuroanp.export.source import model_of
from neuroanp.reporting import ending
from neuroanp.reporting.books import each_update
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import shown
from neuroanp.reporting.tables import verdicts
from neuroanp.training.forward import weights_of
from neuroanp.training.launch import launch
from neuroanp.training.results import fitted_to, result_of
from neuroanp.training.revisit import Look, revisit

from .test_refit import config


def test_a_run_and_a_report_say_that_a_host_did_it(tmp_path):
    record = launch(config("pcm"), tmp_path)
    (line,) = [line for line in record.manifest["log"] if line.startswith("refit: ")]
    assert line == (
        "refit: 200 sequences once training is over; a host solves least squares for the outputs, with their targets, "
        "and what it finds is written and booked"
    )
    one = shown(record)
    (method,) = methods([one.result])
    assert method.feedback == "S+"
    fit = {**one.result["refit"], "strength": 0.1, "at_limit": 0.0, "exact": 0.1, "after": 0.12, "before": 0.4}

    def said(*fits):
        return ending.sentences(methods([{**one.result, "refit": {**fit, **each}} for each in fits]), [one])

    first = (
        "Once training was over, a host that knows the targets fitted the outputs of pcm · anp to 200 sequences by "
        "least squares and wrote them: that is in energy and chip time, not in passes."
    )
    assert said({}) == [first]
    assert said({"at_limit": 0.125})[1:] == [
        "pcm · anp: 12 % of the weights fitted lie at the largest that their array holds."
    ]
    unseen = "on sequences that it was not fitted to."
    assert said({"after": 0.2})[1:] == [
        "pcm · anp: writing lost a part of the fit: 0.200 as the chip has it, 0.400 before, 0.100 of exact weights, "
        + unseen
    ]
    assert said({"after": 0.5})[1:] == [
        f"pcm · anp: writing lost the fit: 0.500 as the chip has it, 0.400 before, 0.100 of exact weights, {unseen}"
    ]
    nothing = {"strength": None, "at_limit": None, "after": 0.4}
    assert said({}, nothing, {})[1:] == [
        "pcm · anp: no fit, once written, was better than what the rule had left, which was written back in 1 of 3 "
        "runs."
    ]
    plain = shown(launch(config("pcm", refit=None), tmp_path))
    assert ending.sentences(methods([plain.result]), [plain]) == []


def test_fits_to_as_many_sequences_are_told_together(tmp_path):
    rows = []
    for rule, size in (("anp", 200), ("echo", 200), ("wp", 50)):
        rows.append(shown(launch(config(changes={"rule": rule}, refit=size), tmp_path)).result)
    first, second, *_ = ending.sentences(methods(rows), [])
    assert "the outputs of ideal · anp, ideal · echo to 200 sequences" in first
    assert "the outputs of ideal · wp to 50 sequences" in second


def test_a_readout_that_was_fitted_is_not_called_learned(tmp_path):
    """Where it is no better than that of the untrained network all the same: 5 sequences are few."""
    changes = {"task.length": 2, "task.symbols": 2, "optimizer.lr": 0.005}
    one = shown(launch(config(changes=changes, controls=True), tmp_path)).result
    low = {**one["controls"], "ridge": 0.05, "refit": 0.04}
    (said,) = [
        line for line in verdicts(methods([{**one, "test_loss": 0.06, "controls": low}])) if "fell short" in line
    ]
    assert "0.0600 as fitted and written, 0.0400 refit on the same recurrence" in said


def test_a_reservoir_that_forecasts_is_held_to_persistence(tmp_path):
    made = config(changes={"task": {"name": "mackey_glass"}}, updates=0, controls=True)
    one = shown(launch(made, tmp_path)).result
    worse = {**one, "controls": {**one["controls"], "persistence": 0.5 * one["test_loss"]}}
    assert any("has not shown that it forecasts anything" in line for line in verdicts(methods([worse])))
    assert not any("recurrence learned" in line for line in verdicts(methods([worse])))


def test_what_no_run_did_is_left_blank_in_the_books_and_a_reservoir_is_in_them(tmp_path):
    """Blank is not "not stated", which is said of a profile that has no figure."""
    records = [launch(config("pcm", **words), tmp_path) for words in ({}, {"refit": None}, {"updates": 0})]
    rows = [result_of(record) for record in records]
    names = ["refit", "", "reservoir"]
    books = {str(record.path): record.manifest["ledger"] for record in records}
    table = each_update(methods(rows, names), books)
    assert table is not None
    of = [c.header for c in table.columns].index("refit: energy")
    update = [c.header for c in table.columns].index("an update: energy")
    cells = [[str(row.cells[at]) for at in (update, of)] for row in table.rows]
    assert cells[1][1] == ""
    assert cells[2][0] == ""
    assert "J" in cells[0][0]
    assert "J" in cells[0][1]
    assert "J" in cells[2][1]


def test_weights_say_that_outputs_were_fitted(tmp_path):
    """Of matrices, evaluations and exports; where nothing was better than what training had left, nothing is said."""
    record = launch(config("pcm"), tmp_path)
    (row, *_) = revisit(record, Look())
    fitted = " and a fit of the outputs to 200 sequences"
    model = model_of(record)
    said = [model.origin, model_of(record, "as_held").origin, weights_of(record).origin]
    said += [weights_of(record, as_held=False).origin]
    assert all(fitted in each for each in said)
    assert f"after update 10{fitted}" in said[0]
    assert row["refit"] == 200
    record.manifest["refit"]["strength"] = None
    assert fitted_to(record) is None
    assert fitted not in weights_of(record).origin
    assert fitted_to(launch(config("pcm", refit=None), tmp_path)) is None
