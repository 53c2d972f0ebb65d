"""Share a change of a weight between the devices that hold it."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroanp.devices.protocol import Span


def shared(change: Tensor, held: Tensor, span: Span) -> Tensor:
    """Return the changes of devices (planes, n, m) that change a weight's conductance by so much, (n, m).

    Of a pair each device takes half, one up and one down, and what it has no room for the other one takes.

    Args: held: what the devices conduct, (planes, n, m) siemens. span: their range.

    >>> held = torch.tensor([[[9e-6]], [[5e-6]]])
    >>> (shared(torch.tensor([[4e-6]]), held, Span(1e-6, 10e-6)) * 1e6).round().flatten().tolist()
    [1.0, -3.0]
    """
    if len(held) == 1:
        return change.unsqueeze(0)
    up, down = held
    room_up, room_down = [
        ((span.g_min - each).clamp_max(0.0), (span.g_max - each).clamp_min(0.0)) for each in (up, down)
    ]
    raised = torch.maximum(torch.minimum(change / 2, room_up[1]), room_up[0])
    lowered = torch.maximum(torch.minimum(raised - change, room_down[1]), room_down[0])
    return torch.stack([change + lowered, lowered])
