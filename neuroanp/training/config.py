"""The configuration of a run: what a YAML file, `--set` or keyword arguments may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from neuroanp.backends.neuron import NEURONS
from neuroanp.backends.protocol import BACKENDS
from neuroanp.devices.effects import ALL_EFFECTS, EFFECTS
from neuroanp.errors import InputError, did_you_mean
from neuroanp.learning.optimisers import Optimizer
from neuroanp.learning.passes import PassRule
from neuroanp.learning.protocol import RULES
from neuroanp.network.compose import stack
from neuroanp.network.network import Network
from neuroanp.network.tanh import Tanh
from neuroanp.records.store import found
from neuroanp.tasks.encoders import ENCODERS, Current, Encoder
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.filling import METHODS, filled, spikes
from neuroanp.training.layers import NetworkConfig
from neuroanp.training.targets import TARGETS, misfits
from neuroanp.training.times import Idle, without_repeats
from neuroanp.units import PositiveTime, Size, Temperature
from neuroanp.yaml_io import Chosen, Document, Section, at, dump, parse, parse_value, place, read, to_plain, validate


def _task_options(task: Any) -> type[BaseModel]:
    return task.config


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


MOST_UPDATES = 99_999_999
"""Checkpoints are named by eight digits."""


class TrainingConfig(Section):
    """How long and how to train."""

    updates: int = Field(
        default=1000,
        ge=0,
        le=MOST_UPDATES,
        description="weight updates; 0 (with network.weights): program and evaluate",
    )
    batch: int = Field(default=32, ge=1, le=1_000_000, description="sequences an update, B")
    checkpoint_every: int = Field(default=100, ge=1, description="updates between checkpoints")
    evaluate_every: int = Field(default=50, ge=1, description="updates between evaluations on the held-out sequences")
    log_every: int = Field(default=10, ge=1, description="updates between rows of the metrics")
    chunk: int = Field(default=64, ge=1, description="steps of time simulated at once: memory, not results")
    memory: Size = Field(default=2.0**30, description="what stored passes may take; beyond it they are run twice")
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
    def _enough_others(self) -> RunConfig:
        if isinstance(self.rule, PassRule) and self.rule.control_variate == "batch" and self.training.batch < 2:
            raise at(("rule", "control_variate"), "'batch' takes the other samples' mean; it needs training.batch >= 2")
        return self

    @model_validator(mode="after")
    def _target_of_the_backend(self) -> RunConfig:
        """Check that a chip's backend is asked for its own chip: another's fills in units that it does not have."""
        chip = TARGETS.get(self.backend)
        if chip is not None and chip.backend == self.backend != self.target:
            raise at(("target",), f"backend '{self.backend}' is that of target '{self.backend}'; leave target out")
        return self

    @model_validator(mode="after")
    def _units_of_the_backend(self) -> RunConfig:
        """Check that the backend has such units, and that a step is short enough for them and for the encoder."""
        spiking = spikes(self.backend)
        if spiking and self.neuron is None:
            raise at(("neuron",), f"backend '{self.backend}' has spiking units; write 'neuron: lif'")
        if not spiking and self.neuron is not None:
            raise at(("neuron",), f"backend '{self.backend}' has tanh units; leave it out, or use backend 'spiking'")
        try:
            self.encoder.check(self.dt)
        except ValueError as error:
            raise at(("encoder",), str(error)) from None
        for where, cell in self._neurons():
            try:
                cell.check(self.dt)
            except ValueError as error:
                key, _, said = str(error).partition(": ")
                raise at((*where, key), said) from None
        return self

    def _neurons(self) -> list[tuple[tuple[str | int, ...], Any]]:
        """Return the models of units that spike, each with its key."""
        found: list[tuple[tuple[str | int, ...], Any]] = [] if self.neuron is None else [(("neuron",), self.neuron)]
        for index, layer in enumerate(self.network.layers or ()):
            if layer.cell is not None and layer.cell.spikes:
                found.append((("network", "layers", index, "cell"), layer.cell))
        return found

    @model_validator(mode="after")
    def _inputs_are_spikes(self) -> RunConfig:
        if not self.network.input_delay and not (spikes(self.backend) and self.encoder.spikes):
            raise at(("network", "input_delay"), "0 is of inputs that are spikes; others act at once, leave it out")
        return self

    @model_validator(mode="after")
    def _fits_its_target(self) -> RunConfig:
        if self.target is not None:
            try:
                problems = misfits(self.target, self.neuron, self.encoder.spikes, self.dt, self.network)
            except ValueError as error:
                raise at(("target",), str(error)) from None
            for key, said in problems:
                raise at(key, said)
        return self

    @model_validator(mode="after")
    def _is_simulated_by_its_backend(self) -> RunConfig:
        """Check the units that a target has left: of its own backend it says more exactly what does not fit."""
        refused = BACKENDS.get(self.backend).refuses(self.network_of(1, 1))
        if refused:
            raise at(("neuron",) if self.network.layers is None else ("network", "layers"), "; ".join(refused))
        return self

    @model_validator(mode="after")
    def _learns_or_starts_from_weights(self) -> RunConfig:
        if self.training.updates == 0 and self.network.weights is None:
            raise at(
                ("training", "updates"),
                "0 must be at least 1, unless network.weights gives weights to evaluate as they are",
            )
        return self

    def network_of(self, inputs: int, outputs: int) -> Network:
        """Return the network for a task of so many inputs and outputs."""
        network, usual = self.network, Tanh() if self.neuron is None else self.neuron
        return stack(inputs, network.stacked(usual), outputs, network.bias, network.skip, network.input_delay)

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
        return self.model_copy(update=changes)

    def to_plain(self) -> dict[str, Any]:
        """Return the configuration as plain values that `configure` takes back unchanged."""
        return to_plain(self)

    def check_dump(self) -> None:
        """Raise InputError where the configuration does not come back from `to_yaml`: its run could not be resumed.

        All that is built in comes back. A task or rule of a user's own may refuse its defaults once they are written
        out, or hold what is not equal to itself.
        """
        try:
            back = configure(parse(self.to_yaml(), "config.yaml").data)
            differs = [name for name in type(self).model_fields if getattr(back, name) != getattr(self, name)]
            problems = [f"{name}: reads back as {getattr(back, name)!r:.200}" for name in differs]
        except InputError as error:
            problems = [*error.problems] or [error.message]
        if problems:
            raise InputError(
                f"task '{self.task_name}', rule '{self.rule_name}': with its defaults written out the configuration "
                "does not come back, so its run could not be resumed; let their options take every value they can have",
                problems,
            )

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
SHORT = ("task", "rule", "perturbation", "encoder", "neuron")
"""Sections that a bare name can stand for: `task: copy` is `task: {name: copy}`."""
WORDS = (*RunConfig.model_fields, "updates")
"""What `configure` takes by keyword; all else goes by `overrides`."""


def _whole(key: str, path: str | Path) -> str:
    """Return the whole path of a file; InputError where no YAML file can hold it."""
    whole = str(Path(path).resolve())
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise InputError(f"{key}: {whole!r} is not Unicode; rename that directory or file") from None
    return whole


def configure(
    source: str | Path | Mapping[str, Any] | None = None, overrides: Mapping[str, Any] | None = None, **words: Any
) -> RunConfig:
    """Resolve a configuration.

    Args:
        source: a YAML file, its content as a mapping, or None for all defaults.
        overrides: values by dotted key; text is read as YAML would read it ("1e-3" is a number).
        words: sections, or keys beside them, by name, and `updates` for that of `training`. The keys of a section are
            laid over the source's; a name stands for its section (`task`, `rule`, `encoder`, ...), and options of the
            source stay if they are that one's. None is the source's own.

    Raises:
        InputError: one line for each thing wrong, with file and line where it came from a file.

    >>> config = configure({"task": "copy"}, {"rule.K": 4}, seed=1, network={"hidden": 10})
    >>> config.task.length, config.rule.K, config.seed, config.network.hidden
    (3, 4, 1, 10)
    """
    document = _document(source)
    for name, value in words.items():
        if value is not None:
            document = _with_word(document, name, value)
    for name, value in (overrides or {}).items():
        document = _with_override(document, name, value)
    document = filled(document)
    if "task" not in document.data:
        raise InputError(f"no task; name one with --task or 'task:' in a file (known: {', '.join(TASKS.names())})")
    return validate(document, RunConfig)


def _with_word(document: Document, name: str, value: Any) -> Document:
    """Return the document with what a keyword says; the keys of a section beside those that are there."""
    key = ("training", "updates") if name == "updates" else (name,)
    there = document.data.get(name)
    if name in SHORT and isinstance(value, str):
        value = named(there, value)
    elif isinstance(value, Mapping):
        if name in SHORT and "name" in value:
            there = named(there, value["name"])
        value = {**(there if isinstance(there, Mapping) else {}), **value}
    return place(document, key, value, _origin(".".join(key), value))


def _with_override(document: Document, name: str, value: Any) -> Document:
    """Return the document with one value by dotted key; text is read as YAML."""
    key = tuple(part.strip() for part in name.split("."))
    origin = _origin(name, value)
    if not all(key):
        raise InputError(f"{origin}: write key.key=value, e.g. training.batch=16")
    if isinstance(value, str):
        value = {"name": value} if name in SHORT else parse_value(value, origin)
    elif isinstance(value, Path):
        value = str(value)
    return place(document, key, value, origin)


def _origin(name: str, value: Any) -> str:
    """Return what messages call the place of a value that no file states."""
    shown = json.dumps(value) if isinstance(value, bool | None) else f"{value:.80}" if isinstance(value, str) else value
    return f"--set {name}={shown!s:.120}"


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
