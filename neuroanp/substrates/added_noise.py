"""Noise that is added to units on purpose, white in time: what one draw of each kind is, with standard deviation 1.

    gaussian            xi,       xi ~ N(0, 1)
    bernoulli           2 s,      s = 0 or 1, each with probability 1/2: a unit is left alone or gets one step up
    centred_bernoulli   2 s - 1   a step up or down

Times sigma they are noise of that standard deviation. Bernoulli has the mean sigma besides: passes whose noise has the
same factor have it in common, and how they differ does not show it; against a noise-free pass, or one with the opposite
sign, it would look like noise that all units share.

Source: Koenders et al., arXiv 2412.12783, where these two stand in for the junctions (a step of 12.5 mV there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from neuroanp.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.noise import PassStreams

Kind = Literal["gaussian", "bernoulli", "centred_bernoulli"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LABELS: dict[Kind, str] = {
    "gaussian": "Gaussian", "bernoulli": "Bernoulli (0 or 2 sigma)", "centred_bernoulli": "Bernoulli (+-sigma)"
}  # fmt: skip


def checked(kind: str) -> Kind:
    """Return a kind of noise; InputError for one that is not known.

    >>> checked("bernoulli")
    'bernoulli'
    """
    for known in KINDS:
        if kind == known:
            return known
    raise InputError(f"perturbation.name: no noise is called '{kind}'{did_you_mean(kind, KINDS)} ({', '.join(KINDS)})")


def mean(kind: Kind) -> float:
    """Return the mean of a draw in its standard deviations.

    >>> [mean(kind) for kind in KINDS]
    [0.0, 1.0, 0.0]
    """
    return 1.0 if kind == "bernoulli" else 0.0


def drawn(
    kind: Kind, streams: PassStreams, group: str, stream: int, t0: int, steps: int, shape: tuple[int, ...],
    like: Tensor,
) -> Tensor:  # fmt: skip
    """Draw noise of standard deviation 1 for a group of units, in the precision and where `like` is.

    The two Bernoulli kinds have the same steps at the same address, a constant apart.

    Args:
        streams, group, stream: the address: the update's streams, the group's name, the stream of the pass.
        t0, steps: of time. shape: of a step of one pass.

    Returns: (steps, *shape).

    >>> import torch
    >>> from neuroanp.noise import PassStreams, Streams
    >>> at = PassStreams(Streams(0), "train", 0), "hidden", 0, 0, 2, (3,), torch.empty(0)
    >>> drawn("bernoulli", *at).unique().tolist()
    [0.0, 2.0]
    >>> bool((drawn("bernoulli", *at) - 1.0 == drawn("centred_bernoulli", *at)).all())
    True
    """
    if kind == "gaussian":
        return streams.tensors("normal", f"gaussian/{group}", [stream], t0, steps, shape, like)[:, 0]
    up = streams.tensors("uniform", f"bernoulli/{group}", [stream], t0, steps, shape, like)[:, 0] >= 0.5
    return up.to(like.dtype).mul_(2.0).sub_(0.0 if kind == "bernoulli" else 1.0)
