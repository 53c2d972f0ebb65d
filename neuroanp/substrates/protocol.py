"""What every substrate offers: plans to read by, a perturbation, writes and a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from neuroanp.network.lines import through

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.kernels.philox import Address
    from neuroanp.network.network import Network
    from neuroanp.noise import PassStreams, Streams
    from neuroanp.substrates.circuits import Circuits
    from neuroanp.substrates.device_noise import DeviceNoise
    from neuroanp.substrates.ledger import Ledger
    from neuroanp.trajectory import PassPlan, Weights, WeightUpdate


Neurons = Mapping[str, Mapping[str, "Tensor"]]
"""How spiking neurons differ: factors (n,) of "threshold", "tau_m", "tau_s" by layer; what is missing is 1."""


@dataclass(frozen=True)
class Quantiser:
    """Clip to [low, limit] and round to multiples of `step`: a DAC or an ADC in the units of its signal.

    Args:
        step: size of one code, in the signal's own dimensionless units; 0 rounds nothing.
        limit: the highest value, in the same units; inf clips nothing.
        low: the lowest value; None: -limit.
    """

    step: float
    limit: float
    low: float | None = None

    @property
    def floor(self) -> float:
        """The lowest value."""
        return -self.limit if self.low is None else self.low


Port = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True)
class ReadPlan:
    """One array as the passes of one update see it: y = ADC(W DAC(x) + noise).

    A matrix of several tiles has an ADC for each of them, and so does each bit of a bit-serial
    input: y is the digital sum of these partial reads.

    Args:
        W: (n, m) mean weights, with drift, faults, programming error, wires and frozen noise in them.
        sigma2: (n, m) variance of one weight's fresh read noise, new at every read, or None.
        extra: variance of the output noise of one conversion that no weight causes (amplifiers,
            thermal), in squared output units: one number, or (tiles, n).
        dac: quantiser of x, or None.
        adc: quantiser of y, or None.
        sampled: draw every device at every read (`Reader.sampled`) instead of using the moments.
        widths: word lines of each tile along the inputs; they sum to m. Empty: one tile.
        bits: magnitude bits that are read one after the other, or 0: the input in one read.
        pulse_width: inputs are times at one voltage, not voltages.
        dac_sigma: standard deviation of the word lines' own noise, in units of x.
        gain, offset: (tiles, n) of the ADCs, offset in output units; or None.
        process: (planes, n, m) weight units: standard deviation of the read noise of each device,
            signed by its plane, where noise with a memory is drawn device by device; else None.
        age: (planes, n, m) seconds since the write of each device at the end of the window, float64, where its
            process depends on that; else None.
        decorrelation: D, (N, N), a digital matrix that the activity x of the N units before the array is multiplied
            with before it goes to the word lines (and the DAC), or None.
        v_0: of devices with I = G V_0 sinh(V / V_0), in units of x: a word line at x acts as one at V_0 sinh(x / V_0)
            on ohmic devices. None: they are ohmic, or V_0 is in W.
        circuits: of such devices on lines with resistance, which are solved at every read: W and sigma2 are theirs at
            low voltage. None: W is all there is.
        transitions: (tiles, n, codes - 1) inputs of the ADCs at which the code rises by one, in codes; None: halfway
            between codes.
        port: reads a real array: rows of inputs (rows, m) to outputs (rows, n), each row once, with the noise that the
            array has then; W is what was last measured of it, and nothing else of the plan counts. None: it is
            simulated.

    >>> import torch
    >>> W, D = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, -0.5], [0.0, 1.0]])
    >>> read = ReadPlan(W, extra=0.01, adc=Quantiser(0.1, 1.0), widths=(1, 1), bits=7, decorrelation=D)
    >>> read.effective, read.parts, read.amplifies_noise  # W D; two tiles, seven bits
    (tensor([[1.0000, 1.5000]]), 14, True)
    >>> read.ohmic, read.linear, ReadPlan(W, v_0=0.3).ohmic
    (True, True, False)
    """

    W: Tensor
    sigma2: Tensor | None = None
    extra: float | Tensor = 0.0
    dac: Quantiser | None = None
    adc: Quantiser | None = None
    sampled: bool = False
    widths: tuple[int, ...] = ()
    bits: int = 0
    pulse_width: bool = False
    dac_sigma: float = 0.0
    gain: Tensor | None = None
    offset: Tensor | None = None
    process: Tensor | None = None
    age: Tensor | None = None
    decorrelation: Tensor | None = None
    v_0: float | None = None
    circuits: Circuits | None = None
    transitions: Tensor | None = None
    port: Port | None = None

    @property
    def ohmic(self) -> bool:
        """Whether what reaches the converters is a linear function of what leaves the drivers."""
        return self.v_0 is None and self.circuits is None

    @property
    def linear(self) -> bool:
        """Whether it is, the codes of the converters are all of one width, and the array is simulated."""
        return self.ohmic and self.transitions is None and self.port is None

    @property
    def effective(self) -> Tensor:
        """W D, the mean weights as the activity of the units meets them: W itself where nothing is decorrelated."""
        return through(self.W, self.decorrelation)

    @property
    def amplifies_noise(self) -> bool:
        """Whether a conversion has noise that no weight causes."""
        if isinstance(self.extra, float | int):
            return self.extra > 0
        return self.extra.device.type != "cpu" or bool((self.extra > 0).any())  # a GPU would have to be waited for

    @property
    def parts(self) -> int:
        """Conversions of one output in one read: tiles times bits."""
        return max(len(self.widths), 1) * max(self.bits, 1)


@dataclass(frozen=True)
class ProgrammingReport:
    """What a write missed; its pulses, energy and time are in the ledger.

    Args:
        saturated: fraction of the written weights whose target lies beyond the device's range.
        unverified: fraction of the written weights that write-verify gave up on.

    >>> ProgrammingReport(saturated=0.25).unverified
    0.0
    """

    saturated: float
    unverified: float = 0.0


class White(NamedTuple):
    """White Gaussian noise of a group of units.

    Args:
        sigma: its standard deviation, 0 for none. at: where its normals lie, of pass stream 0 and step 0.
        update_there: the number of the update on a GPU, as in `PassStreams`.
    """

    sigma: float
    at: Address
    update_there: Tensor | None = None


class Perturbation(Protocol):
    """The noise of one presentation of a batch, drawn chunk after chunk in order of time.

    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> from neuroanp.noise import PassStreams
    >>> from neuroanp.trajectory import PassPlan
    >>> tiny = {"task": "copy", "network": {"hidden": 4}, "perturbation": {"sigma": 0.1}}
    >>> trainer = build_trainer(Experiment.of(configure(tiny)))
    >>> plan = PassPlan(noise=(1.0, -1.0), stream=(0, 0), pairs=((0, 1),))
    >>> noise = trainer.substrate.perturbation(plan, 2, PassStreams(trainer.streams, "train", 0))
    >>> z = noise.draw("hidden", 0, 6)
    >>> z.shape, bool((z[:, 0] == -z[:, 1]).all()), noise.white("hidden").sigma
    (torch.Size([6, 2, 2, 4]), True, 0.1)
    """

    def white(self, layer: str) -> White | None:
        """Return the noise of a group where it is white and Gaussian or none, for who draws it himself; else None.

        Args: layer: its name, or "output".
        """
        ...

    def draw(self, layer: str, t0: int, steps: int) -> Tensor | None:
        """Return (steps, M, B, lines) noise on the pre-activations of a layer or of the "output", or None.

        Args: layer: the name of the group. t0, steps: which steps; chunks come in order.
        """
        ...


class Substrate(Protocol):
    """Weights held by hardware.

    Args: ledger: the books of what reads and writes took. now: chip time in seconds, which laws are asked at.

    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> from neuroanp.noise import PassStreams
    >>> from neuroanp.trajectory import PassPlan, WeightUpdate
    >>> tiny = {"task": "copy", "network": {"hidden": 4}, "perturbation": {"sigma": 0.1}}
    >>> trainer = build_trainer(Experiment.of(configure(tiny, profile="pcm")))
    >>> chip, streams = trainer.substrate, PassStreams(trainer.streams, "train", 0)
    >>> chip.network.shapes["w"], sorted(chip.weights), chip.failed, dict(chip.decorrelation), [*chip.neurons]
    ((4, 4), ['w', 'w_in', 'w_out'], 0.0, {}, ['hidden'])
    >>> fresh = chip.prepare(1e-3, streams, noise=False)["w"].effective
    >>> old = chip.at(chip.now + 30 * 86400.0).prepare(1e-3, streams, noise=False)["w"].effective
    >>> bool(old.abs().sum() < fresh.abs().sum())  # drift, in a month of idle time
    True
    >>> before, state = chip.ledger.pulses, chip.state_dict()
    >>> update = WeightUpdate({name: 0.0 * W + 1.0 for name, W in chip.weights.items()})
    >>> report = chip.apply(update, 0.05, trainer.streams, 0)
    >>> chip.ledger.pulses > before, report.saturated, sorted(chip.ahead(update, 0.05))
    (True, 0.0, [])
    >>> chip.load_state_dict(state)  # as it was
    >>> reads = chip.prepare(1e-3, streams)["w"]
    >>> noise = chip.perturbation(PassPlan((1.0,), (0,), "mean"), 2, streams)
    >>> noise.draw("hidden", 0, 3), chip.node_sigmas(), chip.weighs_reads  # reads have their own
    (None, {'hidden': 0.0, 'output': 0.0}, True)
    >>> chip.book_reads("w", 0.0 * reads.W[0], reads=6, noisy=6)
    >>> chip.elapse(1e-3)
    >>> chip.book_spikes(0.0, 0.0)
    >>> chip.decorrelate({})
    """

    ledger: Ledger
    now: float
    """Chip time in seconds, which the laws of the devices are asked at."""

    @property
    def failed(self) -> float:
        """Fraction of the devices that are worn out."""
        ...

    @property
    def weights(self) -> Weights:
        """The weights the digital side believes in (what write-verify aims at)."""
        ...

    @property
    def network(self) -> Network:
        """The layers and projections whose arrays it has."""
        ...

    @property
    def decorrelation(self) -> Mapping[str, Tensor]:
        """The digital matrix D (N, N) that the activity of each layer passes before the arrays; {}: there is none."""
        ...

    def decorrelate(self, D: Mapping[str, Tensor]) -> None:
        """Take new matrices D (N, N), by layer."""
        ...

    @property
    def neurons(self) -> Neurons:
        """How spiking neurons differ."""
        ...

    def node_sigmas(self, artificial: bool = True) -> Mapping[str, float]:
        """Return the standard deviation of the noise on the pre-activations of each group of units, dimensionless.

        `artificial` False leaves out what no device makes, as `perturbation` does.
        """
        ...

    def prepare(self, window_s: float, streams: PassStreams, noise: bool = True) -> Mapping[str, ReadPlan]:
        """Read the state of every array once for the passes of one update.

        Args:
            window_s: seconds that the passes take on the chip: splits 1/f noise into fresh and frozen.
            streams: where the frozen part is drawn from.
            noise: False leaves read noise out, fresh and frozen.
        """
        ...

    def perturbation(
        self, plan: PassPlan, batch: int, streams: PassStreams, artificial: bool = True, apart: float = inf
    ) -> Perturbation:
        """Start the node noise of one presentation of a batch.

        Args:
            plan, batch, streams: passes, sequences, where draws come from.
            artificial: False leaves out what no device makes.
            apart: seconds from one presentation to the next: what is slow is common to them.

        Returns: what draws it, chunk after chunk.
        """
        ...

    def device_noise(
        self, name: str, reads: ReadPlan, plan: PassPlan, batch: int, streams: PassStreams, apart: float = inf
    ) -> DeviceNoise:
        """Start the noise with a memory of the devices of array `name` (where reads.process is given).

        Args: reads: what `prepare` returned of it. plan, batch, streams, apart: as of `perturbation`; apart in seconds.

        Returns: what draws it, chunk after chunk.

        >>> from neuroanp.training.build import Experiment, build_trainer
        >>> from neuroanp.training.configure import configure
        >>> from neuroanp.noise import PassStreams
        >>> from neuroanp.trajectory import PassPlan
        >>> config = configure({"task": "copy", "network": {"hidden": 4}}, {"hardware.read": "sampled"}, profile="pcm")
        >>> trainer = build_trainer(Experiment.of(config))
        >>> chip, streams = trainer.substrate, PassStreams(trainer.streams, "train", 0)
        >>> made = chip.device_noise("w", chip.prepare(1e-3, streams)["w"], PassPlan((1.0,), (0,), "mean"), 1, streams)
        >>> made.draw(0, 2).shape  # steps, M, B, planes of a pair, n, m
        torch.Size([2, 1, 1, 2, 4, 4])
        """
        ...

    def ahead(self, update: WeightUpdate, lr: float) -> Mapping[str, Tensor]:
        """Return what `apply` must know of an update, as numbers on a GPU; {} where it can look at once, on a CPU.

        Who fetches them with other numbers makes the host wait once.

        Args: update: dW by name. lr: step size.
        """
        ...

    def apply(
        self, update: WeightUpdate, lr: float, streams: Streams, index: int, part: int = 0,
        told: Mapping[str, float] = MappingProxyType({}),
    ) -> ProgrammingReport:  # fmt: skip
        """Write W <- W - lr dW the way the substrate writes; book it in the ledger.

        Args:
            update: dW by name. lr: step size. streams, index: where its draws come from, and the update's number.
            part: which of the writes of one update it is, 0 the one at its end.
            told: the numbers that `ahead` asked for, fetched; {}: it looks itself.

        Returns: what the write missed.
        """
        ...

    @property
    def weighs_reads(self) -> bool:
        """Whether `load` of `book_reads` goes into the books: it costs a look at all activities."""
        ...

    def book_reads(
        self, name: str, load: Tensor, reads: int, noisy: int, *, events: float | Tensor | None = None
    ) -> None:
        """Book `reads` vector reads of array `name`; `noisy` of them are not silent.

        Args:
            name: of the array.
            load: (m,) sum over the reads of (V / v_read)^2 t / t_read of each word line.
            reads: vector reads: steps x passes x sequences.
            noisy: those of them that are of passes with noise.
            events: one number, weights that were read where the input is spikes, n for each word line that was
                driven in a read; None: all of them in every read. They count as synaptic events only
                by `book_spikes`.
        """
        ...

    def book_spikes(self, spikes: float | Tensor, events: float | Tensor) -> None:
        """Book spikes of units and synaptic events, the arrivals of one spike at one synapse.

        The first booking, of none too, tells the books that the network spikes.

        Args: spikes, events: one number each.
        """
        ...

    def elapse(self, seconds: float) -> None:
        """Let so many seconds of chip time pass (reads, idle)."""
        ...

    def at(self, seconds: float) -> Substrate:
        """Return the substrate as it would be at a later time of its clock, `seconds` >= `now`, to be read alone.

        Nothing may be written to what is returned, nor booked; reading it leaves the substrate as it is.
        """
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that must survive a checkpoint, as named tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back the state that `state_dict` returned."""
        ...
