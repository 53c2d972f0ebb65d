"""The configuration of a run: what a YAML file, `--set` or keyword arguments may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from neuroanp.backends.neuron import NEURONS, Interface
from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.methods import BASELINES
from neuroanp.devices.device import ALL_EFFECTS, EFFECTS
from neuroanp.errors import InputError, did_you_mean
from neuroanp.learning.optimisers import Optimizer
from neuroanp.learning.protocol import RULES
from neuroanp.tasks.encoders import ENCODERS, Current, Encoder
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.targets import TARGETS, fill, misfits
from neuroanp.training.times import Idle, without_repeats
from neuroanp.units import PositiveTime, Size, Temperature, dimension_of, format_quantity
from neuroanp.yaml_io import Chosen, Document, Section, assign, at, dump, read, validate


class Methods:
    """All one can train with: local rules and baselines, by name."""

    kind = "rule"

    def names(self) -> list[str]:
        """List local rules, then baselines."""
        return [*RULES.names(), *BASELINES.names()]

    def get(self, name: str) -> Any:
        """Return the model of a rule's or baseline's options; InputError names the known ones."""
        if name in BASELINES.names():
            return BASELINES.get(name)
        if name not in RULES.names():
            known = self.names()
            raise InputError(f"unknown rule '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
        return RULES.get(name)


METHODS = Methods()


def _task_options(task: Any) -> type[BaseModel]:
    return task.config


class Network(Section):
    """The network's size, and where its first weights come from."""

    hidden: int = Field(default=100, ge=1, le=100_000, description="hidden units N")
    bias: bool = Field(default=False, description="one more input line, held at 1")
    weights: str | None = Field(
        default=None, min_length=1, description="start from a run's weights (its directory) or a safetensors file's"
    )


class PerturbationConfig(Section):
    """What makes passes differ."""

    name: Literal["auto", "gaussian", "none"] = Field(
        default="auto",
        description="auto: Gaussian only where no noise of the device reaches the units; gaussian: always",
    )
    sigma: float = Field(
        default=1e-2, gt=0, le=10, description="standard deviation of the Gaussian on the pre-activations"
    )
    output: float | None = Field(
        default=None, ge=0, le=10, description="standard deviation of that on the outputs; unset: sigma"
    )


class Hardware(Section):
    """How the profile's hardware is used."""

    write: Literal["auto", "ideal", "verify", "pulse"] = Field(
        default="auto",
        description="ideal: exactly; verify: program and verify; pulse: in situ; auto: verify where possible",
    )
    read: Literal["moments", "sampled"] = Field(
        default="moments", description="read noise by its exact moments, or every device drawn at every read (slow)"
    )
    temperature: Temperature | None = Field(
        default=None, description="of the chip's surroundings; unset: the profile's"
    )
    wires: Literal["fast", "exact"] = Field(
        default="fast", description="resistance of the lines by an approximation, or by the exact nodal solve (slow)"
    )
    only: list[str] = Field(default_factory=list, description="the non-idealities that are on; empty: all")
    without: list[str] = Field(default_factory=list, description="non-idealities that are off")

    @field_validator("only", "without")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in EFFECTS:
                near = did_you_mean(name, EFFECTS)
                raise ValueError(f"'{name}' is not a non-ideality{near} (known: {', '.join(EFFECTS)})")
        return sorted(set(names))

    def effects(self) -> frozenset[str]:
        """Return the non-idealities that are on."""
        return (frozenset(self.only) or ALL_EFFECTS) - frozenset(self.without)


class TrainingConfig(Section):
    """How long and how to train."""

    updates: int = Field(
        default=1000, ge=0, le=99_999_999, description="weight updates; 0 (with network.weights): program and evaluate"
    )
    batch: int = Field(default=32, ge=1, le=1_000_000, description="sequences an update, B")
    checkpoint_every: int = Field(default=100, ge=1, description="updates between checkpoints")
    evaluate_every: int = Field(default=50, ge=1, description="updates between evaluations on the held-out sequences")
    log_every: int = Field(default=10, ge=1, description="updates between rows of the metrics")
    chunk: int = Field(default=64, ge=1, description="steps of time simulated at once: memory, not results")
    memory: Size = Field(default=2**30, description="what stored passes may take; beyond it they are run twice")
    controls: bool = Field(default=True, description="compute the controls after training")
    evaluate_after: list[Idle] = Field(
        default_factory=list, description="evaluate the result again after the chip has lain idle that long"
    )

    _once = field_validator("evaluate_after")(without_repeats)


class Compute(Section):
    """What computes the simulation."""

    dtype: Literal["float32", "float64"] = Field(default="float32", description="precision")
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="torch device")
    threads: int = Field(default=1, ge=1, le=1024, description="threads of one run; results may differ in rounding")
    recurrence: Literal["auto", "synapses", "dense", "sparse"] = Field(
        default="auto", description="Brian2: how spikes are spread; auto: what is fastest for the size"
    )
    loop: Literal["auto", "fast", "run"] = Field(
        default="auto", description="Brian2: step its objects directly, or call net.run (slow); auto: fast if safe"
    )
    target: Literal["auto", "cython", "numpy"] = Field(
        default="auto", description="Brian2: of the generated code; auto: cython where there is a compiler"
    )


class RunConfig(Section):
    """Everything that decides a run, besides the profile's content and the data."""

    task: Annotated[Any, Chosen("name", TASKS, model=_task_options)]
    encoder: Annotated[Encoder, Chosen("name", ENCODERS, default="current")] = Current()
    network: Network = Network()
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
    def _enough_others(self) -> RunConfig:
        if getattr(self.rule, "control_variate", "none") == "batch" and self.training.batch < 2:
            raise at(("rule", "control_variate"), "'batch' takes the other samples' mean; it needs training.batch >= 2")
        return self

    @model_validator(mode="after")
    def _units_of_the_backend(self) -> RunConfig:
        """Check that the backend has such units, and that a step is short enough for them and for the encoder."""
        spiking = spikes(self.backend)
        if spiking and self.neuron is None:
            raise at(("neuron",), f"backend '{self.backend}' has spiking units; write 'neuron: lif'")
        if not spiking and self.neuron is not None:
            raise at(("neuron",), f"backend '{self.backend}' has tanh units; leave it out, or use backend 'spiking'")
        units = getattr(BACKENDS.get(self.backend), "units", Interface)
        if self.neuron is not None and not isinstance(self.neuron, units):
            raise at(
                ("neuron",),
                f"backend '{self.backend}' has leaky integrate-and-fire units only; use backend 'spiking'",
            )
        try:
            self.encoder.check(self.dt)
        except ValueError as error:
            raise at(("encoder",), str(error)) from None
        if self.neuron is not None:
            try:
                self.neuron.check(self.dt)
            except ValueError as error:
                key, _, said = str(error).partition(": ")
                raise at(("neuron", key), said) from None
        return self

    @model_validator(mode="after")
    def _fits_its_target(self) -> RunConfig:
        chip = TARGETS.get(self.backend)
        if chip is not None and chip.backend == self.backend != self.target:
            raise at(("target",), f"backend '{self.backend}' is that of target '{self.backend}'; leave target out")
        if self.target is not None:
            try:
                problems = misfits(self.target, self.neuron, self.encoder.spikes, self.dt)
            except ValueError as error:
                raise at(("target",), str(error)) from None
            for key, said in problems:
                raise at(key, said)
        return self

    @model_validator(mode="after")
    def _learns_or_starts_from_weights(self) -> RunConfig:
        if self.training.updates == 0 and self.network.weights is None:
            raise at(
                ("training", "updates"),
                "0 must be at least 1, unless network.weights gives weights to evaluate as they are",
            )
        return self

    def anchored(self) -> RunConfig:
        """Return the configuration with files by their whole paths, so that it means the same from any directory."""
        is_file = self.profile.endswith((".yaml", ".yml")) or "/" in self.profile
        changes: dict[str, Any] = {"profile": str(Path(self.profile).resolve())} if is_file else {}
        if self.network.weights is not None:
            whole = str(Path(self.network.weights).resolve())
            changes["network"] = self.network.model_copy(update={"weights": whole})
        path = getattr(self.task, "path", None)
        if path is not None:
            changes["task"] = self.task.model_copy(update={"path": Path(path).resolve()})
        return self.model_copy(update=changes)

    def to_plain(self) -> dict[str, Any]:
        """Return the configuration as plain values that `configure` takes back unchanged."""
        plain = self.model_dump(mode="json")
        # fields that a Chosen section fills do not know the name they were picked by
        plain["task"] = {"name": self.task_name, **plain["task"]}
        plain["rule"] = {**plain["rule"], "name": METHODS_FIELD.name_of(self.rule)}
        plain["encoder"] = {**self.encoder.model_dump(mode="json"), "name": ENCODER_FIELD.name_of(self.encoder)}
        if self.neuron is not None:
            plain["neuron"] = {**_with_units(self.neuron), "name": NEURON_FIELD.name_of(self.neuron)}
        plain["dt"] = format_quantity(self.dt, "s", digits=None)
        plain["training"]["memory"] = format_quantity(self.training.memory, "B", digits=None)
        if self.hardware.temperature is not None:
            plain["hardware"]["temperature"] = format_quantity(self.hardware.temperature, "K", digits=None)
        return plain

    def to_yaml(self) -> str:
        """Return the configuration as a YAML file."""
        return dump(self.to_plain())

    @property
    def task_name(self) -> str:
        """The task's registered name."""
        return TASK_FIELD.name_of(self.task)

    @property
    def rule_name(self) -> str:
        """The rule's registered name."""
        return METHODS_FIELD.name_of(self.rule)


TASK_FIELD = Chosen("name", TASKS, model=_task_options)
METHODS_FIELD = Chosen("name", METHODS, default="anp")
ENCODER_FIELD = Chosen("name", ENCODERS, default="current")
NEURON_FIELD = Chosen("name", NEURONS, default="lif")
SHORT = ("task", "rule", "perturbation", "encoder", "neuron")
"""Sections that a bare name can stand for: `task: copy` is `task: {name: copy}`."""


SPIKING: Mapping[str, Any] = {
    "dt": "1 ms",
    "neuron": {"name": "lif"},
    "perturbation": {"sigma": 0.5, "output": 0.1},  # in thresholds
    "rule": {"preset": "spiking"},
}
"""What is filled in where a backend's units spike and the source does not say: settings that are known to learn."""


def spikes(backend: Any) -> bool:
    """Return whether the units of a backend spike; False for one that is not known."""
    return isinstance(backend, str) and backend in BACKENDS.names() and getattr(BACKENDS.get(backend), "spiking", False)


def _with_units(section: BaseModel) -> dict[str, Any]:
    """Return a section as plain values, quantities as text with their unit."""
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        dimension = dimension_of(field.annotation, field.metadata)
        if dimension is not None and isinstance(plain[name], float | int):
            plain[name] = format_quantity(plain[name], dimension.unit, digits=None)
    return plain


def configure(
    source: str | Path | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    task: str | None = None,
    profile: str | None = None,
    rule: str | None = None,
    backend: str | None = None,
    target: str | None = None,
    updates: int | None = None,
    seed: int | None = None,
) -> RunConfig:
    """Resolve a configuration.

    Args:
        source: a YAML file, its content as a mapping, or None for all defaults.
        overrides: values by dotted key; text is read as YAML would read it ("1e-3" is a number).
        task, rule: a name; options of the source stay if they are that one's.
        profile, backend, target, updates, seed: as in the file.

    Raises:
        InputError: one line for each thing wrong, with file and line where it came from a file.

    >>> config = configure({"task": "copy"}, {"rule.K": 4}, seed=1)
    >>> config.task.length, config.rule.K, config.seed
    (3, 4, 1)
    """
    document = _document(source)
    words = {"profile": profile, "backend": backend, "target": target, "training.updates": updates, "seed": seed}
    for key, name in (("task", task), ("rule", rule)):
        if name is not None:
            document = replace(document, data={**document.data, key: named(document.data.get(key), name)})
    given = {**{key: value for key, value in words.items() if value is not None}, **(overrides or {})}
    for key, value in given.items():
        # an empty word is a name that is missing, and not YAML's null
        text = value if isinstance(value, str) and (value.strip() or key not in words) else json.dumps(value)
        if key in SHORT and isinstance(value, str):
            text = json.dumps({"name": value})
        document = assign(document, [f"{key}={text}"])
    document = _with_optimizer_of_preset(_with_defaults_of_spiking(_with_target(document)))
    if "task" not in document.data:
        raise InputError(f"no task; name one with --task or 'task:' in a file (known: {', '.join(TASKS.names())})")
    return validate(document, RunConfig)


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


def _preset(rule: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the preset for spiking units of a rule that has one."""
    name = (rule or {}).get("name", "anp")
    model = METHODS.get(name) if isinstance(name, str) and name in METHODS.names() else None
    return SPIKING["rule"] if "spiking" in getattr(model, "presets", {}) else {}


def _with_optimizer_of_preset(document: Document) -> Document:
    """Fill the optimizer keys that a rule's preset has and the source does not state (the paper's is plain SGD)."""
    rule, stated = document.data.get("rule"), document.data.get("optimizer") or {}
    if not isinstance(rule, Mapping) or not isinstance(stated, Mapping):
        return document
    name = rule.get("name", "anp")
    model = METHODS.get(name) if isinstance(name, str) and name in METHODS.names() else None
    filled = getattr(model, "preset_optimizers", {}).get(rule.get("preset"), {})
    return replace(document, data={**document.data, "optimizer": {**filled, **stated}}) if filled else document


def load_config(path: Path) -> RunConfig:
    """Read a run's resolved configuration."""
    return configure(path)


def named(section: Any, name: str) -> dict[str, Any]:
    """Return the section if it is already the one called `name`, else that one with its defaults.

    >>> named({"name": "anp", "K": 4}, "anp"), named({"name": "anp", "K": 4}, "bptt")
    ({'name': 'anp', 'K': 4}, {'name': 'bptt'})
    """
    own = section if isinstance(section, Mapping) else {"name": section}
    return dict(own) if own.get("name") == name else {"name": name}


def _document(source: str | Path | Mapping[str, Any] | None) -> Document:
    if source is None:
        document = Document("the command line", {})
    elif isinstance(source, Mapping):
        document = Document("configuration", dict(source))
    else:
        document = read(source)
    short = {key: {"name": document.data[key]} for key in SHORT if isinstance(document.data.get(key), str)}
    return replace(document, data={**document.data, **short})
