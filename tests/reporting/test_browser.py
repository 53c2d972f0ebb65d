"""Pages in a real browser, wide as a phone, a laptop and a projector, light and dark: read, sorted and saved from."""

import base64
import csv
import io
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from neuroanp.reporting.html import render
from neuroanp.reporting.reading import shown
from tests.close import close

pytestmark = pytest.mark.slow

WIDTHS, THEMES = (390, 1280, 1920), ("light", "dark")
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const paper = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    if (!e.checkVisibility() || e.tagName === 'SCRIPT') continue;
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(paper(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([ratio, e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 40)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
})()"""
COLUMN = """(([table, column]) => [...document.querySelectorAll('table.sortable')[table].tBodies[0].rows]
  .map(row => row.cells[column].firstChild.textContent))"""


@pytest.fixture(scope="module")
def kept():
    """What is made once for all tests, which only look at it."""
    return {}


@pytest.fixture
def report(build, tmp_path, kept):
    if "page" not in kept:
        kept["page"] = _report(build, tmp_path)
    return kept["page"]


def _report(build, tmp_path):
    runs = [
        build(profile=profile, rule=rule, seed=seed, final=final)
        for profile, final in (("ideal", 0.0037), ("pcm", 0.0048), ("smtj_koenders", 0.0062))
        for rule in ("anp", "bptt")
        for seed in (0, 1)
    ]
    return render([*runs, build(task="copy", profile="pcm")], tmp_path / "report.html", "neuroanp compare ...")


def _run(build, tmp_path):
    return render([build()], tmp_path / "run.html", None)


def _spikes(build, tmp_path):
    runs = [build(task="copy", profile=name, backend=kind) for kind in ("rate", "spiking") for name in ("ideal", "pcm")]
    return render(runs, tmp_path / "spikes.html", None)


def _layers(build, tmp_path):
    layers = {f"hidden_{k}": {"units": 20, "rate_Hz": 9.0, "silent": 0.0} for k in (1, 2)}
    run = build(task="copy", profile="pcm", backend="lif")
    run.update(firing={"rate_Hz": 9.0, "silent": 0.0, "layers": layers})
    return render([run], tmp_path / "layers.html", None)


def _retention(build, tmp_path):
    runs = [build(profile=profile, seed=seed) for profile in ("pcm", "smtj_koenders") for seed in (0, 1)]
    for run in runs:
        losses = {key: run.result[key] for key in ("test_loss", "test_loss_noise_free")}
        run.update(after={time: {key: x * k for key, x in losses.items()} for k, time in ((2, "1 h"), (5, "30 d"))})
    return render(runs, tmp_path / "retention.html", None)


def _characterization(build, tmp_path):
    from neuroanp.characterizing import characterize
    from neuroanp.profiles import load
    from neuroanp.reporting.characterization import render as page

    found = characterize(load("pcm"), devices=200, only=["programming", "drift", "read_process"])
    return page(found, tmp_path / "characterization.html", "neuroanp characterize pcm")


def _requirements(build, tmp_path):
    from neuroanp.requiring.report import render as page
    from tests.requiring.test_page import made

    return page(made({"update.dw": 1.0, "periphery.adc.bits": -0.3}, 0.05, pairs=True), tmp_path / "required.html")


def _assessment(build, tmp_path):
    import neuroanp as na
    from tests.assessing.conftest import TINY, InTurn, written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroanp.comparing.pool.run_all", InTurn())
        patch.chdir(tmp_path)
        (tmp_path / "tiny.yaml").write_text(TINY)
        data = written(tmp_path / "good.csv", 0.2e-6)
        found = na.assess(
            data, tasks="tiny.yaml", beside="ideal", seeds=3, progress=False, requirements=False, argv=["neuroanp"]
        )
        assert found.report is not None
        return found.report.absolute()


PAGES = {
    "comparison": _report, "run": _run, "spikes": _spikes, "layers": _layers, "retention": _retention,
    "characterization": _characterization, "requirements": _requirements, "assessment": _assessment,
}  # fmt: skip


@pytest.mark.parametrize("kind", PAGES)
def test_at_every_width_and_in_both_themes_the_page_is_whole_quiet_and_can_be_read(browser, build, tmp_path, kind):
    page = PAGES[kind](build, tmp_path)
    for width in WIDTHS:
        for theme in THEMES:
            browser.open(page, width, theme)
            where = (width, theme)
            assert browser.ask("document.documentElement.scrollWidth - innerWidth") <= 0, where
            assert browser.ask("[...document.images].every(i => i.complete && i.naturalWidth > 100)"), where
            contrasts = browser.ask(CONTRAST)
            assert len(contrasts) > 40, where
            assert contrasts[0][0] >= 4.5, (where, contrasts[0])
            assert _columns_beyond_reach(browser) == [], where
            assert browser.ask(UNFOCUSABLE) == [], where
            # labels of axes are of 10 points, of levels and ticks of 8 at least; an SVG of 72 points is 96 pixels wide
            scales = browser.ask("[...document.images].map(i => i.clientWidth / i.naturalWidth)")
            assert min(scales) * 8 * 96 / 72 > 9.5, where
            assert browser.ask(SORTED) == [], where
            assert browser.complaints() == [], where
            assert browser.requests() == [], where
            paper = browser.ask("getComputedStyle(document.body).backgroundColor")
            assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 25, 30)"}[theme]
    _is_told(browser)


def _is_told(browser):
    """Hold that headings are in order, and that every picture, table and column says what it is."""
    levels = [int(tag[1]) for tag in browser.ask("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert browser.ask("[...document.querySelectorAll('img')].every(i => i.alt.length > 10)")
    captions = "[...document.querySelectorAll('figcaption')].map(c => c.textContent.split('Save:')[0].trim().length)"
    assert min(browser.ask(captions), default=99) > 20
    links = "[...document.querySelectorAll('figure')].map(f => f.querySelectorAll('.save a[href]').length)"
    assert {*browser.ask(links)} == {2}  # the figure, and its data
    assert browser.ask(
        "[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent.length > 3)"
    )
    assert browser.ask("[...document.querySelectorAll('thead th')].every(h => h.scope === 'col')")
    assert browser.ask("document.documentElement.lang") == "en"


UNFOCUSABLE = """[...document.querySelectorAll('*')].filter(e => e.checkVisibility() && e.tabIndex < 0
  && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.tagName + '.' + e.className)"""
"""What scrolls, and no key reaches."""
SORTED = """[...document.querySelectorAll('table.sortable')].filter(t => t.checkVisibility()).flatMap(t => {
  const head = t.tHead.rows[0].cells[0], button = head.querySelector('button'), rows = t.rows.length;
  const box = button.getBoundingClientRect(), wrong = [];
  if (button.tabIndex < 0 || box.width < 24 || box.height < 24) wrong.push('button');
  button.click();
  if (head.getAttribute('aria-sort') !== 'ascending' || t.rows.length !== rows) wrong.push('sort');
  button.click(); button.click();
  if (head.hasAttribute('aria-sort')) wrong.push('back');
  return wrong.map(what => what + ': ' + t.caption.textContent);
})"""
"""Tables that a click does not sort or a third one not restore, and buttons that are small or that no key reaches."""
REACH = """[...document.querySelectorAll('.scroll table')].filter(t => t.checkVisibility()).flatMap(t => {
  const box = t.closest('.scroll'), hint = box.previousElementSibling;
  const beyond = box.scrollWidth > box.clientWidth + 1;
  const lost = [...t.tHead.rows[0].cells].filter(head => {
    head.scrollIntoView({ inline: 'nearest', block: 'nearest' });
    const r = head.getBoundingClientRect();
    return r.right > innerWidth + 1 || r.left < -1;
  });
  box.scrollLeft = 0;
  const told = !beyond || (hint && hint.classList.contains('hint') && hint.checkVisibility());
  return [...lost.map(head => head.textContent), ...(told ? [] : ['no hint: ' + t.caption.textContent])];
})"""


def _columns_beyond_reach(browser):
    """Return the heads of columns that no scrolling of their table brings into sight, and tables without a hint."""
    return browser.ask(REACH)


def test_the_headline_number_is_in_sight_on_a_phone_and_the_names_stay_when_the_table_is_scrolled(browser, report):
    browser.open(report, 390)
    head = "document.querySelector('table.sortable').tHead.rows[0]"
    loss = browser.ask(f"(() => {{ const r = {head}.cells[2].getBoundingClientRect(); return [r.left, r.right]; }})()")
    assert 0 < loss[0] < loss[1] <= 390
    browser.ask("document.querySelector('table.sortable').closest('.scroll').scrollLeft = 300")
    assert browser.ask(f"{head}.cells[0].getBoundingClientRect().left") >= 0


def test_a_click_sorts_and_so_does_a_key_and_what_has_no_value_is_last(browser, report):
    browser.open(report, 1280)
    energy = browser.ask("[...document.querySelector('table.sortable').tHead.rows[0].cells]"
                         ".findIndex(head => head.textContent.startsWith('energy'))")  # fmt: skip
    button = f"document.querySelector('table.sortable').tHead.rows[0].cells[{energy}].querySelector('button')"
    state = f"{button}.closest('th').getAttribute('aria-sort')"
    first = browser.ask(f"{COLUMN}([0, {energy}])")
    assert first[0] == "–"  # ideal states none

    def by_key(expression):
        browser.ask(f"{expression}.focus()")
        browser.press("Enter", text="\r")

    for press in (browser.click, by_key):
        press(button)
        numbers = [_number(text) for text in browser.ask(f"{COLUMN}([0, {energy}])")]
        assert browser.ask(state) == "ascending"
        assert numbers[-2:] == [None, None]
        assert numbers[:4] == sorted(numbers[:4])
        assert numbers[0] < numbers[3]
        press(button)
        numbers = [_number(text) for text in browser.ask(f"{COLUMN}([0, {energy}])")]
        assert browser.ask(state) == "descending"
        assert numbers[:4] == sorted(numbers[:4], reverse=True)
        assert numbers[-2:] == [None, None]
        press(button)
        assert browser.ask(state) is None
        assert browser.ask(f"{COLUMN}([0, {energy}])") == first
    assert browser.complaints() == []


def _number(text):
    found = re.search(r"\d[\d.]*(e-?\d+)?", text)
    return float(found[0]) if found else None


def test_controls_stay_below_the_methods_when_a_table_is_sorted(browser, report):
    browser.open(report, 1280)
    browser.click("document.querySelector('table.sortable thead button')")
    kinds = browser.ask("[...document.querySelector('table.sortable').rows].map(row => row.className)")[1:]
    assert kinds[:6] == ["method"] * 6
    assert set(kinds[6:]) == {"control"}


def test_a_figure_is_saved_as_svg_and_its_numbers_as_csv(browser, report, build):
    browser.open(report, 1280)
    links = browser.ask("[...document.querySelectorAll('figure')].map(f => [...f.querySelectorAll('.save a')]"
                        ".map(a => [a.checkVisibility(), a.download, a.href]))")  # fmt: skip
    assert len(links) == 7
    for (seen, picture, svg), (told, table, data) in links:
        assert seen
        assert told
        assert picture.endswith(".svg")
        assert table.endswith(".csv")
        root = ElementTree.fromstring(base64.b64decode(svg.partition(",")[2]))
        assert root.tag.endswith("svg")
        assert len(_rows(data)) > 5
    curves = _rows(links[0][1][2])
    ours = [row for row in curves if row["series"] == "ideal · anp"]
    assert len(ours) >= 50
    tested = [row for row in curves if row["series"] == "ideal · anp: test loss"]
    every = [shown(build(profile="ideal", rule="anp", seed=seed, final=0.0037)).metrics for seed in (0, 1)]
    last = [one.series("test_loss")[1][-1] for one in every]
    assert float(tested[-1]["y"]) == close(sum(last) / 2, rel=1e-12)


def _rows(uri):
    assert uri.startswith("data:text/csv")
    return list(csv.DictReader(io.StringIO(base64.b64decode(uri.partition(",")[2]).decode())))


def test_a_script_of_a_file_is_not_run_even_where_it_were_in_the_page(browser, report, tmp_path):
    """The policy alone stops it: a page into which a script was put runs ours, and no other."""
    text = report.read_text(encoding="utf-8")
    forged = tmp_path / "forged.html"
    forged.write_text(text.replace("</h1>", "</h1><script>document.title = 'ran'</script>", 1), encoding="utf-8")
    browser.open(forged, 1280)
    assert browser.ask("document.title") != "ran"
    assert browser.ask("document.querySelectorAll('thead button').length") > 10  # ours did
    assert any("Content Security Policy" in str(one) for one in browser.complaints())


@pytest.mark.parametrize(("theme", "paper", "blue"), [("light", "#ffffff", "#0072b2"), ("dark", "#14191e", "#2f93d6")])
def test_the_policy_lets_page_and_figures_look_as_meant(browser, report, tmp_path, theme, paper, blue):
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    browser.open(report, 1280, theme)
    browser.shot(tmp_path / "page.png")
    pixels = np.asarray(imread(tmp_path / "page.png"))[:, :, :3]
    assert np.all(np.abs(pixels[5, 5] - to_rgb(paper)) < 0.01)
    alike = np.all(np.abs(pixels - np.array(to_rgb(blue))) < 0.02, axis=2)
    assert alike.sum() > 500  # the curves are there, in their colour
