"""Draw what lies at an address in torch, on any device: the bits of `draws.reference`.

Every operation is torch's own, one rounding each, so that single precision has the same bits on a GPU as on a CPU.
Double precision takes the device's logarithm, sine and cosine: the same to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.kernels.held import held
from neuroanp.kernels.philox import MULTIPLIERS, ROUNDS, WEYL, WORD
from neuroanp.kernels.transforms import COS, HALF_ROOT, LN, LN2, SIN

if TYPE_CHECKING:
    from neuroanp.kernels.draws import Kind
    from neuroanp.kernels.philox import Address


def draw(
    kind: Kind, at: Address, steps: int, streams: Sequence[int], shape: tuple[int, ...], like: Tensor,
    update_there: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return draws (steps, passes, *shape) of passes side by side, in the dtype and on the device of `like`.

    Args:
        kind: "normal", "uniform" or "rademacher". at: of the first step; its stream is not used. steps: of time.
        streams: that of each pass. shape: of a step of one pass.
        update_there: int64, the number of the update in place of that of `at`, where it lies on the device.

    >>> from neuroanp.kernels.draws import reference
    >>> from neuroanp.kernels.philox import Address
    >>> at = Address(key=7, update=0, stream=3, t=0)
    >>> found = draw("normal", at, 2, [3], (2, 5), torch.empty(0))[:, 0]
    >>> bool((found.numpy() == reference("normal", at, 2, (2, 5), "float32")).all())
    True
    """
    if kind == "rademacher":
        each = [
            signs(at._replace(stream=m, t=at.t + t), prod(shape), like, update_there=update_there)
            for t in range(steps)
            for m in streams
        ]
        return torch.stack(each).view(steps, len(streams), *shape)
    single = like.dtype == torch.float32
    rows, n = prod(shape[:-1]), shape[-1] if shape else 1
    calls, per = rows * -(-n // (4 if single else 2)), 4 if single else 2
    w = _words(at.checked(), steps, streams, calls, like.device, update_there)
    if kind == "normal":
        made = _normals(w) if single else _normals64(w)
    else:
        made = [(x >> 8).float() * 2.0**-24 for x in w] if single else _uniforms64(w)
    # (k, T, M, rows Q) -> (T, M, rows, k Q): number k Q + i of a row is what call i makes of its k-th word
    dealt = torch.stack(made, -2).view(steps, len(streams), per, rows, -1).transpose(2, 3)
    return dealt.reshape(steps, len(streams), rows, -1)[..., :n].reshape(steps, len(streams), *shape)


def signs(at: Address, n: int, like: Tensor, first: int = 0, update_there: Tensor | None = None) -> Tensor:
    """Return n signs (n,) in the dtype and on the device of `like`, those of call `first` and the following ones.

    >>> from neuroanp.kernels.philox import Address
    >>> from neuroanp.kernels.signs import reference
    >>> at = Address(key=7, update=0, stream=3, t=0)
    >>> bool((signs(at, 72, torch.empty(0), first=1).numpy() == reference(at, 200)[128:]).all())
    True
    """
    w = _words(at.checked(), 1, [at.stream], -(-n // 128), like.device, update_there, first)
    packed = torch.stack([x.view(-1) for x in w], -1).to(torch.int32)  # the low 32 bits
    bits = (packed.view(-1, 1) >> torch.arange(32, dtype=torch.int32, device=like.device)).bitwise_and_(1)
    return bits.view(-1)[:n].to(like.dtype).mul_(-2).add_(1)


def _words(
    at: Address, steps: int, streams: Sequence[int], calls: int, device: torch.device, update_there: Tensor | None,
    first: int = 0,
) -> list[Tensor]:  # fmt: skip
    """Return four words (T, M, calls) of each call from number `first` on, as integers of 64 bits."""
    options = {"dtype": torch.int64, "device": device}
    lead = (steps, len(streams), calls)
    c0 = torch.arange(first, first + calls, **options).expand(lead)
    c1 = torch.arange(at.t, at.t + steps, **options)[:, None, None].expand(lead)
    c2 = held(tuple(streams), torch.int64, device)[None, :, None].expand(lead)
    c3 = (torch.full((1,), at.update, **options) if update_there is None else update_there).view(1, 1, 1).expand(lead)
    k0, k1 = at.keys
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]  # mod 2^64: the upper word is right behind the mask
        c0, c1, c2, c3 = (
            ((p1 >> 32) & WORD) ^ c1 ^ k0, p1 & WORD, ((p0 >> 32) & WORD) ^ c3 ^ k1, p0 & WORD,
        )  # fmt: skip
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return [c0, c1, c2, c3]


def _logarithm(u: Tensor) -> Tensor:
    bits = u.view(torch.int32)
    exponent = (bits >> 23) - 126
    m = ((bits & 0x007FFFFF) | 0x3F000000).view(torch.float32)
    low = m < HALF_ROOT
    m = torch.where(low, m + m - 1.0, m - 1.0)
    e = torch.where(low, exponent - 1, exponent).float()
    z, p = m * m, torch.full_like(m, LN[0])
    for c in LN[1:]:
        p = p * m + c
    return m + (m * z * p + e * LN2[1] - 0.5 * z) + e * LN2[0]


def _circle(w: Tensor) -> tuple[Tensor, Tensor]:
    half_turn = float(torch.tensor(pi / 2, dtype=torch.float32))
    f = ((w & 0x3FFFFFFF) - 0x20000000).float() * 2.0**-30 * half_turn
    z = f * f
    sine = ((SIN[0] * z + SIN[1]) * z + SIN[2]) * z * f + f
    cosine = ((COS[0] * z + COS[1]) * z + COS[2]) * z * z - 0.5 * z + 1.0
    q = w >> 30
    odd = (q & 1) != 0
    a, b = torch.where(odd, sine, cosine), torch.where(odd, cosine, sine)
    return torch.where(((q + 1) & 2) != 0, -a, a), torch.where((q & 2) != 0, -b, b)


def _normals(w: list[Tensor]) -> list[Tensor]:
    made = []
    for k in (0, 2):
        squared = -2.0 * _logarithm((w[k].float() + 0.5) * 2.0**-32)
        radius = squared.double().sqrt().float()  # rounded once: libraries of vectors differ in their last bit
        cosine, sine = _circle(w[k + 1])
        made += [radius * cosine, radius * sine]
    return made


def _uniforms64(w: list[Tensor]) -> list[Tensor]:
    return [((high << 21) | (low >> 11)).double() * 2.0**-53 for high, low in ((w[0], w[1]), (w[2], w[3]))]


def _normals64(w: list[Tensor]) -> list[Tensor]:
    u, v = _uniforms64(w)
    radius, angle = torch.sqrt(-2.0 * torch.log1p(-u)), 2.0 * pi * v
    return [radius * torch.cos(angle), radius * torch.sin(angle)]
