"""What is filled in where a source does not say: the rule, and what spiking units, a target or a preset need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.methods import BASELINES
from neuroanp.errors import InputError, did_you_mean
from neuroanp.learning.protocol import RULES
from neuroanp.method import Method, of_preset
from neuroanp.registry import refuse_incomplete
from neuroanp.tasks.options import PLAIN
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.learner import LEARNERS, own_learners
from neuroanp.training.targets import TARGETS, fill
from neuroanp.yaml_io import Document

DECORRELATED = {"danp": "anp", "dnp": "np", "dwp": "wp"}
"""What papers call rules beside decorrelation, which is an option of each of them here."""


class Methods:
    """All one can train with: local rules, baselines and learners that are methods of their own, by name."""

    kind = "rule"

    def names(self) -> list[str]:
        """List local rules, then baselines, then learners."""
        return [*RULES.names(), *BASELINES.names(), *own_learners()]

    def get(self, name: str) -> Any:
        """Return the model of a method's options; InputError names the known ones."""
        found = LEARNERS.get(name).options if name in LEARNERS.names() else None
        if found is not None:
            refuse_incomplete(found, Method, f"learner '{name}': the model of its options")
            return found
        if name in BASELINES.names():
            return BASELINES.get(name)
        if name not in RULES.names():
            known = self.names()
            raise InputError(f"unknown rule '{name}'{self.hint(name)} (known: {', '.join(known)})")
        return RULES.get(name)

    def hint(self, name: str) -> str:
        """Say what a rule that is not known may be; of those that papers name by an option, which option it is.

        >>> METHODS.hint("danp"), METHODS.hint("ekho")
        ("; write 'anp' with rule.decorrelation, e.g. rule.decorrelation.lr=1e-2", "; did you mean 'echo'?")
        """
        if name in DECORRELATED:
            return f"; write '{DECORRELATED[name]}' with rule.decorrelation, e.g. rule.decorrelation.lr=1e-2"
        return did_you_mean(name, self.names())


METHODS = Methods()


SPIKING: Mapping[str, Any] = {
    "dt": "1 ms",
    "neuron": {"name": "lif"},
    "perturbation": {"sigma": 0.5, "output": 0.1},  # in thresholds
    "rule": {"preset": "spiking"},
}
"""What is filled in where a backend's units spike and the source does not say: settings that are known to learn."""


USUAL: Mapping[str, Any] = {"name": "anp", "preset": "inferred"}
"""The rule where none is named, units do not spike and the loss is the squared error.

Of class S the best on parity, XOR and Mackey-Glass; on copy decorrelation does better, and there worse:
benchmarks/results/rules.md.
"""


def spikes(backend: Any) -> bool:
    """Return whether the units of a backend spike; False for one that is not known."""
    return isinstance(backend, str) and backend in BACKENDS.names() and BACKENDS.get(backend).spiking


def filled(document: Document) -> Document:
    """Return the document with what its target, its spiking units and its rule's preset need and it does not state."""
    whole = _with_neuron_in_layers(_with_usual_rule(_with_defaults_of_spiking(_with_target(document))))
    return _with_optimizer_of_preset(_with_groups_of_network(whole))


def _with_target(document: Document) -> Document:
    """Fill what a known target needs and the source does not state."""
    backend, name = document.data.get("backend"), document.data.get("target")
    if name is None and isinstance(backend, str) and TARGETS.get(backend) and TARGETS[backend].backend == backend:
        name = backend  # a chip's own backend is of no other
        document = replace(document, data={**document.data, "target": name})
    if not isinstance(name, str) or name not in TARGETS:
        return document
    return replace(document, data=fill(document.data, name))


def _with_defaults_of_spiking(document: Document) -> Document:
    """Fill what `SPIKING` has and the source does not state, where the backend's units spike."""
    data = dict(document.data)
    if not spikes(data.get("backend")):
        return document
    for key, value in SPIKING.items():
        stated = data.get(key)
        if not isinstance(value, Mapping):
            data.setdefault(key, value)
        elif stated is None or isinstance(stated, Mapping):
            data[key] = {**(_preset(stated) if key == "rule" else value), **(stated or {})}
    return replace(document, data=data)


def _with_usual_rule(document: Document) -> Document:
    """Fill which rule where none is named; options alone are of that rule."""
    data = dict(document.data)
    stated = data.get("rule")
    if stated is None:
        data.pop("rule", None)
    elif not isinstance(stated, Mapping) or "name" in stated:
        return document
    if spikes(data.get("backend")) or not _is_squared(data.get("task")):
        return replace(document, data=data)
    return replace(document, data={**data, "rule": {**USUAL, **(stated or {})}})


def _is_squared(task: Any) -> bool:
    """Return whether a task's loss is known to be the squared error: of one's own tasks some have another, unsaid."""
    stated: Mapping[str, Any] = {"name": task} if isinstance(task, str) else task if isinstance(task, Mapping) else {}
    name = stated.get("name")
    if not isinstance(name, str) or name not in TASKS.names():
        return False
    usual = TASKS.get(name).config.model_fields.get("loss")
    return usual is not None and stated.get("loss", usual.default) == PLAIN


def _with_neuron_in_layers(document: Document) -> Document:
    """Fill options of `neuron` into the layers of the same kind of unit that do not state them."""
    neuron, network = document.data.get("neuron"), document.data.get("network")
    layers = network.get("layers") if isinstance(network, Mapping) else None
    if not (isinstance(neuron, Mapping) and isinstance(network, Mapping) and isinstance(layers, list)):
        return document
    name = neuron.get("name", "lif")

    def whole(layer: Any) -> Any:
        cell = layer.get("cell") if isinstance(layer, Mapping) else None
        own = {"name": cell} if isinstance(cell, str) else cell
        same = isinstance(own, Mapping) and own.get("name") == name
        return {**layer, "cell": {**neuron, **own}} if same and isinstance(own, Mapping) else layer

    filled = {**network, "layers": [whole(layer) for layer in layers]}
    return replace(document, data={**document.data, "network": filled})


def _preset(rule: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the preset for spiking units of a rule that has one."""
    name = (rule or {}).get("name", "anp")
    model = METHODS.get(name) if isinstance(name, str) and name in METHODS.names() else None
    return SPIKING["rule"] if model is not None and "spiking" in model.presets else {}


def _with_groups_of_network(document: Document) -> Document:
    """Fill how many groups of units a rule perturbs one by one, where it asks for that and layers are listed."""
    rule, network = document.data.get("rule"), document.data.get("network")
    stated: Mapping[str, Any] = {"name": rule} if isinstance(rule, str) else rule if isinstance(rule, Mapping) else {}
    name, layers = stated.get("name", "anp"), network.get("layers") if isinstance(network, Mapping) else None
    known = isinstance(name, str) and name in METHODS.names()
    if not (known and isinstance(layers, list) and layers and "groups" in METHODS.get(name).model_fields):
        return document
    return replace(document, data={**document.data, "rule": {"groups": len(layers) + 1, **stated}})


def _with_optimizer_of_preset(document: Document) -> Document:
    """Fill the optimizer keys that a rule's preset has and the source does not state (the paper's is plain SGD)."""
    rule, stated = document.data.get("rule"), document.data.get("optimizer") or {}
    if not isinstance(rule, Mapping) or not isinstance(stated, Mapping):
        return document
    name = rule.get("name", "anp")
    model = METHODS.get(name) if isinstance(name, str) and name in METHODS.names() else None
    filled = {} if model is None else of_preset(model.preset_optimizers, rule, "")
    return replace(document, data={**document.data, "optimizer": {**filled, **stated}}) if filled else document
