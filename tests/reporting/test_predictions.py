"""Outputs against targets, drawn as what they are: in time, one answer a sequence, or a map; and levels far away."""

from __future__ import annotations

import numpy as np
import pytest

from neuroanp.reporting import plots
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import shown


def arrays(steps: int, scored: int, outputs: int, sequences: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (steps, sequences, outputs)
    mask = (np.arange(steps) >= steps - scored).astype(float)
    return {"target": rng.random(shape), "y": rng.random(shape), "mask": mask}


def test_one_answer_a_sequence_is_a_point_beside_the_diagonal():
    one = arrays(7, 1, 1)
    (axes,) = plots.prediction("a", "#000000", one, forecast=False).axes
    diagonal, points = axes.lines
    np.testing.assert_array_equal(points.get_xdata(), one["target"][-1, :, 0])
    np.testing.assert_array_equal(points.get_ydata(), one["y"][-1, :, 0])
    assert points.get_linestyle() == "None"  # what lies between two sequences is nothing
    assert diagonal.get_slope() == 1.0
    assert axes.get_xlabel() == "target of 30 test sequences"


def test_several_steps_are_drawn_in_time():
    several = arrays(7, 3, 1)
    (axes,) = plots.prediction("a", "#000000", several, forecast=False).axes
    target, output = axes.lines
    np.testing.assert_array_equal(target.get_ydata(), several["target"][-3:, :, 0].T.ravel())
    np.testing.assert_array_equal(output.get_ydata(), several["y"][-3:, :, 0].T.ravel())


def test_classes_of_one_step_are_one_map_with_a_column_for_each_sequence():
    one = arrays(7, 1, 4)
    figure = plots.prediction("a", "#000000", one, forecast=False)
    maps = [image.get_array() for axes in figure.axes for image in axes.images]
    assert len(maps) == 2
    np.testing.assert_array_equal(maps[0], one["target"][-1].T)
    np.testing.assert_array_equal(maps[1], one["y"][-1].T)
    assert figure._supxlabel.get_text() == "30 test sequences; rows are the outputs"


def test_classes_of_several_steps_are_a_map_for_each_of_a_few_sequences():
    several = arrays(7, 3, 4)
    figure = plots.prediction("a", "#000000", several, forecast=False)
    maps = [image.get_array() for axes in figure.axes for image in axes.images]
    assert len(maps) == 2 * plots.SEQUENCES
    np.testing.assert_array_equal(maps[2], several["target"][-3:, 2].T)
    assert figure._supxlabel.get_text() == "scored steps of 6 test sequences; rows are the outputs"


def test_each_map_has_an_outline_of_its_own_and_nothing_lies_between_them():
    several = arrays(7, 3, 4)
    target, output, _ = plots.prediction("a", "#000000", several, forecast=False).axes
    for axes in (target, output):
        (edge,) = axes.lines
        boxes = [image.get_extent() for image in axes.images]
        corners = [
            [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            for left, right, top, bottom in ((low, high, min(y), max(y)) for low, high, *y in boxes)
        ]
        drawn = np.array(edge.get_data()).T.reshape(len(boxes), 6, 2)
        assert np.isnan(drawn[:, 5]).any(axis=1).all()  # the pen is lifted
        for found, wanted in zip(drawn[:, :5], corners, strict=True):
            assert {tuple(point) for point in found} == set(wanted)
            assert tuple(found[0]) == tuple(found[-1])


def test_a_forecast_of_several_outputs_is_drawn_in_time_by_the_first():
    several = arrays(7, 3, 4)
    (axes,) = plots.prediction("a", "#000000", several, forecast=True).axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), several["target"][-3:, :, 0].T.ravel())


FAR = {
    "below": (1e-9, " Far below the figure: ridge readout 1.00e-9."),
    "above": (1e6, " Far above the figure: ridge readout 1.00e6."),
    "beside": (0.01, ""),
    "a little above": (2.0, ""),
}


@pytest.mark.parametrize(("loss", "said"), FAR.values(), ids=FAR)
def test_a_control_that_would_flatten_the_curves_is_named_and_not_drawn(build, loss, said):
    run = build(task="copy")
    run.write_result({**run.result, "controls": {"constant_mean": 0.1875, "ridge": loss}})
    one = shown(run)
    group = methods([one.result])
    metrics = {str(run.path): one.metrics}
    low, high = plots.extent(group, metrics, "test_loss")
    assert 0 < low < high < 1
    assert plots.far_off(group, low, high) == said
    figure = plots.learning_curves(group, metrics, "test_loss")
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]
    assert 0.1875 in levels
    assert (loss in levels) == (said == "")
