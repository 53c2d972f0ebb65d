"""Kernels of reads on a GPU read what the plain reader reads: compiled, or by Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from neuroanp.substrates.protocol import Quantiser, ReadPlan
from neuroanp.substrates.read import Reader
from neuroanp.substrates.read_gpu import GpuReader

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CODES = {"dac": Quantiser(0.125, 1.0), "adc": Quantiser(0.25, 1.5, -1.75)}


def spread(shape: tuple[int, ...], most: float, least: float = 0.0) -> torch.Tensor:
    """Return numbers between least and most that follow no order of rows or columns."""
    numbers = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64)
    return (least + (most - least) * (numbers * 0.6180339887498949).frac()).float().view(shape)


def plans(n: int = 5, m: int = 300) -> dict[str, ReadPlan]:
    """Return arrays that differ in all that a read has."""
    W, S, tiles = spread((n, m), 0.3, -0.3), spread((n, m), 4e-3), (130, 130, 40)
    each = (3, n)
    return {
        "noise of weights": ReadPlan(W, sigma2=S),
        "converters": ReadPlan(W, **CODES),
        "a line that clips": ReadPlan(W, dac=Quantiser(0.0, 0.5), adc=Quantiser(0.0, 0.7)),
        "amplifiers": ReadPlan(W, extra=0.04, **CODES),
        "drivers": ReadPlan(W, sigma2=S, dac_sigma=0.05, **CODES),
        "drivers alone": ReadPlan(W, dac_sigma=0.05),
        "tiles": ReadPlan(W, sigma2=S, widths=tiles, extra=spread(each, 0.05), **CODES),
        "mismatch": ReadPlan(
            W, sigma2=S, widths=tiles, gain=spread(each, 1.2, 0.8), offset=spread(each, 0.2, -0.2), dac_sigma=0.02,
            **CODES,
        ),
        "offsets": ReadPlan(W, offset=spread((1, n), 0.2, -0.2)),
    }  # fmt: skip


def on(device: str, plan: ReadPlan) -> ReadPlan:
    moved = {name: x.to(device) for name, x in vars(plan).items() if isinstance(x, torch.Tensor)}
    return ReadPlan(**{**vars(plan), **moved})


def differ(device: str) -> list[tuple]:
    """Return the reads that are not those of the plain reader in double precision, or whose clips are others."""
    found = []
    for name, single in plans().items():
        plan = on(device, single)
        double = ReadPlan(**{
            field: x.double() if isinstance(x, torch.Tensor) else x for field, x in vars(single).items()
        })  # fmt: skip
        plain = Reader(double)
        plain.fast = None
        reader = GpuReader(plan, plan.W.t().contiguous(), None if plan.sigma2 is None else plan.sigma2.t().contiguous())
        columns = max(plain.normals, 1)
        for lead, noisy in (((4,), ()), ((4,), (4,)), ((3, 1, 2), (3, 3, 2)), ((3, 3, 2), (3, 3, 2))):
            x, clipped = spread((*lead, 300), 1.1, -1.1), torch.zeros((), dtype=torch.int64, device=device)
            xi = spread((*noisy, columns), 2.0, -2.0) if noisy and plain.noisy else None
            there = None if xi is None else xi.to(device)
            y, conversions = reader(x.to(device), there, clipped)
            expected = plain(x.double(), None if xi is None else xi.double())
            told, count = plain.counted()
            step = 0.0 if plan.adc is None else plan.adc.step
            far = (y.cpu().double() - expected).abs()
            # what lies at the edge of a code may fall on its other side
            near = 1e-5 * max(1.0, float(expected.abs().max()))
            beyond = far > near
            edges = int(beyond.sum()) <= 1 + beyond.numel() // 50 and bool((far[beyond] < step + near).all())
            if y.shape != expected.shape or not edges or int(clipped) != told or conversions != count:
                found.append((name, lead, noisy, float(far.max()), int(clipped), told, conversions, count))
    return found


@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton: pip install triton (Linux on x86-64 or ARM)")
def test_interpreted_they_read_what_the_plain_reader_reads():
    asked = "from tests.kernels.test_triton_reads import differ; print(differ('cpu'))"
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@cuda
def test_compiled_they_read_what_the_plain_reader_reads():
    assert differ("cuda") == []


@cuda
def test_a_reader_on_a_gpu_takes_them():
    for name, plan in plans().items():
        assert (Reader(on("cuda", plan)).on_gpu is not None) == (not Reader(plan).plain), name
    assert Reader(on("cuda", ReadPlan(torch.eye(3), dac=Quantiser(0.1, 1.0), bits=3))).on_gpu is None


def test_none_is_made_on_a_cpu():
    assert all(Reader(plan).on_gpu is None for plan in plans().values())
