"""The configuration of a run: what a YAML file, `--set` or keyword arguments may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator, model_validator

from neuroanp.backends.neuron import NEURONS
from neuroanp.backends.protocol import BACKENDS
from neuroanp.errors import InputError, did_you_mean
from neuroanp.files import real
from neuroanp.learning.iterative import INP
from neuroanp.learning.optimisers import Optimizer
from neuroanp.learning.passes import PassRule
from neuroanp.learning.protocol import RULES
from neuroanp.network.network import Network
from neuroanp.network.tanh import Tanh
from neuroanp.records.finding import found
from neuroanp.tasks.encoders import ENCODERS, Current, Encoder
from neuroanp.tasks.protocol import TASKS
from neuroanp.training import computed, on_bench, sharding, together
from neuroanp.training.filling import METHODS, spikes
from neuroanp.training.layers import NetworkConfig
from neuroanp.training.sections import Compute, Hardware, PerturbationConfig, TrainingConfig
from neuroanp.units import PositiveTime
from neuroanp.yaml_io import Chosen, Problem, Section, all_at, dump, to_plain


def _task_options(task: Any) -> type[BaseModel]:
    return task.config


class RunConfig(Section):
    """Everything that decides a run, besides the profile's content and the data.

    Args:
        task, encoder, network, neuron, rule, perturbation, hardware, optimizer, training, compute: sections, each a
            model of its options by their names (`neuroanp schema`, docs of its class).

    >>> from neuroanp.training.configure import configure
    >>> config = configure(task="copy", rule="anp", network={"hidden": 8})
    >>> config.task_name, config.rule_name, config.feedback, config.anchored().profile
    ('copy', 'anp', 'S', 'ideal')
    >>> config.network_of(inputs=3, outputs=2).shapes["w"], config.to_plain()["network"]
    ((8, 8), {'hidden': 8, 'bias': False, 'weights': None})
    >>> configure(config.to_plain()) == config, config.to_yaml().splitlines()[0]
    (True, 'task:')
    """

    task: Annotated[Any, Chosen("name", TASKS, model=_task_options)]
    encoder: Annotated[Encoder, Chosen("name", ENCODERS, default="current")] = Current()
    network: NetworkConfig = NetworkConfig()
    profile: str = Field(default="ideal", min_length=1, description="a shipped profile's name, or a file")
    backend: str = Field(default="rate", description="the simulator")
    neuron: Annotated[Any, Chosen("name", NEURONS, default="lif")] | None = None
    rule: Annotated[Any, Chosen("name", METHODS, default="anp")] = Field(default_factory=lambda: RULES.get("anp")())
    perturbation: PerturbationConfig = PerturbationConfig()
    hardware: Hardware = Hardware()
    optimizer: Optimizer = Optimizer()
    training: TrainingConfig = TrainingConfig()
    compute: Compute = Compute()
    seed: int = Field(default=0, ge=0, lt=2**63, description="of all random streams")
    dt: PositiveTime = Field(default=1e-6, description="chip time of one step")
    target: str | None = Field(default=None, description="chip or format that the network will be exported to")

    @field_validator("backend")
    @classmethod
    def _known_backend(cls, name: str) -> str:
        known = BACKENDS.names()
        if name not in known:
            raise ValueError(f"unknown backend '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
        return name

    @model_validator(mode="after")
    def _goes_together(self) -> RunConfig:
        """Refuse sections that do not go together, all of them at once."""
        units = together.of_units(self.backend, self.neuron, self.network, self.target, self.encoder.spikes, self.dt)
        other = any(each.key == ("neuron",) for each in units.problems)  # what is there is to be replaced
        timed = units.sure or "dt" in self.model_fields_set  # the step that another backend has is not known yet
        problems = [
            *self.network.misfits(),
            *units.problems,
            *(together.of_steps(None if other else self.neuron, self.network, self.encoder, self.dt) if timed else ()),
            *(together.of_rule(self.rule, self.backend) if units.sure else ()),
            *self._of_numbers(units.sure),
        ]
        if problems:
            raise all_at(problems)
        return self

    def _of_numbers(self, sure: bool) -> list[Problem]:
        """Find values that another one rules out; `sure`: whether the backend is to have the units that it has."""
        problems: list[Problem] = []
        if isinstance(self.rule, PassRule) and self.rule.control_variate == "batch" and self.training.batch < 2:
            said = "'batch' takes the other samples' mean; it needs training.batch >= 2"
            problems.append(Problem(("rule", "control_variate"), said))
        there = len(self.network.layers or (None,)) + 1
        if isinstance(self.rule, INP) and self.rule.groups != there:
            said = f"{self.rule.groups}, and this network has {there} groups of units, its layers and the outputs"
            problems.append(Problem(("rule", "groups"), f"{said}; leave it out"))
        problems += together.of_noise(self.perturbation, self.rule)
        problems += computed.misfits(self.rule, self.network, self.optimizer, self.perturbation, self.training)
        problems += sharding.misfits(self.rule, self.compute)
        parts = self.backend, self.rule, self.perturbation, self.training, self.compute
        problems += on_bench.misfits(self.hardware, *parts)
        if not self.network.input_delay and not (self.encoder.spikes and (spikes(self.backend) or not sure)):
            said = "0 is of inputs that are spikes; others act at once, leave it out"
            problems.append(Problem(("network", "input_delay"), said))
        if 0 < self.training.updates <= self.optimizer.warmup:
            said = f"{self.optimizer.warmup} leaves none of the {self.training.updates} updates; lower it"
            problems.append(Problem(("optimizer", "warmup"), said))
        if self.training.updates == 0 and self.network.weights is None and self.training.refit is None:
            said = "0 must be at least 1, unless network.weights gives weights to evaluate as they are, or "
            said += "training.refit fits the outputs of a network that is left as it was drawn"
            problems.append(Problem(("training", "updates"), said))
        if self.training.updates == 0 and self.training.refit is not None and self.network.output_gain != 1:
            said = (
                "changes nothing: with training.updates 0 training.refit fits the weights of the outputs; leave it out"
            )
            problems.append(Problem(("network", "output_gain"), said))
        return problems

    def network_of(self, inputs: int, outputs: int) -> Network:
        """Return the network for a task of so many inputs and outputs."""
        return self.network.stack(inputs, outputs, Tanh() if self.neuron is None else self.neuron)

    def anchored(self) -> RunConfig:
        """Return the configuration with files by their whole paths, so that it means the same from any directory.

        Raises:
            InputError: a whole path is not Unicode, which no file can hold.
        """
        is_file = self.profile.endswith((".yaml", ".yml")) or "/" in self.profile or "\\" in self.profile
        changes: dict[str, Any] = {"profile": _whole("profile", self.profile)} if is_file else {}
        if self.network.weights is not None:
            whole = _whole("network.weights", found(Path(self.network.weights)))
            changes["network"] = self.network.model_copy(update={"weights": whole})
        path = self.task.path if "path" in type(self.task).model_fields else None
        if path is not None:
            changes["task"] = self.task.model_copy(update={"path": Path(_whole("task.path", path))})
        if self.training.extends is not None:
            run = _whole("training.extends.run", found(Path(self.training.extends.run)))
            extends = self.training.extends.model_copy(update={"run": run})
            changes["training"] = self.training.model_copy(update={"extends": extends})
        hardware = self.hardware.with_paths(lambda key, path: _whole(f"hardware.options.{key}", path))
        if hardware != self.hardware:
            changes["hardware"] = hardware
        return self.model_copy(update=changes)

    def to_plain(self) -> dict[str, Any]:
        """Return the configuration as plain values that `configure` takes back unchanged."""
        return to_plain(self)

    def to_yaml(self) -> str:
        """Return the configuration as a YAML file."""
        return dump(self.to_plain())

    @property
    def task_name(self) -> str:
        """The task's registered name."""
        return TASK_FIELD.name_of(self.task)

    @property
    def feedback(self) -> str:
        """The class of feedback: the rule's; S+ where outputs alone are fitted, or those of a rule of class S are."""
        feedback, training = self.rule.feedback, self.training
        return "S+" if training.refit is not None and (feedback == "S" or training.updates == 0) else feedback

    @property
    def rule_name(self) -> str:
        """The rule's registered name."""
        return METHODS_FIELD.name_of(self.rule)


TASK_FIELD = Chosen("name", TASKS, model=_task_options)
METHODS_FIELD = Chosen("name", METHODS, default="anp")


def _whole(key: str, path: str | Path) -> str:
    """Return the whole path of a file; InputError where no YAML file can hold it."""
    whole = str(real(path))
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise InputError(f"{key}: {whole!r} is not Unicode; rename that directory or file") from None
    return whole
