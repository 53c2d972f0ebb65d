"""One device as its profile describes it: the laws that are switched on, acting on cells.

Cells are tensors by name, of shape (planes, n, m): two planes (G+, G-) for a differential pair,
one for offset coding. Every function is pure: cells in, cells out.

    g       conductance just after the last write, siemens; for a device read against a reference
            device, that reference is already subtracted (g = G_middle means weight 0)
    target  what the last write aimed at, siemens (NaN before the first)
    wear    pulses so far (int32)
    t       when the last write was, chip seconds (float64), where anything depends on it
    stuck   devices that never move, where the profile has any
    scale   fixed factor of a device's conductance: how devices differ, 0 on a broken bit line
    dead    devices on a broken word line
    limit   pulses after which a device moves no more, where that differs from device to device
    nu      what the drift law drew at the last write; further names belong to the laws
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices import reading, sampling, writing
from neuroanp.devices.arriving import Arrived
from neuroanp.devices.protocol import Cells
from neuroanp.devices.switched import Switched


class Device(Switched):
    """The device of a profile with some of its non-idealities switched on.

    With all effects off a written cell is exactly its target, and stays so.

    Args:
        profile: gives the laws and the range of conductance.
        effects: subset of EFFECTS; InputError for others.
        temperature: kelvin, for the laws that depend on it; None: the profile's own.

    Raises: InputError for unknown effects and for what is no temperature.

    >>> from neuroanp.profiles.loader import load
    >>> pcm, rng = Device(load("pcm"), frozenset({"drift", "read_noise"})), np.random.default_rng(0)
    >>> cells = pcm.sample((3, 2), rng, torch.float64)  # pairs: two planes of 3 x 2
    >>> target = torch.full((2, 3, 2), 10e-6, dtype=torch.float64)
    >>> cells, pulses, failed = pcm.program(cells, target, None, 0.0, rng)
    >>> pulses.shape, failed, pcm.lands, pcm.can_program, pcm.worn_out(cells), pcm.held(cells)
    (torch.Size([2, 3, 2]), None, True, True, None, None)
    >>> torch.equal(pcm.conductance(cells, 0.0), target)  # no error of writing: that effect is off
    True
    >>> bool((pcm.conductance(cells, 86400.0) < target).all())  # after a day
    True
    >>> fresh, frozen = pcm.read_sigma(cells, 1.0, 1e-3)
    >>> fresh.shape, frozen is None, len(pcm.observed(cells, 1.0, 1e-3))
    (torch.Size([2, 3, 2]), True, 3)
    >>> cells = pcm.place(cells, target / 2, None, 2.0, rng)
    >>> more, sent = pcm.pulse(cells, torch.full_like(target, 1e-6), 2.0, rng)
    >>> bool((sent > 0).all()), bool((more["g"] > cells["g"]).all())
    (True, True)
    """

    def sample(
        self,
        shape: tuple[int, int],
        rng: np.random.Generator,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        pulsed: bool = True,
    ) -> dict[str, Tensor]:
        """Draw the devices of an array before its first write.

        The same random numbers are used whatever effects are on: switching one off shifts no other.

        Args:
            shape: (n, m) of the weights.
            rng: device-to-device draws.
            dtype: float32 or float64.
            device: where the tensors live.
            pulsed: whether pulses will be sent in place: where they never are, and a programming law
                writes, what the update law draws is not kept.
        """
        return sampling.sample(self, shape, rng, dtype, device, pulsed)

    def place(self, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator) -> Cells:
        """Put the cells of `mask` on their targets by decree: no error, no pulse, no wear; stuck cells stay.

        Args:
            cells: the array.
            g_target: siemens, (planes, n, m).
            mask: (planes, n, m), which to write (None: all); those whose target did not change are left alone.
            now: chip seconds.
            rng: draws the drift exponents.

        Returns: the array after it.
        """
        return writing.place(self, cells, g_target, mask, now, rng)

    def program(
        self, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator,
        arrived: Arrived | None = None,
    ) -> tuple[Cells, Tensor, Tensor | None]:  # fmt: skip
        """Write and verify the cells of `mask` whose target moved by more than the law's deadband.

        The deadband spares writes that are not worth their error: without the effect
        `programming_error` it is zero.

        Args:
            cells: the array.
            g_target: siemens, (planes, n, m).
            mask: (planes, n, m), which to write, or None for all.
            now: chip seconds.
            rng: programming error or the pulses' noise, and drift exponents.
            arrived: what the lines leave of a pulse at each cell, which the loop makes up for by more; None: all.

        Returns: cells, pulses sent to each (int32), and where the write failed (None: nowhere).
        Raises: InputError if the profile has no law to program by.
        """
        return writing.program(self, cells, g_target, mask, now, rng, arrived)

    def pulse(
        self, cells: Cells, dg: Tensor, now: float, rng: np.random.Generator, arrived: Arrived | None = None
    ) -> tuple[Cells, Tensor]:
        """Send single pulses that should change each cell by dg.

        Args:
            cells: the array.
            dg: siemens, (planes, n, m); of a pair only rises are carried out, so a falling weight is a rise of G-.
            now: chip seconds.
            rng: rounding to whole pulses, the pulses' noise, drift exponents.
            arrived: what the lines leave of a pulse at each cell, which nobody makes up for; None: all.

        Returns: cells, pulses sent to each (int32).
        Raises: InputError if the profile has no update law.
        """
        return writing.pulse(self, cells, dg, now, rng, arrived)

    def conductance(self, cells: Cells, now: float) -> Tensor:
        """Return the conductances at chip time `now` without read noise, siemens.

        Args: cells: the array, (planes, n, m) each. now: chip seconds.
        """
        return reading.conductance(self, cells, now)

    def read_sigma(
        self, cells: Cells, now: float, window: float, g_now: Tensor | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return standard deviations of the fresh and the frozen read noise, or None for what is off.

        Args:
            cells: the array.
            now: chip seconds at the start of the window.
            window: seconds the passes of one update take.
            g_now: (planes, n, m), the conductance at `now`, where it is known already.

        Returns: two tensors (planes, n, m) in siemens.
        """
        return reading.read_sigma(self, cells, now, window, g_now)

    def observed(
        self, cells: Cells, now: float, window: float
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
        """Return what `conductance` does at `now`, and `read_sigma` of it, at once where the laws can.

        Args: cells: the array, (planes, n, m) each. now: chip seconds. window: seconds the passes of one update take.
        """
        return reading.observed(self, cells, now, window)
