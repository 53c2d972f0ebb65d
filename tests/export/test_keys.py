"""What a format refuses of units it calls by the key where the run has them, and setting that key is the remedy."""

from __future__ import annotations

import shlex

import pytest

from neuroanp.errors import InputError
from neuroanp.export.protocol import EXPORTERS
from neuroanp.export.source import model_of
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

UNITS = {
    "nir": {"refractory": "0 ms", "tau_s": "0 ms", "reset": "subtract"},
    "loihi": {"refractory": "0 ms", "reset": "subtract"},
    "xylo": {"refractory": "0 ms", "reset": "hard"},
}
OPTIONS = {"xylo": {"quantize_decay": True}}
OWN, SHARED = "network.layers[0].cell.reset", "neuron.reset"


def config(name, of_layer, **overrides):
    """One layer that states its units, or has those of `neuron`."""
    units = {"name": "lif", "drive": 1.5, **UNITS[name]}
    layer = {"cell": units, "units": 4} if of_layer else {"units": 4}
    return configure(
        {
            "task": {"name": "xor", "test_size": 4}, "backend": "lif", "encoder": "poisson",
            "neuron": {"name": "lif"} if of_layer else units, "network": {"layers": [layer]},
            "training": {"updates": 1, "batch": 2, "controls": False},
        },
        overrides,
    )  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("of_layer", [True, False], ids=["its own", "neuron's"])
def test_a_refused_option_is_called_by_its_key(name, of_layer, tmp_path):
    record = launch(config(name, of_layer), tmp_path)
    chosen = EXPORTERS.get(name)(**OPTIONS.get(name, {}))
    with pytest.raises(InputError) as refused:
        chosen.check(model_of(record))
    (line,) = refused.value.problems
    assert line.startswith(f"{OWN if of_layer else SHARED}: ")
    _, _, remedy = line.partition("train with --set ")
    key, _, value = shlex.split(remedy)[0].rstrip(",").partition("=")
    assert key == ("network.layers.0.cell.reset" if of_layer else "neuron.reset")
    written = RunDir.open(record.path).config_path  # where the run's units stand in full
    assert chosen.check(model_of(launch(configure(written, {key: value}), tmp_path))) is None
