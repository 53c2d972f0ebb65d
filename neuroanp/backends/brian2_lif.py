"""Write leaky integrate-and-fire neurons as Brian2's code: a step of theirs, and what a spike does, for each reset.

The step is an exact one, so that it stands as statements and not as differential equations. See
`neuroanp.backends.neuron` for the equations; `lif.LIFPopulation` is the twin of what is written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from neuroanp.backends.neuron import Coefficients

MODEL = """
v : 1
I : 1
Iext : 1
z : 1
wait : integer
"""
COEFFICIENTS = ("a_m", "k_i", "k_e", "a_s", "a_r", "threshold")
UPDATE = """
wait -= int(wait > 0)
free = int(wait == 0)
v = free * (a_m * v + k_i * I + k_e * Iext) + (1 - free) * v
I = a_s * I
z = a_r * z
"""
SPIKE = "z += 1\nwait = hold"


class Code(NamedTuple):
    """What Brian2 is given.

    Args:
        model: the variables, a line each. update: done at every step, before spikes are looked for.
        threshold: which units spike. reset: what is done to them.
        variables: those of the model, all 0 at rest.
    """

    model: str
    update: str
    threshold: str
    reset: str
    variables: tuple[str, ...]


def code_of(step: Coefficients) -> Code:
    """Return the code of neurons with this kind of reset; their coefficients are names in it.

    >>> import torch
    >>> from neuroanp.backends.neuron import LIF, coefficients
    >>> code_of(coefficients(LIF(reset="subtract_raised"), 1e-3, torch.ones(1))).threshold
    'v > threshold * (1 + raised) and wait == 0'
    """
    lowered = "v - threshold" if step.subtract else "0"
    model, update, above, reset = MODEL, UPDATE, "threshold", f"v = {lowered}"
    if step.delayed:  # `late` is 1 for a step after a spike
        model, reset = f"{MODEL}late : integer\n", "late = 1"
        update = f"{UPDATE}v = late * ({lowered}) + (1 - late) * v\nlate = 0\n"
    elif step.raised:
        model, above = f"{MODEL}raised : integer\n", "threshold * (1 + raised)"
        update = f"\nraised = int(v > threshold){UPDATE}"
    variables = tuple(line.split()[0] for line in model.split("\n") if line)
    return Code(model, update, f"v > {above} and wait == 0", f"{reset}\n{SPIKE}", variables)
