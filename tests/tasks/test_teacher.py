"""The teacher's targets are what a network of the house with its weights does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.network.compose import Stacked, stack
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import LeakyTanh
from neuroanp.tasks.teacher import PAPER, Teacher, TeacherConfig


@pytest.mark.parametrize("options", [{}, {"units": 2, "drawn": 1}, {"units": 5, "leak": 0.4}])
def test_a_network_with_its_weights_makes_no_error(options):
    task = Teacher(TeacherConfig(steps=40, washout=5, test_size=6, **options))
    batch = task.test(np.random.default_rng(3))
    network = stack(1, [Stacked(LeakyTanh(leak=task.options.leak), task.options.units)], 1)
    W = {name: torch.from_numpy(array) for name, array in task.arrays._asdict().items()}
    y = rollout(network, W, torch.from_numpy(batch.inputs)).y.numpy()
    np.testing.assert_allclose(y, batch.targets, rtol=0, atol=1e-13)
    assert task.score(y, batch)["nrmse"] < 1e-12
    assert float(batch.targets.std()) > 0.05
    other = {name: 1.3 * array for name, array in W.items()}
    assert task.score(rollout(network, other, torch.from_numpy(batch.inputs)).y.numpy(), batch)["nrmse"] > 0.05


def test_one_unit_is_the_papers_and_several_are_drawn_once_and_for_all():
    one, two = Teacher(TeacherConfig()), [Teacher(TeacherConfig(units=2, drawn=k)).arrays for k in (1, 1, 2)]
    assert [float(array[0, 0]) for array in (one.arrays.w, one.arrays.w_in, one.arrays.w_out)] == [*PAPER]
    assert np.array_equal(two[0].w, two[1].w)
    assert not np.array_equal(two[0].w, two[2].w)
