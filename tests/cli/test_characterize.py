"""characterize on shipped profiles: the terminal, the page, JSON, and what is refused before anything is written."""

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from neuroanp.characterizing import EXPERIMENTS
from neuroanp.cli import characterize as command
from neuroanp.cli.characterize import characterize
from tests.close import close

app = typer.Typer()
app.command()(characterize)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run the command in an empty folder: call("pcm", "--only", "drift", columns=60) -> result."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, columns: int = 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, list(words))

    return run


def test_moments_are_printed_and_the_page_is_written_where_it_is_said(call) -> None:
    shown = call("pcm", "--devices", "500", "--only", "programming")
    assert shown.exit_code == 0, shown.output
    assert "Programming error" in shown.stdout
    assert "sd of the error" in shown.stdout
    assert any(block in shown.stdout for block in "▁▂▃▅▆▇█")
    assert "standard errors" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "page: characterize-pcm.html"
    text = Path("characterize-pcm.html").read_text(encoding="utf-8")
    assert "neuroanp characterize pcm --seed 0 --devices 500 --only programming" in text
    assert os.listdir() == ["characterize-pcm.html"]


@pytest.mark.parametrize("columns", [50, 80, 100])
def test_lines_fit_the_terminal(call, columns: int) -> None:
    shown = call("smtj_koenders", "--devices", "200", columns=columns)
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.stdout.splitlines())) <= columns
    for said in ("Node noise", "autocorrelation", "0.81899"):
        assert said in shown.stdout
    assert "…\n" not in shown.stdout  # no cell is cut short


def test_help_names_every_experiment() -> None:
    assert command.EXPERIMENTS.split(", ") == [one.name for one in EXPERIMENTS]


def test_json_holds_all_moments_and_curves(call) -> None:
    done = call("pcm", "--devices", "200", "--only", "drift,programming", "--seed", "3", "--json", "-o", "mine.html")
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["results"]
    assert (result["profile"], result["seed"], result["devices"], result["page"]) == ("pcm", 3, 200, "mine.html")
    assert Path("mine.html").is_file()
    programming, drift = result["experiments"]
    assert [programming["name"], drift["name"]] == ["programming", "drift"]
    moment = programming["moments"][0]
    assert moment["at"] == [{"name": "target", "value": 0.0, "unit": "S"}]
    assert moment["z"] == close((moment["sampled"] - moment["expected"]) / moment["error"])
    series = drift["panels"][0]["series"][0]
    assert len(series["x"]) == len(series["y"]) == len(series["low"]) > 10


def test_the_same_seed_gives_the_same_page(call) -> None:
    pages = []
    for seed in ("0", "0", "1"):
        assert call("pcm", "--devices", "100", "--only", "drift", "--seed", seed, "-o", "a.html").exit_code == 0
        pages.append(Path("a.html").read_text(encoding="utf-8"))
    assert pages[0] == pages[1] != pages[2]


def test_a_file_of_ones_own_is_a_profile_too(call, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: ideal\nmeta: {name: mine}\nfaults: {stuck_low: 0.1}\n")
    done = call("./mine.yaml", "--devices", "200")
    assert done.exit_code == 0, done.output
    assert "share of stuck devices" in done.stdout
    assert Path("characterize-mine.html").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pmc"], "did you mean 'pcm'?"),
        (["pcm", "--only", "drfit"], "'drfit' is not an experiment; did you mean 'drift'?"),
        (["ideal", "--only", "drift"], "profile 'ideal' has nothing to measure for it"),
        (["pcm", "--only", "drift,drift"], "names something twice"),
        (["pcm", "--only", "drift,"], "has an empty part"),
        (["pcm", "-o", "missing/a.html"], "the folder missing does not exist"),
        (["pcm", "-o", "file/a.html"], "the folder file is not a folder"),
        (["pcm", "-o", "folder"], "folder is a folder; name a file"),
        (["pcm", "--devices", "99"], "--devices"),
        (["pcm", "--seed", "-1"], "--seed"),
    ],
)
def test_bad_input_ends_with_code_2_before_anything_is_measured_or_written(
    call, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    def never(*args, **kwargs):
        raise AssertionError("measured in spite of bad input")

    monkeypatch.setattr("neuroanp.characterizing.characterize", never)
    Path("file").write_text("")
    Path("folder").mkdir()
    ended = call(*words)
    assert ended.exit_code == 2
    assert says in " ".join(ended.stderr.replace("│", " ").split())
    assert ended.stdout == ""
    assert sorted(os.listdir()) == ["file", "folder"]
    assert not os.listdir("folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_is_not_writable_is_refused(call) -> None:
    Path("locked").mkdir(mode=0o500)
    ended = call("pcm", "-o", "locked/a.html")
    assert ended.exit_code == 2
    assert "not writable" in ended.stderr
