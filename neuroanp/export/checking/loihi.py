"""Run network.net in lava's fixed-point simulator, which needs a Python 3.10 of its own.

Output units never spike: their state, which of the two the stimulus says, is what they give, one step late.
"""

# pyright: reportMissingImports=false

import numpy as np


def run(stimulus):
    """Return hidden spikes (T, B, N), layer after layer, and the output units' state (T, B, O), of inputs (T, B, I)."""
    complete_lava()
    found = [present_one(u, str(stimulus["state"])) for u in stimulus["inputs"].swapaxes(0, 1).astype(int)]
    spikes, states = (np.stack(part, 1) for part in zip(*found, strict=True))
    return {"spikes": spikes, "output_state": states}


def present_one(u, reads):
    """Return the same of one sequence (T, I), and of the state `reads`."""
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.monitor.process import Monitor

    steps = len(u) + 1  # output units are one step late
    data = np.zeros((u.shape[1], steps), dtype=int)
    data[:, :-1] = u.T
    net = hdf5.Network(net_config="network.net")
    source, *hidden, out = Source(data=data), *(Sink(shape=layer.out.shape, buffer=steps) for layer in net.layers)
    source.s_out.connect(net.inp)
    for layer, sink in zip(net.layers[:-1], hidden, strict=True):
        layer.out.connect(sink.a_in)
    net.out.connect(out.a_in)
    unit, monitor = net.layers[-1].neuron, Monitor()
    monitor.probe(getattr(unit, reads), steps)
    net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    state = monitor.get_data()[unit.name][reads].reshape(steps, -1)
    spikes = np.concatenate([sink.data.get() for sink in hidden]).T
    net.stop()
    return spikes[:-1], state[1:]


def complete_lava():
    """Add what lava-dl 0.6.0 leaves out: it has the recurrent process, and no model of it in the process's module."""
    from lava.lib.dl.netx.blocks import models, process
    from lava.magma.core.decorator import implements
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    @implements(proc=process.RecurrentDense, protocol=LoihiProtocol)
    class PyRecurrentDenseModel(models.AbstractPyBlockModel):
        pass

    PyRecurrentDenseModel.__module__ = process.__name__
    process.PyRecurrentDenseModel = PyRecurrentDenseModel


READERS = {
    "lava": (
        ("lava",),
        "it needs Python 3.10: python3.10 -m venv lava && lava/bin/pip install lava-nc==0.10.0 lava-dl==0.6.0, then "
        "lava/bin/python check.py",
        run,
    )
}
