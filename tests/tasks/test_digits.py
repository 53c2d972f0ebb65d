"""Digits: every image is shown whole, the test set stays the same and apart, the data are the known ones."""

import gzip
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.tasks import digits
from neuroanp.tasks.digits import Digits, DigitsConfig, digits_path, load_digits
from tests.close import close


def images(task, batch) -> set[bytes]:
    assert task.options.mode == "rates"
    return {batch.inputs[0, b].tobytes() for b in range(batch.inputs.shape[1])}


def test_the_file_read_directly_is_what_scikit_learn_loads():
    from sklearn.datasets import load_digits as reference

    pixels, labels = load_digits(digits_path())
    np.testing.assert_array_equal(pixels, reference().data)
    np.testing.assert_array_equal(labels, reference().target)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as UCI counts them
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_the_task_does_not_import_scikit_learn():
    code = "import sys; from neuroanp.tasks.digits import *; Digits(DigitsConfig()); print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_rates_hold_the_whole_image_through_the_presentation():
    task = Digits(DigitsConfig(steps=12, window=5))
    batch = task.sample(np.random.default_rng(0), 9)
    assert batch.inputs.shape == (12, 9, 64) == (task.steps, 9, task.inputs)
    assert (batch.inputs == batch.inputs[:1]).all()
    assert batch.inputs.min() == 0.0
    assert batch.inputs.max() == 1.0
    assert batch.mask.tolist() == [0.0] * 7 + [1.0] * 5


def test_rows_put_together_are_the_image():
    rates = Digits(DigitsConfig()).test(np.random.default_rng(0))
    task = Digits(DigitsConfig(mode="rows", steps=30, window=6))
    rows = task.test(np.random.default_rng(0))
    assert rows.inputs.shape == (30, 360, 8) == (task.steps, 360, task.inputs)
    for first in range(3):  # each row lasts three steps
        shown = rows.inputs[first:24:3].transpose(1, 0, 2).reshape(360, 64)
        np.testing.assert_array_equal(shown, rates.inputs[0])
    assert not rows.inputs[24:].any()
    np.testing.assert_array_equal(rows.mask, np.arange(30) >= 24)
    np.testing.assert_array_equal(rows.targets[-1], rates.targets[-1])


def test_pixels_put_together_are_the_image():
    rates = Digits(DigitsConfig()).test(np.random.default_rng(0))
    for steps, each in ((64, 1), (192, 3)):
        task = Digits(DigitsConfig(mode="pixels", steps=steps, window=2))
        batch = task.test(np.random.default_rng(0))
        assert batch.inputs.shape == (steps, 360, 1) == (task.steps, 360, task.inputs)
        for first in range(each):
            np.testing.assert_array_equal(batch.inputs[first::each, :, 0].T, rates.inputs[0])
        np.testing.assert_array_equal(batch.mask, np.arange(steps) >= steps - 2)
        np.testing.assert_array_equal(batch.targets[-1], rates.targets[-1])
        assert not batch.targets[:-2].any()


def test_pixels_come_one_a_step_and_the_last_one_is_scored_unless_told_otherwise():
    """The record says so: these are not the defaults of the other modes."""
    options = DigitsConfig(mode="pixels")
    assert (options.steps, options.window) == (64, 1)
    assert options.model_dump() == {"mode": "pixels", "steps": 64, "window": 1, "test_size": 360, "split_seed": 0}
    assert DigitsConfig(**options.model_dump()) == options
    assert DigitsConfig(mode="pixels", window=8).window == 8
    assert (DigitsConfig().steps, DigitsConfig().window) == (40, 8)


@pytest.mark.parametrize("mode", ["pixels", "rows"])
def test_a_permutation_is_one_order_for_all_images(mode):
    plain, one, two = (Digits(DigitsConfig(mode=mode, permute=seed)) for seed in (None, 3, 4))
    order = Streams(3).generator("digits/order").permutation(64)
    assert sorted(order) == list(range(64))

    def shown(task, batch):  # (images, pixels in the order of time)
        steps = batch.inputs[: task.steps - task.options.window] if mode == "rows" else batch.inputs
        return steps[:: len(steps) // (64 // task.inputs)].transpose(1, 0, 2).reshape(-1, 64)

    for draw in (
        lambda task: task.test(np.random.default_rng(0)),
        lambda task: task.sample(np.random.default_rng(0), 9),
    ):
        np.testing.assert_array_equal(shown(one, draw(one)), shown(plain, draw(plain))[:, order])
        np.testing.assert_array_equal(draw(one).targets, draw(plain).targets)
        assert (draw(one).inputs != draw(two).inputs).any()


def test_options_that_came_later_are_not_written_out_at_their_defaults():
    said = {"mode": "rates", "steps": 40, "window": 8, "test_size": 360, "split_seed": 0}
    assert DigitsConfig().model_dump() == said
    permuted = DigitsConfig(mode="rows", permute=0)
    assert permuted.model_dump() == {**said, "mode": "rows", "permute": 0}
    assert DigitsConfig(**permuted.model_dump()) == permuted


def test_targets_are_the_labels_one_hot():
    task = Digits(DigitsConfig())
    batch = task.test(np.random.default_rng(0))
    pixels, labels = load_digits(digits_path())
    of = {pixel.tobytes(): label for pixel, label in zip(pixels / 16, labels, strict=True)}
    for b in range(0, 360, 7):
        assert batch.targets[-1, b].tolist() == np.eye(10)[of[batch.inputs[0, b].tobytes()]].tolist()
    assert not batch.targets[batch.mask == 0].any()


def test_the_test_set_is_fixed_and_apart_from_training():
    task = Digits(DigitsConfig(steps=1, window=1, test_size=300))
    one, two = task.test(np.random.default_rng(0)), task.test(np.random.default_rng(1))
    np.testing.assert_array_equal(one.inputs, two.inputs)
    assert np.concatenate([task._test, task._train]).tolist() != list(range(1797))
    assert sorted([*task._test, *task._train]) == list(range(1797))
    assert len(task._test) == 300
    drawn = images(task, task.sample(np.random.default_rng(2), 20_000))
    assert not drawn & images(task, one)
    other = Digits(DigitsConfig(steps=1, window=1, test_size=300, split_seed=1))
    assert images(other, other.test(np.random.default_rng(0))) != images(task, one)


def test_the_largest_mean_output_decides():
    task = Digits(DigitsConfig(test_size=50))
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"accuracy": 1.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "accuracy"
    assert task.score(np.zeros_like(batch.targets), batch)["loss"] == close(0.1)
    zeros = np.zeros_like(batch.targets)
    zeros[..., 3] = 1.0
    share = float(batch.targets[-1, :, 3].mean())
    assert task.score(zeros, batch)["accuracy"] == share
    y = batch.targets.copy()
    y[-1] = 1.5 * (1.0 - batch.targets[-1])  # one wrong step of eight
    y[batch.mask == 0] = 9.0
    assert task.score(y, batch)["accuracy"] == 1.0


def test_the_fingerprint_is_of_the_data_alone():
    one, two = Digits(DigitsConfig()), Digits(DigitsConfig(mode="rows", split_seed=4))
    assert one.fingerprint() == two.fingerprint()
    pixels, labels = load_digits(digits_path())
    assert one.fingerprint() == sha256(bytes(pixels.ravel()) + bytes(labels)).hexdigest()
    assert not one.forecast
    assert one.persistence(one.sample(np.random.default_rng(0), 1)) is None


def test_without_scikit_learn_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"task digits needs .*: pip install scikit-learn"):
        Digits(DigitsConfig())


OTHERS = {
    "two rows": (gzip.compress(b"1,2\n3,4\n"), "not the 1797 images"),
    "pixels above 16": (gzip.compress((",".join(["17"] * 65) + "\n").encode() * 1797), "not the 1797 images"),
    "half a pixel": (gzip.compress((",".join(["0.5"] * 65) + "\n").encode() * 1797), "not the 1797 images"),
    "no numbers": (gzip.compress(b"a,b\n"), "cannot be read"),
    "not compressed": (b"not a gzip file", "cannot be read"),
    "cut off": (gzip.compress(b"1,2\n" * 5000)[:-20], "cannot be read"),
}


@pytest.mark.parametrize(("content", "said"), OTHERS.values(), ids=OTHERS)
def test_another_file_is_refused(tmp_path, content, said):
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        load_digits(path)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"window": 41}, "lower window"),
        ({"mode": "rows", "window": 10}, "set e.g. steps: 42"),
        ({"mode": "rows", "steps": 8, "window": 8}, "set e.g. steps: 16"),
        ({"test_size": 1797}, "1796"),
        ({"mode": "columns"}, "rates"),
        ({"mode": "pixels", "steps": 70}, "multiple of 64 .*, not 70; set e.g. steps: 128"),
        ({"mode": "pixels", "window": 65}, "lower window"),
        ({"permute": 1}, "permute goes with modes rows and pixels; rates shows all pixels at once: leave it out"),
        ({"mode": "pixels", "permute": -1}, "greater than or equal to 0"),
        ({"mode": "pixels", "permute": "one"}, "integer"),
        ({"hold": 5}, "Extra"),
    ],
)
def test_bad_options_are_refused(bad, said):
    with pytest.raises(ValidationError, match=said):
        DigitsConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in DigitsConfig.model_fields.values())
