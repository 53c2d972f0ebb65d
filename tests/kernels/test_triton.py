"""Kernels of GPUs make the plain draws bit for bit, and differences of passes: compiled, or by Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from neuroanp.kernels import device_draws
from neuroanp.kernels.draws import reference
from neuroanp.kernels.held import held
from neuroanp.kernels.philox import Address

NO_TRITON = "needs Triton: pip install triton (Linux on x86-64 or ARM)"
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SHAPES = [(), (1,), (3, 5), (2, 1), (1, 300), (70, 8), (2, 3, 4)]


def differ(device: str) -> list[tuple]:
    """Return the cases in which a kernel's draws are not the plain ones, with and without a drive."""
    from neuroanp.kernels import triton_draws

    streams, factors, update, steps = (5, 0, 2**32 - 1), (0.25, 0.0, -0.1), 3_000_000_000, 2
    at, where = Address(key=0x9234_5678_90AB_CDEF, update=0, stream=0, t=70), torch.device(device)
    update_there, each = torch.full((1,), update, device=where), held(factors, torch.float32, where)
    of_passes, found = held(streams, torch.int64, where), []
    for kind in ("normal", "uniform"):
        for shape in SHAPES:
            for drives in (0, 1, 3):
                drive = torch.linspace(-1, 1, 2 * drives * int(np.prod(shape)), device=where).view(2, drives, *shape)
                got = triton_draws.fill(
                    kind, at, of_passes, each, steps, shape, update_there, drive if drives else None
                )
                for m, (stream, factor) in enumerate(zip(streams, factors, strict=True)):
                    plain = reference(kind, at._replace(stream=stream, update=update), steps, shape, "float32")
                    expected = torch.from_numpy(plain) * torch.tensor(factor)
                    if drives:
                        expected = drive[:, m % drives].cpu() + expected
                    if not torch.equal(got[:, m].cpu(), expected):
                        found.append((kind, shape, drives, m))
    return found


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason=NO_TRITON)
def test_interpreted_they_make_the_plain_draws_and_differences():
    asked = "from tests.kernels.test_triton import changes, differ; print(differ('cpu') + changes('cpu'))"
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def changes(device: str) -> list[tuple]:
    """Return the cases in which differences of passes are not those that torch forms."""
    from neuroanp.kernels import triton_passes

    found = []
    for shape in [(1, 2, 1), (3, 5, 2, 700), (2, 4, 1, 1025)]:
        values = torch.linspace(-1, 1, int(np.prod(shape))).sin().view(shape)
        pairs = ((0, 1), (1, 0), (shape[1] - 1, 0))
        a, b = (values[:, list(each)] for each in zip(*pairs, strict=True))
        there = values.to(device)
        if not torch.equal(triton_passes.differences(there, pairs).cpu(), a - b):
            found.append((shape, "pairs"))
        from_mean = triton_passes.differences(there, None).cpu().double()
        if not torch.allclose(from_mean, values.double() - values.double().mean(1, keepdim=True), rtol=0, atol=3e-7):
            found.append((shape, "mean"))
    return found


@cuda
def test_compiled_they_make_the_plain_draws_and_differences():
    assert differ("cuda") + changes("cuda") == []


@cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_on_a_gpu_is_that_of_a_cpu(dtype):
    at, shape = Address(7, 11, 0, 3), (4, 9)
    drive = torch.linspace(-1, 1, 2 * 36, dtype=dtype).view(2, 1, *shape)
    found = [
        device_draws.noisy(at, 2, (4, 1), (0.5, 0.1), shape, drive.to(device), None, drive.to(device)).cpu()
        for device in ("cuda", "cpu")
    ]
    assert torch.equal(*found) if dtype == torch.float32 else torch.allclose(*found, rtol=1e-13, atol=0)
