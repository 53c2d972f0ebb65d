"""The listing of a store tells what its runs' files do, whatever its cache holds; choices and orders are as said."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from neuroanp.api.listed import run_facts, runs
from neuroanp.errors import InputError
from neuroanp.records import RunDir
from neuroanp.records.choosing import Choice, Condition, ordered, since_of
from neuroanp.records.listing import CACHE, KEYS, facts, listing
from tests.records.lives import RESULT

SEEDS = range(6)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of six runs, the last of which still trains."""
    root = tmp_path / "runs"
    for seed in SEEDS:
        name = f"copy-pcm-anp-s{seed}-{seed:016x}"
        fields = {
            "identity": f"{seed:016x}", "profile": {"name": "pcm", "text": "", "hash": "0"}, "seeds": {"seed": seed},
            "started": f"2026-11-{seed + 10}T00:00:00+00:00",
        }  # fmt: skip
        run = RunDir.create(root, name, f"seed: {seed}\n", fields)
        if seed < 5:
            row = {"seed": seed, "test_loss": 0.5 / (seed + 1), "rule": "anp" if seed % 2 else "np", "profile": "pcm"}
            run.write_result({**RESULT, **row, "score": {"accuracy": 0.1 * seed}})
            run.end("finished")
    return root


def run_of(root: Path, seed: int) -> Path:
    return next(path for path in root.iterdir() if f"-s{seed}-" in path.name)


def of_files(root: Path) -> list[dict[str, Any]]:
    """What an independent reading of the same files says."""
    found = []
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        record = RunDir.open(path, check_code=False, quiet=True)
        row = record.result or {}
        found.append((path.name, record.manifest["status"], row.get("test_loss"), record.manifest["started"]))
    return found


def told(root: Path, **how: Any) -> list[tuple[Any, ...]]:
    return [(row["name"], row["status"], row["test_loss"], row["started"]) for row in listing(root, **how).rows]


def test_a_listing_says_what_the_files_do_with_a_cache_and_without(store):
    assert told(store, cache=False) == of_files(store)
    assert not (store / CACHE).exists()
    first = listing(store)
    assert (first.read, len(first.rows), first.broken) == (6, 6, [])
    again = listing(store)
    assert (again.read, again.rows) == (0, first.rows)
    assert all(set(row) == set(KEYS) for row in first.rows)
    running = first.rows[-1]
    assert [running[key] for key in ("task", "profile", "rule", "seed", "status", "test_loss", "sealed")] == [
        "copy", "pcm", "anp", 5, "running", None, True,
    ]  # fmt: skip


def test_a_run_that_changed_is_read_again_and_one_that_is_gone_is_listed_no_more(store):
    listing(store)
    last = run_of(store, 5)
    run = RunDir.open(last, check_code=False)
    run.write_result({**RESULT, "seed": 5, "test_loss": 0.125})
    run.end("finished")
    found = listing(store)
    assert found.read == 1
    assert told(store) == of_files(store)
    assert found.rows[-1]["test_loss"] == 0.125
    shutil.rmtree(last)
    assert told(store) == of_files(store)
    assert len(listing(store).rows) == 5


@pytest.mark.parametrize("name", ["result.json", "manifest.json"])
def test_an_edited_file_is_taken_from_its_copy_and_the_row_says_so(store, name):
    path = run_of(store, 0) / name
    before = listing(store).rows[0]
    text = path.read_text()
    path.write_text(text.replace("0.5", "0.05") if name == "result.json" else text.replace("2026-11-10", "2027-11-10"))
    row = listing(store).rows[0]
    assert row["sealed"] is False
    assert (row["test_loss"], row["started"]) == (before["test_loss"], before["started"])
    shutil.rmtree(path.parent / "copies")
    assert facts(path.parent)["sealed"] is False


@pytest.mark.parametrize(
    "harm",
    [
        lambda path, text: path.write_bytes(b""), lambda path, text: path.write_bytes(text[:-9]),
        lambda path, text: path.write_bytes(text.replace(b"0.25", b"0.24")),
        lambda path, text: path.write_bytes(b"[" * 100_000), lambda path, text: path.mkdir(),
        lambda path, text: os.mkfifo(path), lambda path, text: path.symlink_to("/dev/zero"),
    ],
    ids=["empty", "cut", "edited", "deep", "directory", "pipe", "device"],
)  # fmt: skip
def test_a_damaged_cache_is_no_cache(store, harm):
    listing(store)
    whole = (store / CACHE).read_bytes()
    (store / CACHE).unlink()
    harm(store / CACHE, whole)
    assert told(store) == of_files(store)


def test_a_cache_that_is_whole_and_false_in_form_is_not_believed(store):
    """Who made the store may have made its cache: rows of another form would break whatever shows them."""
    from neuroanp.records.listing import _head

    listing(store)
    entries = json.loads((store / CACHE).read_bytes().partition(b"\n")[2])
    for value in ({"test_loss": "low"}, {"started": 5}, {"name": "x"}, {"sealed": 1}, {"score": []}):
        false = {name: [signature, {**row, **value}] for name, (signature, row) in entries.items()}
        body = json.dumps(false).encode()
        (store / CACHE).write_bytes(_head(body).encode() + b"\n" + body)
        assert told(store) == of_files(store)


def test_what_is_no_run_is_told_or_left_alone(store):
    (store / "broken").mkdir()
    (store / "broken" / "manifest.json").write_text("{")
    (store / "notes").mkdir()
    (store / "file.txt").write_text("x")
    (store / "loop").symlink_to(store / "loop")
    found = listing(store)
    assert len(found.rows) == 6
    assert [line.partition(":")[0] for line in found.broken] == [str(store / "broken" / "manifest.json")]
    with pytest.raises(InputError, match="no such directory; name a store"):
        listing(store / "none")


def test_choices_are_those_of_plain_python(store):
    rows = listing(store).rows
    choice = Choice(
        rule=["anp"], status=["finished"], where=[Condition.of("test_loss < 0.2"), Condition.of("seed != 1")]
    )
    expected = [
        row for row in rows
        if row["rule"] == "anp" and row["status"] == "finished" and row["test_loss"] < 0.2 and row["seed"] != 1
    ]  # fmt: skip
    assert choice.of(rows) == expected
    assert [row["seed"] for row in expected] == [3]
    since = since_of("2026-11-13", datetime(2026, 12, 1, tzinfo=UTC))
    assert [row["seed"] for row in Choice(since=since).of(rows)] == [3, 4, 5]
    assert [row["seed"] for row in Choice(since=since_of("14 d", datetime(2026, 11, 28, tzinfo=UTC))).of(rows)] == [
        4,
        5,
    ]
    assert [row["seed"] for row in runs(store, where="score.accuracy >= 0.3")] == [3, 4]
    assert [row["seed"] for row in ordered(rows, "test_loss")] == [4, 3, 2, 1, 0, 5]  # who has none comes last
    assert [row["seed"] for row in ordered(rows, "-test_loss")] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("test_los < 1", "there is no 'test_los'; did you mean 'test_loss'"), ("test_loss", "no condition"),
        ("test_loss < x", "no condition"), ("test_loss < 1.2.3", "no condition"), ("task == 1", "there is no 'task'"),
        ("test_loss < \u0661", "no condition"), ("test_loss.x < 1", "there is no 'test_loss.x'"),
    ],
)  # fmt: skip
def test_a_condition_that_is_none_is_told(text, said):
    with pytest.raises(InputError, match=said):
        Condition.of(text)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "7 w", "", "7 days", "\u0667 d"])
def test_a_moment_that_is_none_is_told(text):
    with pytest.raises(InputError, match="is no moment"):
        since_of(text, datetime(2026, 11, 29, tzinfo=UTC))


def test_one_run_is_shown_with_what_is_damaged_in_it(store):
    path = run_of(store, 2)
    (path / "result.json").write_text("{}")
    found = run_facts(path)
    assert found["sealed"] is False
    assert found["damage"][0].startswith(f"{path / 'result.json'}: not as it was written")
    assert (found["seed"], found["config"]) == (2, "seed: 2\n")
