"""Simulate spiking neurons in Brian2: many rows of the same network as one NeuronGroup.

Brian2 integrates, detects spikes and resets; what spikes add is a product on the whole group, or Brian2's
Synapses. Importing this module imports brian2 (a second or two); nothing else in neuroanp does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.brian2_lif import COEFFICIENTS, code_of
from neuroanp.backends.compiling import NotCompiled, checked, first_error, said_by_programs, unwrapped, verify
from neuroanp.backends.divisions import RAISED, checked_divisions
from neuroanp.backends.equations import Equations, Handed
from neuroanp.backends.expressions import as_written
from neuroanp.backends.foreign import first_record, no_garbage_scan, quiet, undisturbed, warn_once, without_deprecations
from neuroanp.backends.neuron import Coefficients
from neuroanp.backends.population import Recurrence, Steps
from neuroanp.backends.recurrence import How, Spread
from neuroanp.errors import InputError, NeuroanpError, RunError

if TYPE_CHECKING:
    from numpy.typing import NDArray


_FRESH = "brian2" not in sys.modules
with undisturbed():
    import brian2
    from brian2.stateupdaters.base import UnsupportedEquationsException
    from brian2.utils.logger import BrianLogger

if _FRESH:  # whoever imported brian2 before chose its settings
    quiet(BrianLogger)

Loop = Literal["auto", "fast", "run"]
Target = Literal["auto", "cython", "numpy"]

DIVIDES = (
    "its equations divide by zero, or take int of what is no number; keep the divisor from 0 at rest and under strong "
    "currents"
)
PROBE_STEPS = 3
MOST_SYNAPSES = 10_000_000


@dataclass(frozen=True)
class Names:
    """What the variables of a model are called that the network reads and writes."""

    input: str = "Iext"
    synapse: str = "I"
    activity: str = "z"
    voltage: str = "v"


@dataclass
class _Chunk:
    """Arrays of the steps under way, (T, rows, N) each, and the step it is."""

    recurrence: Recurrence
    current: NDArray[Any]
    incoming: NDArray[Any] | None
    arriving: NDArray[Any] | None
    h: NDArray[Any]
    s: NDArray[Any]
    z: NDArray[Any]
    v: NDArray[Any] | None
    spikes: Tensor
    t: int = 0

    def next(self) -> None:
        """Go on to the next step."""
        self.t += 1


class GroupPopulation:
    """Rows of neurons that are one NeuronGroup; implements `backends.population.Population`.

    Args:
        group: rows * N neurons, index row * N + unit, made by `new_group`.
        rows: copies, passes x sequences.
        names: of its variables.
        rest: values of its variables at the start of a presentation.
        recurrence: how the spikes of a step are spread: Brian2's "synapses", a "dense" product, the "sparse"
            one; "auto" takes the fastest.
        loop: "fast" steps the objects of the network itself, "run" calls Network.run, which takes 0.1 s
            more for each chunk; "auto" is fast where both give the same.

    Raises:
        InputError: more synapses than are allowed, or code of Brian2's that does not compile.
    """

    def __init__(
        self,
        group: Any,
        rows: int,
        names: Names,
        rest: Mapping[str, Any],
        recurrence: How | Literal["auto"],
        loop: Loop,
    ) -> None:
        self._group, self._rest = group, dict(rest)
        shape = (rows, len(group) // rows)
        arrays = {name: group.variables[name].get_value().reshape(shape) for name in vars(names).values()}
        self._v, self._I = arrays[names.voltage], arrays[names.synapse]
        self._external, self._z = arrays[names.input], arrays[names.activity]
        self._dtype = torch.from_numpy(self._I).dtype
        self._events = group.variables["_spikespace"].get_value()
        self._spread = Spread(torch.from_numpy(self._I), None if recurrence in ("auto", "synapses") else recurrence)
        self._chunk: _Chunk | None = None
        clock = group.clock
        operations = [
            brian2.NetworkOperation(self._start, clock=clock, when="start", name="row_start"),
            brian2.NetworkOperation(self._after_spikes, clock=clock, when="synapses", order=1, name="row_spikes"),
            brian2.NetworkOperation(self._end, clock=clock, when="end", name="row_end"),
        ]
        self._synapses = self._connect(shape, names) if recurrence == "synapses" else None
        parts = operations if self._synapses is None else [*operations, self._synapses]
        self._network = brian2.Network(group, *parts)
        self._network.schedule = ["start", "groups", "thresholds", "synapses", "resets", "end"]
        self._advance = self._run_network
        self._advance = self._loop(loop)
        self.begin()

    def begin(self) -> None:
        """Put every neuron to rest, and the clock to zero."""
        for name, value in self._rest.items():
            self._group.variables[name].set_value(value)
        clock = self._group.clock
        clock.variables["timestep"].set_value(0)
        clock.variables["t"].set_value(0.0)

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next steps; see `Population.run`."""
        current = current.detach()
        h, z = torch.empty_like(current), torch.empty_like(current)
        spikes = torch.zeros(current.shape, dtype=torch.bool)
        v = torch.empty_like(current) if keep_v else None
        self._chunk = _Chunk(
            recurrence, current.numpy(), _numpy(incoming), _numpy(arriving),
            h.numpy(), spikes.numpy(), z.numpy(), _numpy(v), spikes,
        )  # fmt: skip
        if self._synapses is not None:
            self._synapses.pre.active = recurrence.wt is not None
            if recurrence.wt is not None:
                weights = np.broadcast_to(recurrence.wt.detach().numpy(), (len(self._I), *recurrence.wt.shape))
                self._synapses.variables["w"].get_value().reshape(weights.shape)[...] = weights
        self._advance(len(current))
        if self._chunk.t < len(current):  # brian2's own handler of Ctrl+C ends a run quietly
            raise KeyboardInterrupt
        self._chunk = None
        return Steps(h, spikes, z, v)

    def _start(self) -> None:
        chunk = self._chunk
        assert chunk is not None
        external = chunk.current[chunk.t]
        if chunk.arriving is not None:
            self._I += chunk.arriving[chunk.t]
        np.add(self._I, external, out=chunk.h[chunk.t])
        np.copyto(self._external, external)

    def _after_spikes(self) -> None:
        chunk = self._chunk
        assert chunk is not None
        t = chunk.t
        spikes = self._events[: self._events[-1]]
        chunk.s[t].reshape(-1)[spikes] = True
        if chunk.v is not None:
            np.copyto(chunk.v[t], self._v)
        wt = chunk.recurrence.wt
        if wt is None:
            self._I += chunk.recurrence.read(t, chunk.spikes[t].to(self._dtype)).detach().numpy()
        elif self._synapses is None:
            self._spread.add(wt.detach(), spikes)
        if chunk.incoming is not None:
            self._I += chunk.incoming[t]

    def _end(self) -> None:
        chunk = self._chunk
        assert chunk is not None
        np.copyto(chunk.z[chunk.t], self._z)
        chunk.next()

    def _connect(self, shape: tuple[int, int], names: Names) -> Any:
        rows, units = shape
        if rows * units**2 > MOST_SYNAPSES:
            raise InputError(
                f"compute.recurrence: 'synapses' would make {rows * units**2:,} synapses for {rows} x {units} neurons, "
                f"at most {MOST_SYNAPSES:,} fit; use 'dense', 'sparse' or 'auto'"
            )
        row, source, target = (index.reshape(-1) for index in np.indices((rows, units, units)))
        with without_deprecations(), unwrapped():
            synapses = brian2.Synapses(
                self._group, self._group, "w : 1", on_pre=f"{names.synapse}_post += w", dtype=self._I.dtype.type,
                codeobj_class=self._group.codeobj_class, clock=self._group.clock, name="recurrence",
            )  # fmt: skip
            synapses.connect(i=row * units + source, j=row * units + target)
        return synapses

    def _loop(self, loop: Loop) -> Callable[[int], None]:
        """Build the code objects by a short run, see that each is there, and return what advances the network."""
        expected = self._probe(self._run_network)
        verify(self._network.sorted_objects)
        if loop == "run":
            return self._run_network
        if loop == "fast":
            return self._run_fast
        try:
            found = self._probe(self._run_fast)
            if all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(expected, found, strict=True)):
                return self._run_fast
            reason = "it gave other results"
        except Exception as error:  # whatever changed inside brian2
            reason = f"{type(error).__name__}: {error}"
        warn_once(f"the fast loop does not work with brian2 {brian2.__version__} ({reason}); using Network.run")
        return self._run_network

    def _probe(self, advance: Callable[[int], None]) -> list[Tensor]:
        self._advance = advance
        self.begin()
        rows, units = self._I.shape
        current = torch.linspace(0, 100, PROBE_STEPS * rows * units, dtype=self._dtype).view(PROBE_STEPS, rows, units)
        wt = torch.linspace(-1, 1, units**2, dtype=self._dtype).view(units, units)
        with np.errstate(all="ignore"):  # equations of the user's may overflow here
            steps = self.run(current, Recurrence(wt, lambda t, s: s @ wt), None, True)
        return [part for part in steps if part is not None]

    def _run_network(self, steps: int) -> None:
        clock = self._group.clock
        self._network.t_ = clock.variables["t"].get_value()[0]
        with no_garbage_scan(), without_deprecations(), unwrapped():
            self._network.run(steps * clock.dt, namespace={})

    def _run_fast(self, steps: int) -> None:
        """Do what Network.run does for one clock, without preparing every object anew."""
        variables = self._group.clock.variables
        timestep, t, dt = (variables[name].get_value() for name in ("timestep", "t", "dt"))
        objects = [part.run for part in self._network.sorted_objects if part.active]
        for _ in range(steps):
            for run in objects:
                run()
            timestep[0] += 1
            t[0] = timestep[0] * dt[0]


class Brian2Population(GroupPopulation):
    """Leaky integrate-and-fire neurons in Brian2; the same as `lif.LIFPopulation`, spike for spike.

    Args:
        step: coefficients of the N neurons, which give dtype (on the CPU).
        rows: copies, passes x sequences.
        dt: seconds a step.
        recurrence, loop: see GroupPopulation.
        target: what Brian2 turns its code into; "auto" is cython where a compiler works, else numpy.

    >>> from neuroanp.backends.neuron import LIF, coefficients
    >>> population = Brian2Population(coefficients(LIF(), 1e-3, torch.ones(1)), rows=1, dt=1e-3)
    >>> population.begin()
    >>> W = torch.zeros(1, 1)
    >>> steps = population.run(torch.full((40, 1, 1), 2.0), Recurrence(W, lambda t, s: s @ W), None)
    >>> steps.s[:, 0, 0].nonzero().flatten().tolist()
    [13, 28]
    """

    def __init__(
        self, step: Coefficients, rows: int, *, dt: float,
        recurrence: How | Literal["auto"] = "auto", loop: Loop = "auto", target: Target = "auto",
    ) -> None:  # fmt: skip
        values = {name: getattr(step, name).numpy() for name in COEFFICIENTS}
        # arrays only where neurons differ: what is read from memory for every neuron takes time
        same = all((value == value[0]).all() for value in values.values())
        fixed = {name: float(value[0]) for name, value in values.items()} if same else {}
        code = code_of(step)
        model = code.model if same else code.model + "\n".join(f"{name} : 1 (constant)" for name in COEFFICIENTS)
        group = new_group(
            rows * len(step.a_m), model, threshold=code.threshold, reset=code.reset,
            dtype=step.a_m.numpy().dtype.type, dt=dt, target=target, namespace={**fixed, "hold": step.hold},
        )  # fmt: skip
        if not same:
            for name, value in values.items():
                group.variables[name].set_value(np.tile(value, rows))
        group.run_regularly(code.update, when="groups", name="neurons_update")
        rest: dict[str, Any] = dict.fromkeys(code.variables, 0)
        super().__init__(group, rows, Names(), rest, recurrence, loop)


def _numpy(values: Tensor | None) -> NDArray[Any] | None:
    return None if values is None else values.detach().numpy()


def new_group(neurons: int, model: str, *, dtype: type, dt: float, target: Target, **options: Any) -> Any:
    """Return a NeuronGroup with a clock of its own.

    Names are fixed, for they are part of the code that Brian2 compiles: a second population finds it done.
    """
    clock = brian2.Clock(dt * brian2.second, name="neurons_clock")
    with without_deprecations():
        return brian2.NeuronGroup(
            neurons, model, dtype=dtype, clock=clock, name="neurons", codeobj_class=_code_class(target), **options
        )


class EquationsPopulation(GroupPopulation):
    """Neurons given by equations, in Brian2.

    Args:
        neuron: the equations. rows: copies, passes x sequences.
        like: (N,) gives the number of units and the dtype.
        dt: seconds a step.
        recurrence, loop: see GroupPopulation. target: see Brian2Population.

    Raises:
        InputError: Brian2 refuses the equations, e.g. for their units, or they divide by zero.
    """

    _states: ClassVar[Mapping[str, NDArray[Any]]] = {}  # none while it is built

    def __init__(
        self, neuron: Equations | Handed, like: Tensor, rows: int, *, dt: float,
        recurrence: How | Literal["auto"] = "auto", loop: Loop = "auto", target: Target = "auto",
    ) -> None:  # fmt: skip
        given = neuron.handed() if isinstance(neuron, Equations) else neuron
        self._name, refractory, rest = given.name, given.refractory, dict(given.rest)
        if refractory is not None:
            rest |= {"lastspike": -1e4, "not_refractory": True}
        names = Names(given.input, given.synapse, given.activity, given.voltage)
        with _explained(given):
            group = new_group(
                rows * len(like), given.model, threshold=given.threshold, reset=given.reset,
                refractory=refractory * brian2.second if isinstance(refractory, float) else refractory or False,
                method=given.method, namespace={n: value * _unit(u) for n, (value, u) in given.namespace.items()},
                dtype=like.detach().numpy().dtype.type, dt=dt, target=target,
            )  # fmt: skip
            super().__init__(group, rows, names, rest, recurrence, loop)
            self._step_at_rest()
        values = {name: group.variables[name].get_value() for name in given.rest}
        self._states = {name: value for name, value in values.items() if value.dtype.kind == "f"}  # pyright: ignore

    def _step_at_rest(self) -> None:
        """Take a step without currents: there 0/0 is no overflow, which under strong ones numpy does not tell apart."""
        rows, units = self._I.shape
        wt = torch.zeros((units, units), dtype=self._dtype)
        with checked_divisions():
            super().run(torch.zeros((1, rows, units), dtype=self._dtype), Recurrence(wt, lambda t, s: s @ wt), None)
        self.begin()

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next steps; see `Population.run`.

        Raises:
            RunError: the equations divide by zero, or a variable is no finite number although the currents are.
        """
        if not self._states:
            with checked_divisions(strict=False):
                return super().run(current, recurrence, incoming, keep_v, arriving)
        try:
            with checked_divisions():
                steps = super().run(current, recurrence, incoming, keep_v, arriving)
        except brian2.BrianObjectException as error:
            if not isinstance(error.__cause__, RAISED):
                raise
            raise RunError(f"neuron ({self._name}): {DIVIDES}") from error
        lost = [as_written(name) for name, value in self._states.items() if not np.isfinite(value).all()]
        if lost and steps.h.isfinite().all():
            raise RunError(
                f"neuron ({self._name}): {', '.join(lost)} left the finite numbers: its equation diverges, or takes a "
                "root or logarithm of what is below 0; use a shorter dt, method rk4, or clip"
            )
        return steps


@contextmanager
def _explained(neuron: Handed) -> Iterator[None]:
    """Say what Brian2 refuses in the user's equations, and where."""
    try:
        yield
    except NotCompiled as error:
        key = error.part or "model"
        raise InputError(f"neuron.{key} ({neuron.name}): {as_written(error.message)}") from error
    except NeuroanpError:
        raise
    except Exception as error:  # from any depth of Brian2, SymPy and the compiler
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        places = {"thresholder": "threshold", "resetter": "reset"}
        key = next((key for part, key in places.items() if part in str(error)), "model")
        if isinstance(cause, RAISED):
            raise InputError(f"neuron.{key} ({neuron.name}): {DIVIDES}") from error
        remedy = "check its units and names"
        if isinstance(cause, UnsupportedEquationsException):
            key, remedy = "method", "use euler or rk4"
        words = as_written(" ".join(str(cause).split()))[:300] or type(cause).__name__
        raise InputError(f"neuron.{key} ({neuron.name}): Brian2 refuses it: {words}; {remedy}") from error


def _unit(text: str) -> Any:
    """Return the unit that a product such as "farad/meter**2" is; 1 for "1"."""
    unit: Any = 1
    for sign, name, power in re.findall(r"([*/]?)([a-z]+)(?:\*\*(\d))?", text):
        unit *= getattr(brian2, name) ** (int(power or 1) * (-1 if sign == "/" else 1))
    return unit


def _code_class(target: Target) -> Any:
    if target == "numpy":
        return brian2.NumpyCodeObject
    why = _no_compiler()
    if why is None:
        return checked(brian2.CythonCodeObject)
    remedy = "install g++ (or set CC and CXX)"
    if target == "cython":
        raise InputError(
            f"compute.target: 'cython' needs a compiler, and Brian2 finds none that works; {remedy}, "
            f"or use 'auto' ({why})"
        )
    warn_once(f"Brian2 finds no compiler that works: its neurons run in numpy, several times slower; {remedy} ({why})")
    return brian2.NumpyCodeObject


@cache
def _no_compiler() -> str | None:
    """Return why Cython and a compiler make no extension here; None where they do."""
    with said_by_programs() as said, first_record("brian2") as heard:
        if brian2.CythonCodeObject.is_available():
            return None
        return first_error(said()) or heard() or "it does not say why"
