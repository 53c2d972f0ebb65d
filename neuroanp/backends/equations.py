"""A neuron of the user's own: Brian2 equations, threshold and reset, checked before Brian2 sees them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from math import exp
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from neuroanp.backends.arithmetic import LARGEST_INT, Known
from neuroanp.backends.expressions import (
    GIVEN,
    Variable,
    check_name,
    check_whole,
    expression,
    handed,
    parse_model,
    statements,
    uncommented,
)
from neuroanp.backends.growth import check_growth
from neuroanp.backends.neuron import NeuronModel, longer_than_a_step
from neuroanp.errors import did_you_mean
from neuroanp.units import Dimension, PositiveTime, dimension_of
from neuroanp.yaml_io import at

QUANTITIES = {
    "V": "volt", "A": "amp", "S": "siemens", "F": "farad", "ohm": "ohm", "s": "second", "Hz": "hertz",
    "C": "coulomb", "K": "kelvin", "J": "joule", "W": "watt", "m": "meter", "V/s": "volt/second",
    "A/s": "amp/second", "S/s": "siemens/second", "Hz/V": "hertz/volt", "Hz/V/s": "hertz/volt/second",
    "S/V": "siemens/volt", "F/m^2": "farad/meter**2", "S/m^2": "siemens/meter**2", "A/m^2": "amp/meter**2",
    "m^2": "meter**2",
}  # fmt: skip
"""Units of parameters: as written in a quantity, and as Brian2 writes them."""

_QUANTITY = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*[A-Za-zµ]*")


class Handed(NamedTuple):
    """Equations as Brian2 gets them: plain text and numbers, every name of the user's as `handed` writes it.

    Args:
        name: of the neuron, as the user knows it.
        model, threshold, reset, method: what Brian2 calls so.
        refractory: seconds, an expression, or None.
        namespace: parameters in SI units, each with its unit.
        rest: what variables start from.
        input, synapse, activity, voltage: names of the variables that the network meets.
    """

    name: str
    model: str
    threshold: str
    reset: str
    method: str
    refractory: float | str | None
    namespace: Mapping[str, tuple[float, str]]
    rest: Mapping[str, float]
    input: str
    synapse: str
    activity: str
    voltage: str


class Equations(NeuronModel):
    r"""A neuron given by Brian2 equations, with dimensionless variables where the network meets it.

    The network writes `input` (the external current) before every step, adds to `synapse` what spikes
    bring, and reads `activity` (for the learning rule and the outputs) and `voltage` (for records). The
    first three are dimensionless: convert inside the equations, e.g. `i_in = (I + Iext) * nA : amp`.
    In a step, the equations are integrated, `threshold` is tested, spikes are added, `reset` runs.
    The parameter tau_r is the field of that name, and so is tau_m, where it is stated: profiles with noise
    of junctions couple it by how far it moves a membrane of that time constant.

    >>> neuron = Equations(
    ...     model='''dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)
    ...              dI/dt = -I/tau_s : 1
    ...              dz/dt = -z/tau_r : 1
    ...              Iext : 1''',
    ...     threshold="v > 1", reset="v = 0; z += 1", refractory="2 ms", method="exact",
    ...     parameters={"tau_m": "20 ms", "tau_s": "5 ms"},
    ... )
    >>> neuron.quantities()["tau_m"], list(neuron.variables)
    ((0.02, 'second'), ['v', 'I', 'z', 'Iext'])

    >>> neuron.check(1e-3)
    >>> [round(decay, 4) for decay in neuron.decays(1e-3)], round(neuron.membrane_decay(1e-3) or 0.0, 4)
    ([0.9512, 0.9512], 0.9512)
    >>> print(neuron.text(), neuron.condition(), neuron.statements(), sep="\n")
    dv000/dt = (-v000 + I000 + Iext000) / tau_m000 : 1 (unless refractory)
    dI000/dt = -I000 / tau_s000 : 1
    dz000/dt = -z000 / tau_r000 : 1
    Iext000 : 1
    v000 > 1
    v000 = 0
    z000 += 1
    >>> neuron.refractoriness(), neuron.rest_s(), neuron.rest()["v"], neuron.handed().method, neuron.known.whole
    (0.002, 0.002, 0.0, 'exact', frozenset())

    A package of yours may register a subclass under "neuroanp.neurons", with defaults for these fields and
    with fields of its own, which become parameters:

    >>> from neuroanp.units import Voltage
    >>> class Izhikevich(Equations):
    ...     '''Izhikevich, IEEE Trans. Neural Netw. 14, 1569 (2003), eqs. 1-3; v and u in mV and mV/ms.'''
    ...     name: Literal["izhikevich"] = "izhikevich"
    ...     model: str = '''dv/dt = (0.04*v**2/mV + 5*v + 140*mV)/ms - u + (I + Iext)*mV/ms : volt
    ...                     du/dt = (0.2*v/ms - u)*0.02/ms : volt/second
    ...                     dI/dt = -I/(5*ms) : 1
    ...                     dz/dt = -z/tau_r : 1
    ...                     Iext : 1'''
    ...     threshold: str = "v >= 30*mV"
    ...     reset: str = "v = c; u += 8*mV/ms; z += 1"
    ...     method: str = "euler"
    ...     initial: dict[str, str | float] = {"v": "-70 mV", "u": "-14 V/s"}
    ...     c: Voltage = -65e-3
    >>> Izhikevich(c="-50 mV").quantities()["c"]  # bursts
    (-0.05, 'volt')

    Raises:
        ValueError: anything outside the language, an unknown name, or no variable where one is needed.
    """

    name: Literal["equations"] = "equations"
    model: str = Field(description="Brian2 equations, one a line: 'dx/dt = right-hand side : unit (flag)'")
    threshold: str = Field(description="a neuron spikes where this is true, e.g. 'v > 1'")
    reset: str = Field(description="assignments where a neuron spiked, e.g. 'v = 0; z += 1'")
    refractory: str | None = Field(default=None, description="a time such as '2 ms', or an expression")
    method: Literal["exponential_euler", "exact", "euler", "rk2", "rk4"] = Field(
        default="exponential_euler", description="Brian2's way of integrating the equations"
    )
    parameters: dict[str, str | float] = Field(default={}, description="values of names, with their units")
    initial: dict[str, str | float] = Field(default={}, description="values at the start; 0 where missing")
    input: str = Field(default="Iext", description="variable that is the external current")
    synapse: str = Field(default="I", description="variable that spikes add to")
    activity: str = Field(default="z", description="variable that rules and outputs read")
    voltage: str = Field(default="v", description="variable that is recorded as the membrane potential")
    tau_m: PositiveTime | None = Field(
        default=None, description="time constant of the membrane near rest: how far noise moves it"
    )

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """What the equations define, by name."""
        return parse_model(self.model)

    def quantities(self) -> dict[str, tuple[float, str]]:
        """Return the parameters in SI units, each with its unit as Brian2 writes it ("1" for a number)."""
        found = {"tau_r": (self.tau_r, "second")}
        if self.tau_m is not None:
            found["tau_m"] = (self.tau_m, "second")
        for name, field in type(self).model_fields.items():
            if name not in Equations.model_fields:
                dimension = dimension_of(field.annotation, field.metadata)
                found[name] = (float(getattr(self, name)), QUANTITIES[dimension.unit] if dimension else "1")
        return found | {name: _quantity(value) for name, value in self.parameters.items()}

    def check(self, dt: float) -> None:
        """Raise ValueError where a time constant, a parameter called tau..., is no longer than dt seconds."""
        found = self.quantities().items()
        longer_than_a_step({name: v for name, (v, unit) in found if unit == "second" and name.startswith("tau")}, dt)

    def decays(self, dt: float) -> tuple[float, float]:
        """Return the factors of a step of dt seconds: of the trace that outputs read, of what an input spike leaves.

        The latter goes by the field tau_s of a subclass, and by tau_r where there is none.
        """
        own = self.quantities()["tau_s"][0] if "tau_s" in type(self).model_fields else self.tau_r
        return exp(-dt / self.tau_r), exp(-dt / own) if own else 0.0

    def membrane_decay(self, dt: float) -> float | None:
        """Return the factor by which a membrane near rest forgets in dt seconds; None where tau_m is not stated."""
        tau_m, unit = self.quantities().get("tau_m", (0.0, ""))
        if unit != "second":
            return None
        return 1.0 - dt / tau_m if self.method == "euler" else exp(-dt / tau_m)

    def rest_s(self) -> float:
        """Return the refractory period, 0 where an expression gives it."""
        period = self.refractoriness()
        return period if isinstance(period, float) else 0.0

    def rest(self) -> dict[str, float]:
        """Return what every variable that is not computed starts from, in SI units."""
        return {
            name: _of_unit(self.initial.get(name, 0.0), variable.unit)
            for name, variable in self.variables.items()
            if variable.kind != "subexpression"
        }

    def handed(self) -> Handed:
        """Return the equations as Brian2 gets them."""
        return Handed(
            self.name, self.text(), self.condition(), self.statements(), self.method, self.refractoriness(),
            {handed(name): quantity for name, quantity in self.quantities().items()},
            {handed(name): value for name, value in self.rest().items()},
            *(handed(name) for name in (self.input, self.synapse, self.activity, self.voltage)),
        )  # fmt: skip

    def text(self) -> str:
        """Return the model as Brian2 gets it."""
        lines = []
        for name, (kind, right, unit, flag) in self.variables.items():
            name, right = handed(name), expression(right, self.known) if right else ""
            left = {"differential": f"d{name}/dt = {right}", "subexpression": f"{name} = {right}", "parameter": name}
            lines.append(f"{left[kind]} : {unit}" + (f" ({flag})" if flag else ""))
        return "\n".join(lines)

    def condition(self) -> str:
        """Return the threshold as Brian2 gets it."""
        return expression(self.threshold, self.known, condition=True)

    def statements(self) -> str:
        """Return the reset as Brian2 gets it, one assignment a line."""
        return "\n".join(statements(self.reset, self.known, self._writable()))

    def refractoriness(self) -> float | str | None:
        """Return the refractory period in seconds, or the expression Brian2 gets."""
        if self.refractory is None:
            return None
        if _QUANTITY.fullmatch(self.refractory.strip()):
            return Dimension("time", "s", "2 ms").parse(self.refractory)
        return expression(self.refractory, self.known)

    @cached_property
    def known(self) -> Known:
        """The names that an expression may use."""
        values = {name: value for name, (value, _) in self.quantities().items()}
        whole, boolean = (
            frozenset(name for name, variable in self.variables.items() if variable.unit == unit)
            for unit in ("integer", "boolean")
        )
        return Known(frozenset({*self.variables, *values, *GIVEN}), values, whole, boolean)

    def _writable(self) -> list[str]:
        return [n for n, v in self.variables.items() if v.kind != "subexpression" and v.flag != "constant"]

    @model_validator(mode="after")
    def _allowed(self) -> Equations:
        for key, check in (
            ("model", lambda: self.variables),
            *((key, self._needed(key)) for key in ("input", "synapse", "activity", "voltage")),
            ("parameters", self._check_parameters),
            ("model", self._check_model),
            ("threshold", self.condition),
            ("reset", self.statements),
            ("activity", self._check_activity),
            ("refractory", self._check_refractory),
            ("initial", self._check_initial),
        ):
            try:
                check()
            except ValueError as error:
                raise at((key,), str(error)) from None
        return self

    def _check_parameters(self) -> None:
        stated = {"tau_r", *(["tau_m"] if self.tau_m is not None else [])}
        stated |= type(self).model_fields.keys() - Equations.model_fields.keys()
        for name in self.parameters:
            if name in stated:
                raise ValueError(f"'{name}' is neuron.{name} already; state its value there")
        for name in self.quantities():
            check_name(name)
            if name in self.variables:
                raise ValueError(f"'{name}' is a variable of the equations too; rename one of them")
        texts = [self.model, self.threshold, self.reset, self.refractory or "", "tau_m"]
        used = set(re.findall(r"\w+", " ".join(uncommented(text) for text in texts)))
        for name in self.parameters:
            if name not in used:
                raise ValueError(f"'{name}' is used nowhere{did_you_mean(name, sorted(used))}; remove it")

    def _check_model(self) -> None:
        for name, variable in self.variables.items():
            if variable.kind != "parameter":
                try:
                    expression(variable.right, self.known)
                    check_whole(name, variable.right, self.known)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
            if variable.flag == "unless refractory" and self.refractory is None:
                raise ValueError(f"{name}: 'unless refractory' needs refractory, e.g. refractory: 2 ms")
        check_growth(self.variables, self.known, self.method)

    def _check_refractory(self) -> None:
        self.refractoriness()

    def _check_activity(self) -> None:
        """Refuse an activity that nothing moves: it stays at 0, and nothing can be learned from it."""
        right = self.variables[self.activity].right
        others = set(re.findall(r"\w+", right)) & self.variables.keys() - {self.activity}
        written = {statement.split()[0] for statement in self.statements().splitlines()}
        if not others and handed(self.activity) not in written:
            raise ValueError(
                f"nothing moves the activity variable '{self.activity}': neither its equation nor the reset; "
                f"add {self.activity} += 1 to the reset"
            )

    def _check_initial(self) -> None:
        for name in self.initial:
            if name not in self.variables or self.variables[name].kind == "subexpression":
                known = [n for n, v in self.variables.items() if v.kind != "subexpression"]
                raise ValueError(f"'{name}' is not a state{did_you_mean(name, known)} (states: {', '.join(known)})")
        self.rest()

    def _needed(self, key: str) -> Callable[[], None]:
        """Return the check that a field names a variable which suits its role."""

        def check() -> None:
            name, variable = getattr(self, key), self.variables.get(getattr(self, key))
            if variable is None:
                raise ValueError(
                    f"the equations do not define the {key} variable '{name[:40]}' (they define "
                    f"{', '.join(self.variables)}); add e.g. {_EXAMPLES[key]}, or name one with neuron.{key}"
                )
            if variable.kind == "subexpression" or variable.flag == "constant":
                raise ValueError(f"the {key} variable '{name}' is computed or constant; use a state, {_EXAMPLES[key]}")
            if key != "voltage" and variable.unit != "1":
                raise ValueError(
                    f"the {key} variable '{name}' has unit {variable.unit}; make it dimensionless "
                    f"and convert inside the equations, e.g. {_EXAMPLES[key]}"
                )
            roles = [role for role in ("input", "synapse", "activity") if getattr(self, role) == name]
            if key in roles[1:]:
                raise ValueError(f"'{name}' is the {roles[0]} variable too; they must differ")

        return check


_EXAMPLES = {
    "input": "Iext : 1",
    "synapse": "dI/dt = -I/(5*ms) : 1",
    "activity": "dz/dt = -z/tau_r : 1 and z += 1 to the reset",
    "voltage": "dv/dt = (-v + I + Iext)/tau_m : 1",
}


def _quantity(value: str | float) -> tuple[float, str]:
    """Return a parameter in SI units and its unit as Brian2 writes it."""
    if not isinstance(value, str):
        return float(value), "1"
    for unit, written in QUANTITIES.items():
        try:
            return Dimension("value", unit, "20 ms", signed=True).parse(value), written
        except ValueError:
            continue
    raise ValueError(f"'{value[:40]}' is not a quantity; write e.g. 20 ms, -70 mV, 30 nS, 2 Hz, or a bare number")


def _of_unit(value: str | float, unit: str) -> float:
    """Return a value in SI units; ValueError where it has not the unit of its variable."""
    if unit in ("1", "boolean", "integer"):
        if isinstance(value, str):
            raise ValueError(f"'{value[:40]}' is not a number; its variable is dimensionless")
        if unit != "1" and (value != round(value) or abs(value) > (1 if unit == "boolean" else LARGEST_INT)):
            raise ValueError(f"'{value:g}' is no {unit}, which its variable is")
        return float(value)
    if not isinstance(value, str):
        if value:
            raise ValueError(f"'{value}' has no unit; its variable is in {unit}")
        return 0.0
    return Dimension(f"value in {unit}", unit, f"1 {unit}", signed=True).parse(value)
