"""Sections of a configuration: what makes passes differ, how hardware is used, how to train, what computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from neuroanp.devices.effects import ALL_EFFECTS, EFFECTS
from neuroanp.errors import did_you_mean
from neuroanp.instruments.protocol import INSTRUMENTS, SIMULATED, Limits, Pulse
from neuroanp.instruments.visa_options import VISA, with_paths
from neuroanp.substrates.added_noise import Kind
from neuroanp.training.times import Idle, without_repeats
from neuroanp.units import Size, Temperature
from neuroanp.yaml_io import GrowingSection, Problem, Section, all_at


class PerturbationConfig(Section):
    """What makes passes differ."""

    name: Literal["auto", "gaussian", "bernoulli", "centred_bernoulli", "none"] = Field(
        default="auto",
        description="auto: Gaussian only where no noise of the device reaches the units; gaussian: always; bernoulli: "
        "0 or 2 sigma up, as a coin falls at every step of time; centred_bernoulli: sigma up or down",
    )
    sigma: float = Field(
        default=1e-2, gt=0, le=10, description="standard deviation of what is added to the pre-activations"
    )
    output: float | None = Field(
        default=None, ge=0, le=10, description="standard deviation of that on the outputs; unset: sigma"
    )

    @property
    def kind(self) -> Kind | None:
        """The kind of noise that is added whatever the hardware does; None: none, or that is not said."""
        return None if self.name in ("auto", "none") else self.name


class Hardware(GrowingSection):
    """How the profile's hardware is used, or which instrument is."""

    later: ClassVar[tuple[str, ...]] = ("substrate", "resource", "options", "limits", "pulse", "retries", "read_backs")

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

    substrate: str = Field(
        default=SIMULATED,
        min_length=1,
        description="simulated, or what drives the instrument that holds the weights: visa, or a driver of one's own; "
        "the profile models its devices then, for the controls and for looking at the run later",
    )
    resource: str | None = Field(default=None, min_length=1, description="the instrument, e.g. TCPIP::10.0.0.5::INSTR")
    options: dict[str, Any] = Field(default_factory=dict, description="of the driver; those of visa: see its page")
    limits: Limits | None = Field(default=None, description="what no read and no write may exceed")
    pulse: Pulse | None = Field(default=None, description="the pulses that devices are written with")
    retries: int = Field(default=3, ge=0, le=20, description="attempts in turn to connect again where the link is lost")
    read_backs: int = Field(default=4, ge=1, le=1000, description="reads of a device that are averaged after a write")

    @model_validator(mode="after")
    def _whole_instrument(self) -> Hardware:
        """An instrument has a resource, limits and pulses; simulated arrays have none of them."""
        stated = {"resource": self.resource, "limits": self.limits, "pulse": self.pulse}
        if self.substrate == SIMULATED:
            idle = [name for name, value in (*stated.items(), ("options", self.options or None)) if value is not None]
            if idle:
                said = f"is of an instrument, and hardware.substrate is '{SIMULATED}'; leave it out, or name a driver"
                raise all_at([Problem((name,), said) for name in idle])
            return self
        known = INSTRUMENTS.names()
        problems = [
            Problem((name,), f"is missing: an instrument ('{self.substrate}') wants it; see docs/instruments.md")
            for name, value in stated.items()
            if value is None
        ]
        if self.substrate not in known:
            said = f"unknown instrument '{self.substrate}'{did_you_mean(self.substrate, known)} "
            problems.append(Problem(("substrate",), said + f"(known: {', '.join([SIMULATED, *known])})"))
        if self.write == "ideal":
            said = (
                "'ideal' is of simulated arrays; an instrument is written by verify (trains until it is there) or pulse"
            )
            problems.append(Problem(("write",), said))
        said = "changes simulated arrays; nothing of an instrument can be switched off or set: leave it out"
        set_ = {"only": self.only, "without": self.without, "temperature": self.temperature}
        problems += [Problem((name,), said) for name, value in set_.items() if value]
        if self.wires == "exact":
            problems.append(Problem(("wires",), said))
        if self.read == "sampled":
            problems.append(Problem(("read",), "'sampled' is of simulated arrays; an instrument's noise is its own"))
        if problems:
            raise all_at(problems)
        return self

    @property
    def on_bench(self) -> bool:
        """Whether an instrument holds the weights."""
        return self.substrate != SIMULATED

    def with_paths(self, change: Callable[[str, str], str]) -> Hardware:
        """Return it with the paths among the options of `visa` changed; those of a driver of one's own are its own.

        Args: change: takes an option's name and its path.
        """
        if self.substrate != VISA:
            return self
        return self.model_copy(update={"options": with_paths(self.options, change)})

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


LOGGED, POINTS = 10, 50
"""Updates between rows of the metrics where none are asked for, and how many rows a short run has all the same."""


class Extends(Section):
    """The run that another one goes on from; `neuroanp.extend` writes it."""

    run: str = Field(min_length=1, description="directory of a finished run")
    state: str = Field(pattern="^[0-9a-f]{64}$", description="hash of the state that it left")


class TrainingConfig(GrowingSection):
    """How long and how to train."""

    later: ClassVar[tuple[str, ...]] = ("validation", "patience", "restore", "frozen", "refit", "extends")

    updates: int = Field(
        default=1000,
        ge=0,
        le=MOST_UPDATES,
        description="weight updates; 0 (with network.weights): program and evaluate",
    )
    batch: int = Field(default=32, ge=1, le=1_000_000, description="sequences an update, B")
    checkpoint_every: int = Field(default=100, ge=1, description="updates between checkpoints")
    evaluate_every: int = Field(default=50, ge=1, description="updates between evaluations on the held-out sequences")
    log_every: int | None = Field(
        default=None,
        ge=1,
        validate_default=True,
        description="updates between rows of the metrics; unset: 10, or fewer such that a curve has 50 points; results "
        "do not change",
    )
    chunk: int | None = Field(
        default=None,
        ge=1,
        description="steps of time simulated at once: memory, and results to rounding; unset: 64 of spikes, 8 MB of "
        "rates, or on a GPU as many as there is room for; a small network of tanh units has its own",
    )
    memory: Size | None = Field(
        default=None,
        description="what stored passes may take; beyond it they are run twice; unset: half of the free memory by the "
        "run's share of the cores (a quarter of a GPU's), 1 GiB at least; results do not change",
    )
    controls: bool = Field(default=True, description="compute the controls after training")
    evaluate_after: list[Idle] = Field(
        default_factory=list, description="evaluate the result again after the chip has lain idle that long"
    )

    validation: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="sequences kept for validation, of the training data where these are finite; the chip is shown "
        "them with each evaluation, which costs energy and time",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="evaluations without a lower validation loss after which training stops (a refit comes after, and "
        "does not count); unset: it never does",
    )
    restore: bool = Field(
        default=False,
        description="write the weights of the lowest validation loss back at the end: a write like any other, with its "
        "pulses, energy and errors; false: the chip keeps what it holds",
    )
    frozen: bool = Field(
        default=True,
        description="among the controls, train the readout alone by the same rule, which takes about half as long as "
        "the run (with refit it fits the network as it was drawn); false: the fitted controls alone",
    )
    refit: int | None = Field(
        default=None,
        ge=5,
        le=1_000_000,
        description="training sequences that the arrays to the outputs are fitted to by least squares once training is "
        "over (tasks of squared error): the chip is shown them under its noise, the host, which knows the targets, "
        "solves, writes, and looks at a fifth of them whether that did it, all of it booked; unset: the outputs stay "
        "as the rule left them",
    )

    extends: Extends | None = Field(
        default=None,
        description="the finished run that this one goes on from, with all that it left: `neuroanp train --extend`",
    )

    _once = field_validator("evaluate_after")(without_repeats)

    @field_validator("log_every")
    @classmethod
    def _enough_for_a_curve(cls, asked: int | None, info: ValidationInfo) -> int:
        """Say how often, so that a run that is gone on with writes its rows as it began.

        >>> [TrainingConfig(updates=n).log_every for n in (20, 200, 500, 5000)], TrainingConfig(log_every=7).log_every
        ([1, 4, 10, 10], 7)
        """
        updates = int(info.data.get("updates", 0))
        return asked or (min(LOGGED, max(updates // POINTS, 1)) if updates else LOGGED)

    @property
    def trains_readout(self) -> bool:
        """Whether the readout is trained alone, as a control."""
        return self.controls and self.frozen and self.updates > 0

    @model_validator(mode="after")
    def _has_what_it_looks_at(self) -> TrainingConfig:
        if self.validation is None:
            said = "looks at the validation loss; set training.validation, how many sequences are kept for it"
            named = {"patience": self.patience is not None, "restore": self.restore}
            problems = [Problem((key,), said) for key, asked in named.items() if asked]
            if problems:
                raise all_at(problems)
        return self


class Compute(GrowingSection):
    """What computes the simulation."""

    later: ClassVar[tuple[str, ...]] = ("workers", "shards", "sums")

    dtype: Literal["float32", "float64"] = Field(default="float32", description="precision")
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:[0-9]+)?)$", description="torch device")
    threads: int = Field(
        default=1, ge=1, le=1024, description="threads of one run's large networks; results may differ in rounding"
    )
    execution: Literal["auto", "event_loop", "simulator"] = Field(
        default="auto",
        description="LIF units: a compiled event loop (CPU), or the simulator that is the backend's own, Brian2 or "
        "torch; auto: the loop, unless it is said how Brian2 is run",
    )
    recurrence: Literal["auto", "synapses", "dense", "sparse"] = Field(
        default="auto", description="Brian2: how spikes are spread; auto: what is fastest for the size"
    )
    loop: Literal["auto", "fast", "run"] = Field(
        default="auto", description="Brian2: step its objects directly, or call net.run (slow); auto: fast if safe"
    )
    target: Literal["auto", "cython", "numpy"] = Field(
        default="auto", description="Brian2: of the generated code; auto: cython where there is a compiler"
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="processes on this machine that share the presentations of an update, each with the whole network: "
        "of cdrge the probes, of wp the perturbations, of anp, np and echo the shards; results are the same to the bit",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="rules anp, np and echo: parts that the K replicas of an update are divided among, each an "
        "estimate of its own with its own reference; the update is their mean, and workers share them",
    )
    sums: Literal["exact", "float"] = Field(
        default="exact",
        description="how shards are added. exact: as whole numbers of 64 bits, to the same bit for any number of "
        "workers; float: in compute.dtype, with less to send, and rounding that depends on the workers",
    )

    @model_validator(mode="after")
    def _adds_something(self) -> Compute:
        if self.sums == "float" and self.shards == 1:
            raise all_at([Problem(("sums",), "'float' is of shards, and compute.shards is 1; leave it out")])
        return self
