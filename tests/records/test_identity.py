"""A run's name changes with whatever decides its result, and with nothing else."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroanp
from neuroanp.records import code_version, environment, identity
from neuroanp.records.environment import git_commit
from neuroanp.records.identity import sources_hash

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_the_order_of_the_keys_is_no_part_of_the_name(config):
    name = identity(config, "profile", "data", "code")
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert name == identity(dict(reversed(config.items())), "profile", "data", "code")


def test_each_part_decides():
    base = ({"seed": 0}, "profile", "data", "code")
    others = [({"seed": 1}, *base[1:]), (base[0], "p", *base[2:]), (*base[:2], "d", base[3]), (*base[:3], "c")]
    assert len({identity(*parts) for parts in [base, *others]}) == 5


def test_parts_do_not_run_into_each_other():
    assert identity({}, "ab", "c", "") != identity({}, "a", "bc", "")


def test_a_number_that_is_not_finite_has_no_name():
    with pytest.raises(ValueError, match="JSON"):
        identity({"lr": float("nan")}, "", "", "")


def test_code_version_is_the_version_and_a_fingerprint():
    assert re.fullmatch(re.escape(neuroanp.__version__) + r"\+[0-9a-f]{12}", code_version())
    whole = sources_hash(Path(neuroanp.__file__).parent)  # of every room, not of one
    assert code_version().endswith(f"+{whole[:12]}")


def test_the_fingerprint_sees_names_and_contents(tmp_path):
    (tmp_path / "room").mkdir()
    file = tmp_path / "room" / "a.py"
    file.write_text("x = 1\n")
    (tmp_path / "notes.txt").write_text("not source")
    first = sources_hash(tmp_path)
    (tmp_path / "notes.txt").write_text("still not source")
    assert sources_hash(tmp_path) == first
    file.write_text("x = 2\n")
    second = sources_hash(tmp_path)
    file.rename(tmp_path / "room" / "b.py")
    assert len({first, second, sources_hash(tmp_path)}) == 3


def test_environment_names_the_software_and_the_machine():
    facts = environment()
    assert {"neuroanp", "code", "python", "torch", "numpy", "platform", "host"} <= set(facts)
    assert all(isinstance(value, str) and value for value in facts.values())


def test_a_folder_without_a_repository_of_its_own_has_no_commit(tmp_path):
    assert git_commit(tmp_path) is None
    (tmp_path / ".git").mkdir()  # a repository without a commit
    assert git_commit(tmp_path) is None
