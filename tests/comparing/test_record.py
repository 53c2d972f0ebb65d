"""The record of a comparison is what a comparison writes, whoever made the file: its seal anybody can compute."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from neuroanp import api
from neuroanp.comparing import record
from neuroanp.comparing.record import Record
from neuroanp.errors import InputError
from neuroanp.records.seal import of_fields
from neuroanp.reporting import tuning
from tests.reporting.test_tuning import search


def written(folder, **changes: Any) -> None:
    """Write a whole record, changed and sealed anew."""
    Record("compare", ["neuroanp"], ["copy-pcm-anp-s0-0123456789abcdef"], failed=[["a", "b"]], tuning=[search()]).write(
        folder
    )
    path = folder / record.NAME
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**fields, "seal": of_fields(fields)}))


def test_a_record_comes_back(tmp_path):
    written(tmp_path)
    found = record.read(tmp_path)
    assert (found.runs, found.failed) == (["copy-pcm-anp-s0-0123456789abcdef"], [["a", "b"]])
    assert json.loads(json.dumps(found.tuning)) == json.loads(json.dumps([search()]))


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../x", "/etc", "a/b", "a\0b", "x\n", 5, None, {}, "x" * 200, "\x1b[31m"]
)
def test_runs_lie_beside_it(tmp_path, name):
    written(tmp_path, runs=[name])
    with pytest.raises(InputError, match="damaged"):
        record.read(tmp_path)
    with pytest.raises(InputError, match="damaged"):
        api.report(tmp_path)


@pytest.mark.parametrize("key", list(search()))
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, [None], {"a": []}, True, [[]]])
def test_a_search_is_shown_or_refused(tmp_path, key, value):
    """What is taken can be shown: as a table, in a figure and in sentences."""
    one = {**deepcopy(search()), key: value}
    written(tmp_path, tuning=[one])
    try:
        found = record.read(tmp_path).tuning
    except InputError:
        return
    tuning.table(found)
    tuning.sentences(found)
    tuning.figure(found, "mse")


@pytest.mark.parametrize(
    "changes", [{"failed": [["a"]]}, {"failed": ["ab"]}, {"argv": [1]}, {"tuning": [5]}, {"failed": [[1, 2]]}]
)
def test_other_fields_hold_texts(tmp_path, changes):
    written(tmp_path, **changes)
    with pytest.raises(InputError, match="damaged"):
        record.read(tmp_path)
