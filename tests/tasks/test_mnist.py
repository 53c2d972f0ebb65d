"""MNIST: pixels of the files in their order, one a step; training and test apart; what does not fit is said."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.tasks.mnist import Mnist, MnistConfig
from neuroanp.tasks.mnist_files import find_set
from neuroanp.training.build import Experiment
from tests.close import close
from tests.tasks.idx_files import idx_bytes, random_set, write_set

ARRAYS = random_set()
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TESTED = "t10k-images-idx3-ubyte"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path / "digits", ARRAYS)


def made(path: Path, **options) -> Mnist:
    return Mnist(MnistConfig(path=path, **{"test_size": 12, **options}))


def test_pixels_come_row_by_row_and_labels_at_the_last_one(folder):
    task = made(folder)
    batch = task.test(np.random.default_rng(0))
    assert batch.inputs.shape == (16, 12, 1) == (task.steps, 12, task.inputs)
    raw = np.frombuffer((folder / TESTED).read_bytes(), np.uint8)[16:].reshape(12, 16)  # by hand
    np.testing.assert_array_equal(batch.inputs[:, :, 0].T, raw / 255)
    labels = np.frombuffer((folder / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8)[8:]
    np.testing.assert_array_equal(batch.targets[-1], np.eye(10)[labels])
    assert not batch.targets[:-1].any()
    assert batch.mask.tolist() == [0.0] * 15 + [1.0]


def test_the_window_is_the_end_of_the_pixels(folder):
    batch = made(folder, window=3).test(np.random.default_rng(0))
    assert batch.mask.tolist() == [0.0] * 13 + [1.0] * 3
    np.testing.assert_array_equal(batch.targets[-3], batch.targets[-1])


def test_a_permutation_is_one_order_for_all_images(folder):
    plain, one, two = (made(folder, permute=seed) for seed in (None, 7, 8))
    order = Streams(7).generator("mnist/order").permutation(16)
    assert sorted(order) == list(range(16))
    for draw in (
        lambda task: task.test(np.random.default_rng(0)),
        lambda task: task.sample(np.random.default_rng(0), 9),
    ):
        np.testing.assert_array_equal(draw(one).inputs, draw(plain).inputs[order])
        np.testing.assert_array_equal(draw(one).targets, draw(plain).targets)
        assert (draw(one).inputs != draw(two).inputs).any()


@pytest.mark.parametrize(("pool", "steps"), [(1, 16), (2, 4), (4, 1)])
def test_blocks_are_averaged(folder, pool, steps):
    batch = made(folder, pool=pool).test(np.random.default_rng(0))
    assert len(batch.inputs) == steps
    for b, image in enumerate(ARRAYS[TESTED] / 255):
        blocks = [image[i : i + pool, j : j + pool].mean() for i in range(0, 4, pool) for j in range(0, 4, pool)]
        np.testing.assert_allclose(batch.inputs[:, b, 0], blocks, rtol=1e-12)


def test_images_need_not_be_square(tmp_path):
    arrays = {name: values[:, :2] if "images" in name else values for name, values in ARRAYS.items()}
    task = made(write_set(tmp_path, arrays), pool=2)
    assert task.steps == 2
    assert task.test(np.random.default_rng(0)).inputs[1, 3, 0] == close(arrays[TESTED][3, :, 2:].mean() / 255)


def test_training_images_are_drawn_from_their_file_alone(folder):
    task = made(folder)
    drawn, tested = task.sample(np.random.default_rng(1), 3000), task.test(np.random.default_rng(0))
    kinds = {pixels.tobytes(): label for pixels, label in zip(ARRAYS[IMAGES] / 255, ARRAYS[LABELS], strict=True)}
    assert {drawn.inputs[:, b].tobytes() for b in range(3000)} == set(kinds)
    assert not {tested.inputs[:, b].tobytes() for b in range(12)} & set(kinds)
    for b in range(0, 3000, 100):
        assert drawn.targets[-1, b].argmax() == kinds[drawn.inputs[:, b].tobytes()]
    other = task.sample(np.random.default_rng(2), 3000)
    assert (drawn.inputs != other.inputs).any()


def test_test_images_are_spread_over_their_file(folder):
    all_of, some = made(folder), made(folder, test_size=4)
    one, two = some.test(np.random.default_rng(0)), some.test(np.random.default_rng(1))
    np.testing.assert_array_equal(one.inputs, two.inputs)
    np.testing.assert_array_equal(one.inputs, all_of.test(np.random.default_rng(0)).inputs[:, ::3])


def test_the_same_content_is_the_same_run_wherever_and_however_it_lies(folder, tmp_path):
    packed = write_set(tmp_path / "packed", ARRAYS, packed=True)
    one, two = made(folder), made(packed)
    assert one.fingerprint() == two.fingerprint()
    assert len(one.fingerprint()) == 64
    configs = [na.configure({"task": {"name": "mnist", "path": str(at), "test_size": 12}}) for at in (folder, packed)]
    assert Experiment.of(configs[0]).identity == Experiment.of(configs[1]).identity
    for name in ARRAYS:  # one pixel or label of any file
        arrays = {key: values.copy() for key, values in ARRAYS.items()}
        arrays[name].flat[0] = (arrays[name].flat[0] + 1) % 10
        assert made(write_set(tmp_path / f"other {name}", arrays)).fingerprint() != one.fingerprint()


def test_the_account_says_what_was_taken(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    said = made(Path("digits"), test_size=5).account()
    assert said == (
        f"digits/{IMAGES}: 40 training images of 4 x 4 pixels", f"digits/{TESTED}: 5 of 12 test images",
    )  # fmt: skip


def test_the_largest_mean_output_decides(folder):
    task = made(folder, window=2)
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"accuracy": 1.0, "loss": 0.0}
    y = batch.targets.copy()
    y[-1] = 1.5 * (1.0 - batch.targets[-1])
    assert task.score(y, batch)["accuracy"] == 0.0
    y[-2] *= 2.0
    assert task.score(y, batch)["accuracy"] == 1.0
    assert not task.forecast
    assert task.persistence(batch) is None


# names of files


@pytest.mark.parametrize("names", [
    (IMAGES, LABELS, TESTED, "t10k-labels-idx1-ubyte"),
    ("train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
    tuple(f"emnist-digits-{part}-{kind}-ubyte"
          for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")),
])  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_names_of_mnist_and_of_its_kin_are_known(tmp_path, names, packed):
    order = [IMAGES, LABELS, TESTED, "t10k-labels-idx1-ubyte"]
    folder = write_set(tmp_path, {name: ARRAYS[key] for name, key in zip(names, order, strict=True)}, packed)
    (folder / "README").write_text("no set")
    (folder / "train-images-idx3-ubyte-more").mkdir()
    plain = Mnist(MnistConfig(path=folder, test_size=12))
    by_file = Mnist(MnistConfig(path=folder / f"{names[0]}{'.gz' * packed}", test_size=12))
    assert plain.fingerprint() == by_file.fingerprint()
    np.testing.assert_array_equal(plain.test(np.random.default_rng(0)).inputs[:, 0, 0], ARRAYS[TESTED][0].ravel() / 255)


def test_of_two_sets_in_a_folder_one_is_named(folder):
    other = random_set(seed=1)
    write_set(folder, {f"fashion-{name}": values for name, values in other.items()})
    with pytest.raises(
        InputError, match=r"digits: holds 2 sets \(\*, fashion-\*\); name the file of training images of one"
    ):
        made(folder)
    found = made(folder / f"fashion-{IMAGES}").test(np.random.default_rng(0))
    np.testing.assert_array_equal(found.inputs[:, 0, 0], other[TESTED][0].ravel() / 255)


def test_the_plain_file_counts_where_both_lie_there(folder):
    write_set(folder, random_set(seed=1), packed=True)
    assert {path.suffix for path in find_set(folder).values()} == {""}
    by_file = find_set(folder / f"{IMAGES}.gz")
    assert by_file["train", "images"].suffix == ".gz"  # as it was said


# what is refused


def test_without_files_the_remedy_is_told(folder, tmp_path):
    with pytest.raises(InputError, match=r"task mnist needs files \(train-images-idx3-ubyte, .*\n  set task.path"):
        Mnist(MnistConfig())
    with pytest.raises(InputError, match=r"none: no such file or folder \(looked in "):
        made(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no train images, no train labels, no test images, no test labels; a set has"):
        made(tmp_path / "empty")
    (folder / LABELS).unlink()
    for path in (folder, folder / IMAGES):
        with pytest.raises(InputError, match="no train labels; a set has train-images-idx3-ubyte"):
            made(path)


@pytest.mark.parametrize("name", [LABELS, TESTED, "table.csv"])
def test_a_path_that_names_no_training_images_is_refused(folder, name):
    (folder / "table.csv").write_text("1,2\n")
    with pytest.raises(
        InputError, match=f"{name}: not a name of training images; name a folder, or a file as of train-"
    ):
        made(folder / name)


WRONG = {
    "fewer labels": (
        {LABELS: ARRAYS[LABELS][:-1]},
        f"{LABELS}: 39 labels of the 40 images of .*{IMAGES}; use files of",
    ),
    "labels in place of images": ({IMAGES: ARRAYS[LABELS]}, f"{IMAGES}: it has 1 dimensions, images have 3"),
    "images in place of labels": ({LABELS: ARRAYS[IMAGES]}, f"{LABELS}: it has 3 dimensions, labels have 1"),
    "a label of no digit": (
        {LABELS: np.where(np.arange(40) == 6, 10, 0)},
        f"{LABELS}: label 6 is 10, digits are 0 to 9",
    ),
    "test images of another size": ({TESTED: np.ones((12, 4, 8))}, r"images of 4 x 8 pixels, those of .* have 4 x 4"),
}


@pytest.mark.parametrize(("instead", "said"), WRONG.values(), ids=WRONG)
def test_files_that_do_not_fit_together_are_refused(folder, instead, said):
    write_set(folder, instead)
    with pytest.raises(InputError, match=said):
        made(folder)


def test_a_file_that_is_cut_off_is_refused_before_anything_is_written(folder, tmp_path):
    (folder / TESTED).write_bytes(idx_bytes(ARRAYS[TESTED])[:-5])
    task = {"name": "mnist", "path": str(folder), "test_size": 12}
    with pytest.raises(InputError, match=r"header says 12 x 4 x 4 = 192 bytes, and it has fewer; get it again"):
        na.train(task=task, runs=tmp_path / "runs", progress=False)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test_size": 13}, r"test_size 13 is more than the 12 images of .*; lower test_size"),
        ({"pool": 3}, r"pool 3 does not divide the 4 x 4 pixels of .*; allowed: 1, 2, 4"),
        ({"window": 17}, "window 17 is longer than the 16 steps; lower window"),
        ({"window": 5, "pool": 2}, "window 5 is longer than the 4 steps"),
    ],
)
def test_options_that_do_not_fit_the_files_are_refused(folder, options, said):
    with pytest.raises(InputError, match=said):
        made(folder, **options)


@pytest.mark.parametrize(("steps", "window"), [(1, 1), (5, 2)])
def test_an_image_is_shown_at_once_as_long_as_one_likes(folder, steps, window):
    one_by_one, task = made(folder, pool=2), made(folder, pool=2, mode="rates", steps=steps, window=window)
    assert (task.inputs, task.steps) == (4, steps)
    for draw in (
        lambda task: task.test(np.random.default_rng(0)),
        lambda task: task.sample(np.random.default_rng(0), 9),
    ):
        pixels, shown = draw(one_by_one).inputs[..., 0].T, draw(task)
        assert shown.inputs.shape == (steps, *pixels.shape)
        for t in range(steps):
            np.testing.assert_array_equal(shown.inputs[t], pixels)
            scored = t >= steps - window
            assert shown.mask[t] == scored
            np.testing.assert_array_equal(shown.targets[t], scored * draw(one_by_one).targets[-1])


def test_options_of_another_mode_are_refused(folder):
    with pytest.raises(ValidationError, match="permute goes with mode pixels"):
        MnistConfig(path=folder, mode="rates", permute=1)
    with pytest.raises(ValidationError, match="steps 3 is of mode rates"):
        MnistConfig(path=folder, steps=3)
    assert "mode" not in MnistConfig(path=folder).model_dump()
    assert MnistConfig(path=folder, mode="rates").model_dump()["mode"] == "rates"


@pytest.mark.parametrize(
    "bad",
    [
        {"mode": "rows"},
        {"steps": 0},
        {"permute": -1},
        {"permute": 0.5},
        {"pool": 0},
        {"window": 0},
        {"test_size": 0},
        {"x": 1},
    ],
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        MnistConfig(path=Path("digits"), **bad)
