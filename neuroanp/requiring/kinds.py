"""What can be asked of a device: the quantities of a profile, which way each is better, and its ideal.

A quantity is one key, or several that are one thing (the coefficients of one error) and are scaled together. Keys that
are in none of these kinds (ranges, times of a read, choices of a controller) have no better side, and are not swept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

LOWER, HIGHER, EITHER = "lower", "higher", "either"
Better = Literal["lower", "higher", "either"]
PULSES, VERIFIED, WRITES = "pulses", "verified", "writes"
"""When a quantity plays a part: pulses are sent (in situ, or by a verify loop of pulses), the verify loop runs,
or weights are not written ideally."""


@dataclass(frozen=True)
class Kind:
    """A quantity that a profile may state.

    Args:
        name: in words.
        keys: dotted keys, changed together.
        law: (section, law) that has them; None: any.
        better: which way the device is better; "either": noise that explores may be too small and too large.
        ideal: the value of a device that has no such flaw, of one key, or the factor on several; None: there is none.
        without: what a profile without the flaw has in place of sections, None for nothing; used where `ideal` is None.
        effects: non-idealities it is part of: with all of them off it plays no part.
        when: PULSES, VERIFIED or WRITES, or "": always.
        full: where a quantity that is stated as 0 is swept up to.
        count: "bits" are swept in steps of a bit, "levels" in whole numbers.
        spiking: whether spiking units have it alone (True), rates alone (False), or both.
        warm: whether `better` is of a chip above the section's reference temperature: below it the other side is, which
            has no ideal.
        metrics: the ones that it enters, where it only enters books (energy, time); (): all.
    """

    name: str
    keys: tuple[str, ...]
    law: tuple[str, str] | None = None
    better: Better = LOWER
    ideal: float | None = None
    without: Mapping[str, Any] = field(default_factory=dict)
    effects: tuple[str, ...] = ()
    when: str = ""
    full: float | None = None
    count: str = ""
    spiking: bool | None = None
    warm: bool = False
    metrics: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What the quantity is called by: its key, or all of them in short.

        >>> Kind("", ("read.q", "read.q_max")).key, Kind("", ("programming.error.a", "drift.end.a")).key
        ('read.q+q_max', 'programming.error+drift.end')
        """
        if not self.keys:
            return self.law[0] if self.law is not None else ""
        sections = list(dict.fromkeys(key.rpartition(".")[0] for key in self.keys))
        if len(sections) > 1:
            return "+".join(sections)
        return "+".join([self.keys[0], *(key.rpartition(".")[2] for key in self.keys[1:])])


def _pulsed(law: str) -> list[Kind]:
    """Return the quantities of a law of devices that pulses step up and down."""
    by_pulses = Kind("", (), ("update", law), when=PULSES)
    spread = replace(by_pulses, ideal=0.0, effects=("d2d",), full=1.0)

    def spread_of(name: str, key: str, effect: str = "d2d") -> Kind:
        return replace(spread, name=name, keys=(f"update.{key}",), effects=(effect,))

    return [
        replace(by_pulses, name="step of a pulse", keys=("update.dw",)),
        spread_of("spread of the step from device to device", "dw_d2d"),
        spread_of("noise of a step from cycle to cycle", "c2c", "c2c"),
        replace(by_pulses, name="asymmetry of up and down steps", keys=("update.up_down",), ideal=0.0, full=0.9),
        spread_of("spread of the asymmetry", "up_down_d2d"),
        spread_of("spread of the upper bound", "bound_up_d2d"),
        spread_of("spread of the lower bound", "bound_down_d2d"),
        spread_of("noise of a write", "write_noise", "write_noise"),
        spread_of("error of the reference", "reference_sd"),
        replace(
            by_pulses, name="tolerance of write-and-verify", keys=("update.tolerance",), when=VERIFIED,
            effects=("programming_error",),
        ),
    ]  # fmt: skip


def _nonlinear(law: str) -> list[Kind]:
    """Return how steps shrink towards the bounds, up and down."""
    own = Kind("", (), ("update", law), when=PULSES, ideal=0.0, full=1.0)
    return [
        replace(own, name=f"nonlinearity of {side} steps", keys=(f"update.gamma_{side}",)) for side in ("up", "down")
    ]


def _under(section: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


_POLYNOMIAL = ("c0", "c1", "c2", "c3", "c4")
_EXACT = {"programming": {"law": "ideal"}}


def _error(name: str, law: str, *keys: str, **more: Any) -> Kind:
    """Return what a write leaves."""
    return Kind(name, keys, ("programming", law), effects=("programming_error",), when=WRITES, **more)


def _read(name: str, law: str, *keys: str, **more: Any) -> Kind:
    """Return a noise of reads; without a section `read` there is none."""
    without = {} if "ideal" in more else {"read": None}
    return Kind(name, keys, ("read", law), without=without, effects=("read_noise", "frozen_noise"), **more)


_PROGRAMMING = [
    _error("programming error", "gaussian", "programming.sigma_absolute", ideal=0.0),
    _error("relative programming error", "gaussian", "programming.sigma_relative", ideal=0.0, full=1.0),
    _error("levels", "gaussian", "programming.levels", better=HIGHER, count="levels", ideal=float(2**24)),
    _error("programming error", "pcm", *_under("programming", "c0", "c1", "c2"), ideal=0.0),
    _error("programming error", "measured", without=_EXACT),
    _error(
        "error about the target at all times", "wan",
        *(key for at in ("programming.error", "drift.start", "drift.middle", "drift.end")
          for key in _under(at, *_POLYNOMIAL)), without={**_EXACT, "drift": None},
    ),
    _error(
        "error about the target at all times", "sonos", "programming.error.a",
        *(f"drift.{at}.a" for at in ("start", "stage_1", "stage_2", "stage_3", "stage_4", "end")),
        without={**_EXACT, "drift": None},
    ),
]  # fmt: skip
_READ = [
    _read("read noise", "gaussian", "read.sigma_absolute", ideal=0.0),
    _read("relative read noise", "gaussian", "read.sigma_relative", ideal=0.0, full=1.0),
    _read("read noise (1/f)", "pcm", *_under("read", "q", "q_max")),
    _read("read noise (1/f, power)", "one_over_f", "read.relative_psd"),
    _read("read noise (telegraph)", "rtn", "read.amplitude"),
    _read("read noise", "sonos", "read.a"),
    _read("read noise", "measured"),
    _read("read noise (fluctuators)", "fluctuators"),
]
_DRIFT = [
    Kind("drift exponent and its spread",
         _under("drift", "mu_slope", "mu_offset", "mu_min", "mu_max", "s_slope", "s_offset", "s_min", "s_max"),
         ("drift", "pcm"), without={"drift": None}, effects=("drift",)),
    Kind("drift", (), ("drift", "power_law"), without={"drift": None}, effects=("drift",)),
    Kind("drift", (), ("drift", "measured"), without={"drift": None}, effects=("drift",)),
    Kind("time constant of the leak", ("drift.tau",), ("drift", "leak"), better=HIGHER, without={"drift": None},
         effects=("drift",)),
]  # fmt: skip
_DRIFT += [
    Kind("temperature dependence of drift (activation energy)", ("drift.activation_energy",), ("drift", law), ideal=0.0,
         effects=("drift",), warm=True)
    for law in ("pcm", "power_law", "leak")
]  # fmt: skip
_CONDUCTANCE = [
    Kind(f"temperature dependence of the conductance ({what})", (f"conductance.{key}",), ideal=0.0,
         effects=("conductance_temperature",))
    for key, what in (("activation_energy", "activation energy"), ("tcr", "linear coefficient of resistance"))
]  # fmt: skip
_PCM = Kind("", (), ("update", "pcm"), when=PULSES, ideal=0.0, full=1.0)
_UPDATE = [
    *_pulsed("soft_bounds"), *_pulsed("linear_step"), *_nonlinear("linear_step"), *_pulsed("exponential_step"),
    *_nonlinear("exponential_step"),
    replace(_PCM, name="step of a pulse", keys=("update.dw",), ideal=None),
    replace(_PCM, name="nonlinearity of steps", keys=("update.boost",)),
    replace(_PCM, name="noise of a step from cycle to cycle", keys=("update.noise",), effects=("c2c",)),
    replace(_PCM, name="spread of the step from device to device", keys=("update.dw_d2d",), effects=("d2d",)),
    replace(_PCM, name="spread of the upper bound", keys=("update.w_max_d2d",), effects=("d2d",)),
    replace(_PCM, name="scatter of a reset", keys=("update.reset_sd",), effects=("c2c",)),
]  # fmt: skip
_STT = Kind("", (), ("update", "stt_mram"), when=PULSES, ideal=0.0, effects=("d2d",), full=1.0)
_UPDATE += [
    replace(_STT, name="spread of the critical current", keys=("update.i_c0_cv",)),
    replace(_STT, name="spread of the barrier", keys=("update.delta_cv",)),
]
_ARRAY = [
    Kind("mismatch from device to device", ("variability.cv",), ideal=0.0, effects=("d2d",), full=1.0),
    Kind("stuck devices, near the middle", ("faults.corrupt",), ideal=0.0, effects=("faults",), full=1.0),
    Kind("stuck devices, at g_min", ("faults.stuck_low",), ideal=0.0, effects=("faults",), full=1.0),
    Kind("stuck devices, at g_max", ("faults.stuck_high",), ideal=0.0, effects=("faults",), full=1.0),
    Kind("dead rows", ("faults.dead_rows",), ideal=0.0, effects=("faults",), full=1.0),
    Kind("dead columns", ("faults.dead_columns",), ideal=0.0, effects=("faults",), full=1.0),
    Kind("bits of the DAC", ("periphery.dac.bits",), better=HIGHER, ideal=24.0, effects=("dac",), count="bits"),
    Kind("noise of the drivers", ("periphery.dac.noise",), ideal=0.0, effects=("dac_noise",)),
    Kind("bits of the ADC", ("periphery.adc.bits",), better=HIGHER, ideal=24.0, effects=("adc",), count="bits"),
    Kind("spread of the ADC's gain", ("periphery.adc.gain_sd",), ideal=0.0, effects=("adc_mismatch",), full=1.0),
    Kind("spread of the ADC's offset", ("periphery.adc.offset_sd",), ideal=0.0, effects=("adc_mismatch",)),
    Kind("noise of the amplifier", ("periphery.amplifier_noise",), ideal=0.0, effects=("amplifier_noise",)),
    Kind("bandwidth (thermal noise)", ("periphery.bandwidth",), without={"periphery.bandwidth": None},
         effects=("thermal_noise",)),
    Kind("resistance of the lines", ("array.wires.r_word", "array.wires.r_bit"),
         without={"array.wires": None, "energy.write_v_0": None}, effects=("wires",)),
    Kind("volts over which the step of a pulse falls", ("energy.write_v_0",), better=HIGHER,
         without={"array.wires.writes": None, "energy.write_v_0": None}, effects=("write_drop",), when=WRITES),
    Kind("disturb by reads", ("disturb.read",), ideal=0.0, effects=("read_disturb",)),
    Kind("disturb by half-selected pulses", ("disturb.half_select",), ideal=0.0, effects=("write_disturb",),
         when=WRITES),
    Kind("endurance", ("energy.endurance",), better=HIGHER, ideal=1e18, effects=("endurance",)),
    Kind("spread of the endurance", ("energy.endurance_sd",), ideal=0.0, effects=("endurance",), full=1.0),
]  # fmt: skip
_SMTJ = ("stochastic", "smtj")
_NODES = [
    *(
        Kind(f"spread of {what} from junction to junction", (f"stochastic.{key}",), _SMTJ, ideal=0.0,
             effects=("d2d",), full=full)
        for what, key, full in (
            ("the balance voltage", "v50_sd", None), ("the barrier", "delta_cv", 1.0), ("the resistance", "r_cv", 1.0),
            ("the magnetoresistance", "tmr_cv", 1.0),
        )
    ),
    *(
        Kind(f"spread of {what} from source to source", (f"stochastic.{key}",), ("stochastic", law), ideal=0.0,
             effects=("d2d",), full=1.0)
        for law, key, what in (
            ("koenders", "amplitude_cv", "the amplitude"), ("koenders", "flip_cv", "the rate of flips"),
            ("rtn", "amplitude_cv", "the amplitude"), ("rtn", "dwell_cv", "the dwell times"),
            ("one_over_f", "amplitude_cv", "the amplitude"), ("ornstein_uhlenbeck", "sigma_cv", "the size"),
        )
    ),
    Kind("volts that stand for a pre-activation of 1 (gain of the node noise)", ("stochastic.volts_per_unit",),
         better=EITHER, effects=("node_noise",)),
    Kind("node noise", ("stochastic.sigma",), ("stochastic", "ornstein_uhlenbeck"), better=EITHER,
         effects=("node_noise",)),
    Kind("node noise on the membrane", ("neurons.membrane_sigma",), better=EITHER, effects=("node_noise",),
         spiking=True),
    *(Kind(f"spread of {name}", (f"neurons.{key}_sd",), ideal=0.0, effects=("neuron_mismatch",), full=1.0, spiking=True)
      for key, name in (("threshold", "thresholds"), ("tau_m", "membrane time constants"),
                        ("tau_s", "synaptic time constants"))),
]  # fmt: skip
_ENERGY, _TIME = ("energy_J",), ("chip_time_s",)
_BOOKS = [
    Kind("energy of a write pulse", ("energy.write",), metrics=_ENERGY, when=WRITES),
    Kind("voltage of a write pulse", ("energy.write_voltage",), metrics=_ENERGY, when=WRITES),
    Kind("duration of a write pulse", ("energy.write_time",), metrics=(*_TIME, *_ENERGY), when=WRITES),
    Kind("energy of a read", ("energy.read",), metrics=_ENERGY),
    Kind("energy of a unit's digital update", ("energy.digital",), metrics=_ENERGY),
    Kind("energy of adding a tile's output", ("energy.accumulate",), metrics=_ENERGY),
    Kind("energy of a DAC conversion", ("periphery.dac.energy",), metrics=_ENERGY),
    Kind("energy of an ADC conversion", ("periphery.adc.energy",), metrics=_ENERGY),
    Kind("energy of a random bit", ("stochastic.energy_per_bit",), metrics=_ENERGY),
    Kind("energy of a spike", ("neurons.energy_per_spike",), metrics=_ENERGY, spiking=True),
    Kind("energy of a synaptic event", ("neurons.energy_per_event",), metrics=_ENERGY, spiking=True),
]
KINDS: tuple[Kind, ...] = (*_PROGRAMMING, *_READ, *_CONDUCTANCE, *_DRIFT, *_UPDATE, *_ARRAY, *_NODES, *_BOOKS)
"""All quantities that can be swept, in the order in which they are shown."""
