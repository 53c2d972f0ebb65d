"""Noise on the pre-activations: sources with a memory, or white noise that no device makes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from neuroanp.devices.protocol import NodeSource, Place
from neuroanp.errors import InputError
from neuroanp.kernels.precision import single
from neuroanp.network.network import OUTPUT
from neuroanp.noise import PassStreams
from neuroanp.substrates.added_noise import Kind, drawn
from neuroanp.substrates.protocol import White
from neuroanp.substrates.starts import Draws, starts
from neuroanp.trajectory import PassPlan


def fills(law: NodeSource) -> bool:
    """Return whether a law draws as it runs: by a `fill` of the class that has its `run`, not of a parent of it."""
    owners = [next((kind for kind in type(law).__mro__ if name in vars(kind)), None) for name in ("fill", "run")]
    return law.fill is not None and owners[0] is owners[1]


UNCONTROLLED = (
    "the device's own sources make the noise of the units, and nobody turns their sign or switches them on for one "
    "group of units; use a rule and a reference that need neither (anp with reference: two or mean)"
)
FORGOTTEN = 1e-9
"""Correlation between presentations below which their starts are drawn independently."""


class NodeNoise:
    """The noise of one presentation of a batch, drawn chunk after chunk in order of time.

    Sources start from their stationary state, and their states are carried from chunk to chunk; all
    draws are addressed by time step, so that the noise does not depend on how time is cut into
    chunks, and the sources are exact over a step of any length. Passes that share a stream see the
    same noise times their factor.

    Args:
        plan: factor on the noise and stream of each pass, and which group has it.
        units: number of pre-activations by group: of each layer, and of the "output" at the end.
        batch: B sequences, each with noise of its own.
        streams: where the draws come from.
        like: gives dtype and device.
        junctions: the law of the sources, or None.
        banks: the sources of a group of units where they are not alike; what is missing has `junctions`.
        sigma: standard deviation of artificial noise, 0 for none; where `output_sigma` is given, of the layers alone.
        output_sigma: that of the output layer, or None: sigma.
        scale: coupling of the sources to the units, by group; what is missing gets their noise as it is.
        dt: seconds a step.
        apart: seconds from the start of a presentation to that of the next, sequence after sequence and
            the passes of one in turn: slow noise is then common to them. Infinity: independent starts.
        kind: of the artificial noise; see `added_noise`.

    Raises:
        InputError: the plan turns signs or picks groups, and sources make the noise, which nobody controls.
    """

    def __init__(
        self,
        plan: PassPlan,
        units: Mapping[str, int],
        batch: int,
        streams: PassStreams,
        like: Tensor,
        junctions: NodeSource | None = None,
        sigma: float = 0.0,
        *,
        output_sigma: float | None = None,
        scale: Mapping[str, float] | None = None,
        dt: float,
        apart: float = math.inf,
        kind: Kind = "gaussian",
        banks: Mapping[str, NodeSource] = MappingProxyType({}),
    ) -> None:
        self.kind: Kind = kind
        self.plan, self.units, self.batch, self.streams = plan, dict(units), batch, streams
        self.like, self.junctions, self.banks, self.dt = like, junctions, banks, dt
        self.sigma = dict.fromkeys(units, sigma)
        if output_sigma is not None:
            self.sigma[OUTPUT] = output_sigma
        self.scale = dict(scale or {})
        if plan.only and junctions is not None and junctions.node_sigma:
            raise InputError(UNCONTROLLED)
        self._factors = {name: plan.of_group(k) for k, name in enumerate(units)}
        # a source that counts steps has no time between presentations; one that forgets need not be followed
        if junctions is None or junctions.samples_are_steps or math.isinf(apart):
            self.apart = math.inf
        else:
            kept = max(abs(law.autocorrelation(apart)) for law in (junctions, *banks.values()))
            self.apart = math.inf if kept < FORGOTTEN else apart
        self._first: dict[int, Tensor] = {}
        self._state: dict[tuple[str, int], tuple[int, Tensor]] = {}  # (layer, stream) -> next step, state

    def white(self, layer: str) -> White | None:
        """Return the noise of a group where it is none, or Gaussian alone that all groups have; see `Perturbation`."""
        if self.junctions is not None or self.plan.only or (self.kind != "gaussian" and self.sigma[layer]):
            return None
        return White(self.sigma[layer], self.streams.at(f"gaussian/{layer}", 0), self.streams.update_there)

    def draw(self, layer: str, t0: int, steps: int) -> Tensor | None:
        """Return the noise of steps t0 .. t0+steps-1.

        Args:
            layer: name of a layer, or "output".
            t0: first step; 0 starts the presentation again, else it follows the last chunk.
            steps: how many.

        Returns: (steps, M, B, n), or None where nothing makes noise.
        Raises: ValueError for a chunk out of order (sources with a memory only).
        """
        sigma = self.sigma[layer]
        if self.junctions is None and not sigma:
            return None
        shape, of_passes = (self.batch, self.units[layer]), self._factors[layer]
        plain = self.junctions is None and self.kind == "gaussian"
        if plain and self.like.device.type == "cpu" and self.like.dtype == torch.float32:
            factors = [factor * sigma for factor in of_passes]
            return torch.from_numpy(
                self.streams.normals(f"gaussian/{layer}", self.plan.stream, factors, t0, steps, shape)
            )
        if plain and self.like.device.type != "cpu":
            factors = [factor * sigma for factor in of_passes]
            return self.streams.times(f"gaussian/{layer}", self.plan.stream, factors, t0, steps, shape, self.like)
        make = torch.empty if all(of_passes) else torch.zeros  # silent passes stay at zero
        out = make((steps, self.plan.passes, *shape), dtype=self.like.dtype, device=self.like.device)
        law = self.banks.get(layer, self.junctions)
        if t0 == 0 and law is not None:
            self._first = self._starts(law, layer, shape)
        # Artificial noise alone takes its sigma along with the factor: one pass over the memory less.
        unit = sigma if self.junctions is None else 1.0
        of_stream: dict[int, list[int]] = {}
        for index, (factor, stream) in enumerate(zip(of_passes, self.plan.stream, strict=True)):
            if factor:
                of_stream.setdefault(stream, []).append(index)
        if plain and of_stream:  # in double precision: all streams at once, for few numbers cost as much as many
            found = self.streams.tensors("normal", f"gaussian/{layer}", [*of_stream], t0, steps, shape, self.like)
            for k, same in enumerate(of_stream.values()):
                for index in same:
                    torch.mul(found[:, k], of_passes[index] * unit, out=out[:, index])
            return out
        there = law is not None and fills(law) and single(out)
        for stream, (first, *others) in of_stream.items():
            one = self._one(layer, stream, t0, steps, out, first)
            for index in (*others, first):  # the first, where it may lie already, in the end
                factor = of_passes[index] * unit
                if index != first or factor != 1 or not there:
                    torch.mul(one, factor, out=out[:, index])
        return out

    def _one(self, layer: str, stream: int, t0: int, steps: int, out: Tensor, index: int) -> Tensor:
        """Return the noise of one stream: junctions plus artificial noise, or this alone with unit variance.

        Where its source draws for itself it lies in out[:, index] already.
        """
        shape = (self.batch, self.units[layer])
        law = self.banks.get(layer, self.junctions)
        if law is None:
            return drawn(self.kind, self.streams, layer, stream, t0, steps, shape, self.like)
        if law.fill is not None and fills(law) and single(out):
            state = self._reached(layer, stream, t0)
            u, xi = (self.streams.at(f"{name}/{layer}", stream, t0) for name in ("junction", "junction_white"))
            u.checked()._replace(t=t0 + steps - 1).checked()
            place = Place(out, index, u, xi)
            self._state[layer, stream] = (t0 + steps, law.fill(place, state, self.dt))
            total = out[:, index]
        else:
            total = self._sources(law, layer, stream, t0, steps, shape)
        if (scale := self.scale.get(layer, 1.0)) != 1.0:
            total.mul_(scale)
        if sigma := self.sigma[layer]:
            total.add_(drawn(self.kind, self.streams, layer, stream, t0, steps, shape, self.like), alpha=sigma)
        return total

    def _sources(self, law: NodeSource, layer: str, stream: int, t0: int, steps: int, shape: tuple[int, int]) -> Tensor:
        """Let the sources of one stream run on and return their noise."""
        state = self._reached(layer, stream, t0)
        u, xi = self._draws(law, shape, layer, stream, t0, steps)
        noise, state = law.run(state, u, xi, self.dt)
        self._state[layer, stream] = (t0 + steps, state)
        return noise

    def _reached(self, layer: str, stream: int, t0: int) -> Tensor:
        """Return the states of the sources of one stream before a step."""
        if t0 == 0:
            return self._first[stream]
        reached, state = self._state.get((layer, stream), (0, self.like))
        if reached != t0:
            raise ValueError(f"chunks must follow in time: {layer} stands at step {reached}, asked for {t0}")
        return state

    def _starts(self, law: NodeSource, layer: str, shape: tuple[int, int]) -> dict[int, Tensor]:
        """Return the state of each stream before its first step."""
        draws: dict[int, Draws] = {}
        for stream in dict.fromkeys(self.plan.stream):
            u, xi = self._draws(law, shape, layer, stream, 0, 1, "_start")
            draws[stream] = (None if u is None else u[0], None if xi is None else xi[0])
        return starts(law, draws, self.plan.stream, self.batch, self.apart, axis=-2)

    def _draws(
        self, law: NodeSource, shape: tuple[int, int], layer: str, stream: int, t0: int, steps: int, when: str = ""
    ) -> tuple[Tensor | None, Tensor | None]:
        """Draw the uniforms and normals of some steps, or of the start, each from a stream of its own."""
        at = (stream, t0, steps)
        u, xi = law.uniforms(shape), law.normals(shape)
        return (
            None if u is None else self._uniform(f"junction{when}/{layer}", *at, u),
            None if xi is None else self._normal(f"junction_white{when}/{layer}", *at, xi),
        )

    def _normal(self, name: str, stream: int, t0: int, steps: int, shape: tuple[int, ...]) -> Tensor:
        return self.streams.tensors("normal", name, [stream], t0, steps, shape, self.like)[:, 0]

    def _uniform(self, name: str, stream: int, t0: int, steps: int, shape: tuple[int, ...]) -> Tensor:
        return self.streams.tensors("uniform", name, [stream], t0, steps, shape, self.like)[:, 0]
