"""The one place that reads an array: y = ADC(W DAC(x) + noise), tile by tile and bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neuroanp.later import number
from neuroanp.substrates.periphery import bent, quantise
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.substrates.read_fast import FINEST, FastReader, Product, plain_load
from neuroanp.substrates.read_gpu import GpuReader
from neuroanp.substrates.transitions import converted


class Reader:
    """Reads one array by its plan, many times: the transposes are made once.

        y = sum over tiles and bits of ADC(x_q W^T + sqrt(x_q^2 S^T + extra) xi),  x_q = DAC(x) + noise,  S = sigma2

    Exact in distribution for independent Gaussian noise of the weights, without drawing one number
    a weight. `clipped` counts outputs at the ADC's limits and stays on the tensors' device.

    Args:
        plan: the array as the passes of one update see it.

    Attributes:
        normals: standard normals that one vector read takes.

    >>> from neuroanp.substrates.protocol import Quantiser
    >>> reader = Reader(ReadPlan(W=torch.eye(2), adc=Quantiser(0.5, 1.0)))
    >>> reader(torch.tensor([[0.6, 3.0]])).tolist(), int(reader.clipped)
    ([[0.5, 1.0]], 1)
    """

    def __init__(self, plan: ReadPlan) -> None:
        self.plan = plan
        self.n, self.m = plan.W.shape
        self.st = None if plan.sigma2 is None or plan.sampled else plan.sigma2.t().contiguous()
        self.sigma = plan.sigma2.sqrt() if plan.sigma2 is not None and plan.sampled else None
        self.has_extra = plan.amplifies_noise
        weighted = self.st is not None or self.sigma is not None or plan.process is not None
        self.noisy = weighted or self.has_extra or plan.dac_sigma > 0
        self.normals = normals(plan)
        straight = plan.linear and plan.gain is None and plan.offset is None
        self.plain = straight and not self.noisy and plan.dac is None and plan.adc is None and plan.parts == 1
        self.wt = (plan.effective if self.plain else plan.W).t().contiguous()
        self.clipped = torch.zeros((), dtype=torch.int64, device=plan.W.device)
        self.conversions = 0
        self.fast = FastReader(plan, self.wt, self.st) if not self.plain and FastReader.possible(plan) else None
        self.on_gpu = GpuReader(plan, self.wt, self.st) if not self.plain and GpuReader.possible(plan) else None
        self._tiles = _slices(plan.widths or (self.m,))
        self._kept: dict[str, Tensor] = {}

    def told(self, x: Tensor) -> Tensor:
        """Return what goes to the word lines: D x where activity is decorrelated, x and the bias line elsewhere."""
        D = self.plan.decorrelation
        return x if D is None else torch.cat([x[..., : len(D)] @ D.mT, x[..., len(D) :]], -1)

    def inputs(self, x: Tensor) -> Tensor:
        """Return what the word lines are told: x through the DAC."""
        return x if self.plan.dac is None else quantise(x, self.plan.dac)

    def load(self, x: Tensor) -> Tensor:
        """Return the sum over all reads of (V / v_read)^2 t / t_read of each word line, (m,).

        x^2 where inputs are voltages (of devices that are not ohmic x V_0 sinh(x / V_0)), |x| where they are times;
        every bit that is set where they are read bit by bit.

        Args:
            x: inputs before the DAC, (steps, rows, m).
        """
        x = self.told(x)
        if self.fast is not None:
            return self.fast.load(x)
        x = self.inputs(x)
        if self.plan.bits:
            return torch.stack([bit.abs().sum((0, 1)) for _, bit in self._bits(x)]).sum(0)
        if self.plan.pulse_width:
            return x.abs().sum((0, 1))
        circuits = self.plan.circuits
        if (v_0 := self.plan.v_0 if circuits is None else circuits.v_0) is not None:  # V I(V) of a device is no square
            return (x * bent(x, v_0)).sum((0, 1))
        if x.device.type == "cpu" and x.dtype in FINEST:
            return plain_load(x)
        return x.square().sum((0, 1)) if x.device.type == "cpu" else torch.linalg.vector_norm(x, dim=(0, 1)).square_()

    def counted(self) -> tuple[float | Tensor, int]:
        """Return the outputs at the ADC's limits and all conversions since this was last asked."""
        found = number(self.clipped), self.conversions  # a copy, where the host does not know it yet
        self.clipped.zero_()
        self.conversions = 0
        return found

    def __call__(self, x: Tensor, xi: Tensor | None = None) -> Tensor:
        """Read once a row.

        Args:
            x: inputs, (..., m).
            xi: standard normals, (..., normals), times the pass's factor; None for a read without noise.

        Returns: y, (..., n).
        """
        if self.plain:
            return x @ self.wt
        x, xi = self.told(x), xi if self.noisy else None
        if self.plan.port is not None:
            return self.plan.port(x.reshape(-1, self.m)).view(*x.shape[:-1], self.n)
        if self.fast is not None:
            return self._counted(*self.fast(x, xi))
        if self.on_gpu is not None:
            y, conversions = self.on_gpu(x, xi, self.clipped)
            self.conversions += conversions
            return y
        if xi is None:
            return self._sum(self._bent(self.inputs(x)), lambda y, part, tile, lines: y)
        x, xi = self._driven(self.inputs(x), xi)
        x = self._bent(x)
        if self.st is None and not self.has_extra:
            return self._sum(x, lambda y, part, tile, lines: y)

        def disturbed(y: Tensor, part: int, tile: int, lines: Tensor) -> Tensor:
            own, spread = self._own(xi, part), self._spread(lines, tile)
            if y.shape == own.shape:
                return y.addcmul_(spread, own)
            return torch.addcmul(y, spread, own)  # one row of x serves several passes, each with its own noise

        return self._sum(x, disturbed)

    def _counted(self, y: Tensor, clipped: int, conversions: int) -> Tensor:
        if clipped:
            self.clipped += clipped
        self.conversions += conversions
        return y

    @property
    def recurs(self) -> bool:
        """Whether `recur` does all steps of a layer that sees itself through the array."""
        return self.fast is not None and not self.plan.sampled and self.plan.decorrelation is None

    def recur(
        self, h: Tensor, xs: Tensor, x: Tensor, xi: Tensor | None, devices: tuple[Any, ...] | None = None
    ) -> None:  # fmt: skip
        """Do all steps of units that see themselves; see `FastReader.recur`."""
        assert self.fast is not None
        self._counted(h, *self.fast.recur(h, xs, x, xi if self.noisy else None, devices))

    def sampled(self, x: Tensor, xi: Tensor, deviation: Tensor | Product | None = None) -> Tensor:
        """Read with the noise of every weight drawn: y_i = ADC(sum_j (W_ij + sqrt(S_ij) xi_ij) x_j).

        Args:
            x: inputs, (rows, m).
            xi: standard normals, (rows, normals): n m of the weights unless `deviation` is given, one
                for each conversion where it is noisy, one a word line where the drivers are.
            deviation: noise of the weights (rows, n, m) in weight units, where it has a memory; or what multiplies
                inputs (rows, m) with it tile by tile.

        Returns: y, (rows, n).
        Raises: ValueError if xi has not `normals` columns.
        """
        if xi.shape[-1] != self.normals:
            raise ValueError(f"a read of this array takes {self.normals} normals a row, got {tuple(xi.shape)}")
        x = self.told(x)
        if self.fast is not None:
            return self._counted(*self.fast.sampled(x, xi, self.sigma, deviation))
        x, xi = self._driven(self.inputs(x), xi)
        x = self._bent(x)
        assert not callable(deviation) or isinstance(deviation, Tensor)
        if deviation is None and self.sigma is not None:
            deviation = xi[..., : self.n * self.m].unflatten(-1, (self.n, self.m)) * self.sigma
            xi = xi[..., self.n * self.m :]

        def disturbed(y: Tensor, part: int, tile: int, lines: Tensor) -> Tensor:
            if deviation is not None:
                y = y + torch.einsum("rnm,rm->rn", deviation[..., self._tiles[tile]], lines)
            return y + self._own(xi, part) * self._extra(tile, y) if self.has_extra else y

        return self._sum(x, disturbed)

    def deviation(self, xq: Tensor, tile: int = 0) -> Tensor:
        """Return the standard deviation of a tile's outputs before the ADC, for quantised inputs (..., width)."""
        return self._spread(xq, tile).clone()

    def _spread(self, xq: Tensor, tile: int) -> Tensor:
        """Return `deviation` in memory that the next call uses again: fresh memory costs a tenth of a read."""
        if self.plan.circuits is not None:
            variance = self.plan.circuits.variance(xq, tile) + self._extra(tile, xq, squared=True)
            return variance.sqrt_()
        if self.st is None:
            return self._extra(tile, xq).expand(*xq.shape[:-1], self.n)
        squares = torch.mul(xq, xq, out=self._memory("squares", xq.shape, xq))
        columns = self.st if len(self._tiles) == 1 else self.st[self._tiles[tile]]
        variance = torch.matmul(squares, columns, out=self._memory("variance", (*xq.shape[:-1], self.n), xq))
        if self.has_extra:
            variance.add_(self._extra(tile, xq, squared=True))
        return variance.sqrt_()

    def _memory(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return uninitialised memory of a shape, the same as long as the shape stays."""
        found = self._kept.get(name)
        if found is None or found.shape != shape:
            found = self._kept[name] = like.new_empty(shape)
        return found

    def convert(self, y: Tensor, tile: int = 0) -> Tensor:
        """Pass a tile's outputs through their ADCs, in place, and count those that clip.

        Gain and offset act without rounding and limits, too: each effect can be on alone.
        """
        q, plan = self.plan.adc, self.plan
        if plan.gain is not None:
            y = y.mul_(plan.gain[tile])
        if plan.offset is not None:
            y = y.add_(plan.offset[tile])
        if q is None:
            return y
        beyond = y.abs() > q.limit if q.low is None else (y > q.limit) | (y < q.low)
        self.clipped += beyond.sum()
        self.conversions += y.numel()
        if plan.transitions is not None:
            return converted(y, q, plan.transitions[tile])
        return quantise(y, q, out=y)

    # ---- parts of a read ----

    def _sum(self, x: Tensor, disturbed: Callable[[Tensor, int, int, Tensor], Tensor]) -> Tensor:
        """Add up the conversions of all bits and tiles; `disturbed(y, part, tile, x)` adds the noise of one."""
        total: Tensor | None = None
        parts = [(weight, bit, tile) for weight, bit in self._bits(x) for tile in range(len(self._tiles))]
        for part, (weight, bit, tile) in enumerate(parts):
            columns = self._tiles[tile]
            lines = bit if len(self._tiles) == 1 else bit[..., columns]
            if self.plan.circuits is not None:
                y = self.plan.circuits.outputs(lines, tile)
            else:
                y = lines @ (self.wt if len(self._tiles) == 1 else self.wt[columns])
            y = self.convert(disturbed(y, part, tile, lines), tile)
            y = y if weight == 1.0 else y * weight
            total = y if total is None else total + y
        assert total is not None
        return total

    def _bits(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """Return weight and signed value of each magnitude bit of quantised inputs, or the inputs themselves."""
        if not self.plan.bits:
            return [(1.0, x)]
        assert self.plan.dac is not None
        step = self.plan.dac.step
        code = torch.round(x / step)
        size, sign = code.abs().to(torch.int64), code.sign()
        return [(2.0**b * step, ((size >> b) & 1).to(x.dtype) * sign) for b in range(self.plan.bits)]

    def _bent(self, x: Tensor) -> Tensor:
        """Return what ohmic devices would have to be driven with to conduct what these do."""
        v_0 = self.plan.v_0
        return x if v_0 is None else bent(x, v_0)

    def _driven(self, x: Tensor, xi: Tensor) -> tuple[Tensor, Tensor]:
        """Add the drivers' noise, the last m normals of a read; return the rest of the normals."""
        if not self.plan.dac_sigma:
            return x, xi
        return x + self.plan.dac_sigma * xi[..., -self.m :], xi[..., : -self.m]

    def _own(self, xi: Tensor, part: int) -> Tensor:
        """Return the normals of one conversion, (..., n)."""
        return xi[..., part * self.n : (part + 1) * self.n]

    def _extra(self, tile: int, like: Tensor, squared: bool = False) -> Tensor:
        """Return the standard deviation (or variance) of a conversion's own noise, (n,) or a scalar."""
        extra = self.plan.extra
        value = extra[tile] if isinstance(extra, Tensor) else like.new_full((), extra)
        return value if squared else value.sqrt()


def normals(plan: ReadPlan) -> int:
    """Return how many standard normals one vector read takes.

    By moments one a conversion; where devices are drawn one a weight (none if their noise has a
    memory: it has draws of its own) and one a conversion that is noisy itself; one a word line
    where the drivers are noisy.
    """
    n, m = plan.W.shape
    lines = m if plan.dac_sigma else 0
    conversions = plan.parts * n if plan.amplifies_noise else 0
    if plan.process is not None:
        return conversions + lines
    if plan.sampled:
        return (n * m if plan.sigma2 is not None else 0) + conversions + lines
    return (plan.parts * n if plan.sigma2 is not None else conversions) + lines


def _slices(widths: tuple[int, ...]) -> list[slice]:
    stops = [sum(widths[: i + 1]) for i in range(len(widths))]
    return [slice(stop - width, stop) for stop, width in zip(stops, widths, strict=True)]
