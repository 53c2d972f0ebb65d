"""The page in a real browser: everything on it is drawn, nothing overflows, nothing is asked of the network."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from neuroanp.reporting.html import render

pytestmark = pytest.mark.slow

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture
def browse(tmp_path):
    """Return a function that runs Chromium on a page and gives back its standard output."""
    program = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
    if program is None:
        remedy = "Chromium is missing; on Debian: apt-get update && apt-get install -y chromium"
        if os.environ.get("CI"):
            pytest.fail(remedy)
        pytest.skip(remedy)

    def run(page, *flags):
        command = [program, *FLAGS, f"--user-data-dir={tmp_path / 'browser'}", *flags, page.as_uri()]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        return done.stdout

    return run


@pytest.fixture
def report(build, tmp_path):
    runs = [
        build(task=task, profile=profile, rule=rule, seed=seed, final=final)
        for task in ("weather", "copy")
        for profile, final in (("ideal", 0.0037), ("pcm", 0.0048), ("smtj_koenders", 0.0062))
        for rule in ("anp", "bptt")
        for seed in (0, 1, 2)
    ]
    for run in runs:
        losses = {key: run.result[key] for key in ("test_loss", "test_loss_noise_free")}
        run.update(after={time: {key: x * k for key, x in losses.items()} for k, time in ((2, "1 h"), (5, "30 d"))})
    return render(runs, tmp_path / "report.html", "neuroanp compare --profiles ideal,pcm,smtj_koenders --seeds 3")


@pytest.fixture
def probed(browse, tmp_path):
    """Return a function that counts the pictures of a page, those that are drawn, pixels beyond its width, and of the
    narrowest picture."""
    # The policy of a page forbids every script but its own: the probe looks at a copy without it.
    probe = (
        "<script>addEventListener('load', () => {"
        "const r = document.documentElement; const pictures = [...document.images];"
        "r.dataset.pictures = pictures.length; r.dataset.drawn = pictures.filter(i => i.naturalWidth > 100).length;"
        "r.dataset.narrowest = Math.min(...pictures.map(i => i.clientWidth));"
        "r.dataset.overflow = r.scrollWidth - r.clientWidth; });</script>"
    )

    def look(page, width):
        text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page.read_text(encoding="utf-8"))
        copy = tmp_path / "probe.html"
        copy.write_text(text.replace("</head>", probe + "</head>"), encoding="utf-8")
        dom = browse(copy, "--dump-dom", f"--window-size={width},900")
        return {
            name: int(value) for name, value in re.findall(r'data-(pictures|drawn|overflow|narrowest)="(-?\d+)"', dom)
        }

    return look


def counted(found):
    return {name: found[name] for name in ("pictures", "drawn", "overflow")}


@pytest.mark.parametrize("width", [1280, 700])
def test_every_picture_is_drawn_and_nothing_is_wider_than_the_page(probed, report, width):
    assert counted(probed(report, width)) == {"pictures": 12, "drawn": 12, "overflow": 0}


def test_a_page_of_spikes_is_drawn_whole_on_a_narrow_screen(probed, build, tmp_path):
    runs = [
        build(task="copy", profile=profile, backend=backend)
        for backend in ("rate", "spiking")
        for profile in ("ideal", "pcm", "smtj_koenders")
    ]
    page = render(runs, tmp_path / "report.html", None)
    assert counted(probed(page, 700)) == {
        "pictures": 9,
        "drawn": 9,
        "overflow": 0,
    }  # curves, trade-offs, spikes, 6 predictions


def test_a_page_of_layers_fits_a_phone_whose_reader_can_still_read_the_figures(probed, build, tmp_path):
    layers = {f"hidden_{k}": {"units": 20, "rate_Hz": 9.0, "silent": 0.0} for k in (1, 2)}
    runs = [build(task="copy", profile=profile, backend="lif") for profile in ("ideal", "pcm")]
    for run in runs:
        run.update(firing={"rate_Hz": 9.0, "silent": 0.0, "layers": layers})
    page = render(runs, tmp_path / "report.html", None)
    found = probed(page, 500)
    assert counted(found) == {"pictures": 5, "drawn": 5, "overflow": 0}
    assert found["narrowest"] > 450  # drawn anew for the width there is


def test_the_policy_lets_the_page_look_as_meant(browse, report, tmp_path):
    from matplotlib.image import imread

    shot = tmp_path / "report.png"
    browse(report, f"--screenshot={shot}", "--window-size=1200,9000")
    pixels = np.asarray(imread(shot))[:, :, :3]
    assert pixels.shape == (9000, 1200, 3)
    assert np.all(pixels[5, 5] == 1)  # white paper
    blue = np.all(np.abs(pixels - np.array([0, 0x72, 0xB2]) / 255) < 0.02, axis=2)
    assert blue.sum() > 2000  # the curves and maps are there, in their colour
