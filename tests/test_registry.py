"""Names: every built-in one loads, a user's package adds its own, a wrong one is told what is near."""

from __future__ import annotations

import sys
import tomllib
from importlib import invalidate_caches
from pathlib import Path

import pytest

from neuroanp.backends.neuron import NEURONS
from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.methods import BASELINES
from neuroanp.errors import InputError
from neuroanp.export.protocol import EXPORTERS
from neuroanp.instruments.protocol import INSTRUMENTS
from neuroanp.learning.protocol import RULES
from neuroanp.losses import LOSSES
from neuroanp.network.cell import CELLS
from neuroanp.profiles.laws import LAWS
from neuroanp.registry import Registry
from neuroanp.tasks.encoders import ENCODERS
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.learner import LEARNERS

REGISTRIES = [
    BACKENDS, BASELINES, CELLS, ENCODERS, EXPORTERS, INSTRUMENTS, LEARNERS, LOSSES, NEURONS, RULES, TASKS,
    *LAWS.values(),
]  # fmt: skip
DECLARED = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["entry-points"]

MODULE = '''
from neuroanp.learning.anp import ANP


class Mine(ANP):
    """Learn as ANP does, under another name."""
'''


@pytest.fixture
def users_package(tmp_path, monkeypatch):
    """A package on the path with a rule of its own, as pip would have installed it."""
    info = tmp_path / "my_rules-1.0.dist-info"
    info.mkdir()
    (tmp_path / "my_rules.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neuroanp.rules]\nmine = my_rules:Mine\nlost = my_rules:Nowhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    yield
    sys.modules.pop("my_rules", None)


def test_what_is_declared_is_what_is_found():
    assert {registry.group for registry in REGISTRIES} == set(DECLARED)
    for registry in REGISTRIES:
        assert set(DECLARED[registry.group]) <= set(registry.names())


@pytest.mark.parametrize(
    ("registry", "name"), [(registry, name) for registry in REGISTRIES for name in sorted(DECLARED[registry.group])]
)
def test_every_built_in_name_loads_and_says_what_it_is(registry, name):
    assert registry.get(name) is registry.get(name)
    assert len(registry.summary(name)) > 10


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_an_unknown_name_is_told_what_is_near_and_what_there_is(registry):
    name = registry.names()[0]
    with pytest.raises(InputError) as caught:
        registry.get(name + "q")
    for said in (f"unknown {registry.kind}", f"did you mean '{name}'?", *registry.names()):
        assert said in str(caught.value)


def test_a_users_package_is_found_without_a_fork(users_package):
    from neuroanp.training.configure import configure

    assert "mine" in RULES.names()
    assert RULES.summary("mine") == "Learn as ANP does, under another name."
    config = configure({"task": "copy", "rule": {"name": "anp", "K": 2}})
    assert config.rule_name == "anp"


def test_a_users_rule_trains_by_its_name(users_package, tmp_path):
    """A rule of a user's own: configuration, round trip, training."""
    from neuroanp.training.build import Experiment, build_trainer
    from neuroanp.training.configure import configure

    (tmp_path / "my_rules.py").write_text(MODULE.replace('"""\n', '"""\n\n    name: str = "mine"\n'))
    config = configure({"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 5}}, rule="mine")
    assert config.rule_name == "mine"
    assert configure(config.to_plain()) == config
    assert build_trainer(Experiment.of(config)).step()["update"] == 1


def test_an_entry_point_that_leads_nowhere_is_the_users_to_repair(users_package):
    with pytest.raises(InputError, match=r"lost.*my_rules:Nowhere"):
        RULES.get("lost")


def test_a_name_is_taken_once():
    rules = Registry("rule", "neuroanp.rules")
    with pytest.raises(InputError, match="'anp' is already registered"):
        rules.register("anp")(object)
    rules.register("mine")(object)
    with pytest.raises(InputError, match="'mine' is already registered"):
        rules.register("mine")(int)
    assert "mine" not in RULES.names()  # registered there, not here


def test_what_is_defined_again_takes_the_place_of_what_it_was(caplog):
    """A notebook's cell is run again; a name of another thing, or of an entry point, stays taken."""
    rules = Registry("rule", "neuroanp.rules")

    def cell(name: str = "Mine", module: str = "__main__"):
        return type(name, (), {"__module__": module})

    rules.register("mine")(cell())
    assert not caplog.messages
    again = rules.register("mine")(cell())
    assert rules.get("mine") is again
    (said,) = caplog.messages
    assert said.startswith("rule 'mine' is defined again; runs that were made with what it was are shown")
    for other in (cell("Other"), cell(module="elsewhere"), again()):
        with pytest.raises(InputError, match="'mine' is already registered"):
            rules.register("mine")(other)
    with pytest.raises(InputError, match="'anp' is already registered"):
        rules.register("anp")(rules.get("anp"))
    assert rules.get("mine") is again


def test_a_thing_without_a_name_of_its_own_is_never_one_that_is_defined_again():
    things: Registry[object] = Registry("thing", "neuroanp.no_such_group")
    things.register("mine")(object())
    with pytest.raises(InputError, match="'mine' is already registered"):
        things.register("mine")(object())


def test_an_empty_registry_says_so():
    with pytest.raises(InputError, match=r"unknown thing 'x' \(known: none\)"):
        Registry("thing", "neuroanp.no_such_group").get("x")


def test_a_thing_without_docstring_has_an_empty_summary():
    things: Registry[object] = Registry("thing", "neuroanp.no_such_group")
    things.register("bare")(type("Bare", (), {}))
    assert things.summary("bare") == ""
