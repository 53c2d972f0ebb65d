"""Links in a store lead nowhere: they are told of, and what they lead to is not shown."""

import shutil
from pathlib import Path

import pytest

from neuroanp.errors import InputError
from neuroanp.records import RunDir
from neuroanp.records.finding import found
from neuroanp.records.listing import listing
from neuroanp.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    RunDir.create(root, "own-ideal-anp-s0-0123456789abcdef", "seed: 0\n", {"identity": "0123456789abcdef"})
    other = RunDir.create(
        tmp_path / "outside", "other-ideal-anp-s0-1123456789abcdef", "seed: 0\n", {"identity": "1" * 16}
    )
    (root / "z-link").symlink_to(other.path)
    (root / "nowhere").symlink_to(tmp_path / "none")
    return root


@pytest.mark.parametrize("cache", [True, False])
def test_a_run_that_a_link_leads_to_is_not_listed(store: Path, cache: bool) -> None:
    for _ in range(2):
        made = listing(store, cache)
        assert [row["name"] for row in made.rows] == ["own-ideal-anp-s0-0123456789abcdef"]
        assert [line.partition(":")[0] for line in made.broken] == [str(store / "z-link")]
        assert "runs lie in their store themselves" in made.broken[0]


def test_nor_is_it_a_run_of_the_store(store: Path) -> None:
    assert [run.path.name for run in Store(store).runs()] == ["own-ideal-anp-s0-0123456789abcdef"]
    assert [line.partition(":")[0] for line in Store(store).broken()] == [str(store / "z-link")]
    assert found(store / "z-l") == store / "z-l"


def test_a_store_that_is_itself_named_by_a_link_is_what_was_asked_for(store: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(store)
    assert len(listing(tmp_path / "named").rows) == 1


def test_what_is_no_status_is_told_with_those_that_there_are(store: Path) -> None:
    from neuroanp.api.listed import runs

    with pytest.raises(InputError, match="--status: there is no 'finishd'; did you mean 'finished'"):
        runs(store, status="finishd")
    shutil.rmtree(store)
