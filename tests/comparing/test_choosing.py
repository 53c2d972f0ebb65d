"""What names a cluster: addresses, files of queues, and what is said of what names none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from neuroanp.comparing import choosing
from neuroanp.comparing.choosing import executor_of
from neuroanp.comparing.limits import Limits
from neuroanp.comparing.pool import Processes
from neuroanp.errors import InputError

SLURM = """
kind: slurm
jobs: 4
cores: 2
memory: 8 GB
interface: lo
walltime: "02:00:00"
queue: short
account: lab42
directives: ["--gres=gpu:1"]
prologue: ["module load python/3.11"]
python: /opt/env/bin/python
"""


def written(folder: Path, text: str) -> Path:
    (folder / "queue.yaml").write_text(text)
    return folder / "queue.yaml"


def test_without_a_cluster_this_machine_does_the_runs():
    assert executor_of(2) == Processes(2)
    assert executor_of(2, limits=Limits.of("1 h")).where == "at most 2 at a time"


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ("ucx://node:8786", "neither tcp:// nor tls://"),
        ("http://node:8786", "neither tcp:// nor tls://"),
        ("tcp://node", "not of the form tcp://host:port; write e.g. tcp://host:8786"),
        ("tcp://node:99999", "not of the form"),
        ("node:8786", "did you mean tcp://node:8786?"),
        ("lokal", "neither an address nor a YAML file; take 'local', the address"),
        ("missing.yaml", "missing.yaml"),
        ("", "is empty"),
        (7, "names no cluster"),
    ],
)
def test_what_names_no_cluster_is_told_what_does(cluster, said):
    with pytest.raises(InputError) as error:
        executor_of(1, cluster)
    assert said in str(error.value)


def test_what_is_not_installed_is_told_with_its_remedy(tmp_path, monkeypatch):
    real, missing = importlib.util.find_spec, {"distributed", "dask_jobqueue", "bokeh"}
    monkeypatch.setattr(choosing, "find_spec", lambda name: None if name in missing else real(name))
    with pytest.raises(
        InputError, match=r"needs distributed, which this Python has not; pip install 'neuroanp\[cluster\]'"
    ):
        executor_of(1, "local")
    with pytest.raises(InputError, match="needs distributed and dask_jobqueue"):
        executor_of(1, written(tmp_path, SLURM))
    missing.remove("distributed")
    with pytest.raises(InputError, match="--dashboard: needs bokeh"):
        executor_of(1, "local", dashboard=True)


def test_a_page_of_tasks_is_dasks():
    with pytest.raises(InputError, match="add --cluster local"):
        executor_of(1, dashboard=True)


@pytest.mark.parametrize("workers", [0, True, 10**6])
def test_a_number_of_workers_that_cannot_be_is_refused(workers):
    with pytest.raises(InputError, match="too few or too many"):
        executor_of(workers, "local")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("kind: slurm", "kind: slrum"), "queue.yaml:2: kind: "),
        (("walltime:", "walltme:"), "queue.yaml:7: walltme: unknown key; did you mean 'walltime'?"),
        (("memory: 8 GB", "memory: 8"), "queue.yaml:5: memory: '8' has no unit"),
        (
            ("jobs: 4", "jobs: {minimum: 5, maximum: 2}"),
            "1 problem\n  queue.yaml:3: jobs.minimum: 5 is more than maximum, 2",
        ),
        (("jobs: 4", "jobs: 0"), "1 problem\n  queue.yaml:3: jobs: 0 must be at least 1"),
        (("jobs: 4", "jobs: 10001"), "1 problem\n  queue.yaml:3: jobs: 10001 must be at most 10000"),
        (
            ("jobs: 4", "jobs: many"),
            "jobs: 'many' is no number of jobs; write a whole number, or {minimum: 0, maximum: 40}",
        ),
        (("jobs: 4", "jobs: [4]"), "jobs: [4] is no number of jobs; write a whole number, or {"),
        (("jobs: 4", "jobs: true"), "jobs: True is no number of jobs; write"),
        (("jobs: 4", "jobs: 2.5"), "jobs: 2.5 is no number of jobs; write"),
        (("jobs: 4", "jobs: {maximun: 2}"), "jobs.maximun: unknown key; did you mean 'jobs.maximum'?"),
        (("jobs: 4", "jobs: {maximum: 0}"), "1 problem\n  queue.yaml:3: jobs.maximum: 0 must be at least 1"),
        (
            ("jobs: 4", "jobs: {minimum: x, maximum: 2}"),
            "1 problem\n  queue.yaml:3: jobs.minimum: 'x' is not a whole number",
        ),
        (("interface: lo", "name: x"), "say where the scheduler listens"),
        (("interface: lo", "interface: lo\nhost: 10.0.0.1"), "whoever reaches that port can run code as you"),
        (("queue: short", "disk: 1 GB"), "disk: kind slurm has none; those that do: htcondor"),
        (("queue: short", "tls: true"), "shared_directory: tls needs it"),
        (('["module load python/3.11"]', '["a\\nb"]'), "prologue: has more than one line"),
        (('["module load python/3.11"]', "!!python/object/apply:os.system ['true']"), "queue.yaml:11"),
    ],
)
def test_a_file_of_a_queue_is_held_to_its_keys(tmp_path, change, said):
    with pytest.raises(InputError) as error:
        executor_of(None, written(tmp_path, SLURM.replace(*change)))
    assert said in str(error.value).replace(f"{tmp_path}/", ""), str(error.value)
    assert "constrained" not in str(error.value)
    assert "function-" not in str(error.value)


def test_the_script_of_a_slurm_job_says_what_the_file_does(tmp_path):
    """There is no Slurm here: the script is what it would be handed."""
    executor = executor_of(None, written(tmp_path, SLURM))
    lines = (executor.script or "").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    for line in (
        "#SBATCH -J neuroanp", "#SBATCH -p short", "#SBATCH -A lab42", "#SBATCH -n 1", "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=8G", "#SBATCH -t 02:00:00", "#SBATCH --gres=gpu:1", "module load python/3.11",
    ):  # fmt: skip
        assert line in lines, executor.script
    assert lines.index("module load python/3.11") > lines.index("#SBATCH --gres=gpu:1")
    command = lines[-1].split()
    assert command[:4] == ["/opt/env/bin/python", "-m", "distributed.cli.dask_worker", "tcp://<address"]
    assert "--nthreads 2" in lines[-1]
    assert "--interface lo" in lines[-1]
    assert "--dashboard-address 127.0.0.1:0" in lines[-1]
    assert executor.where.startswith("on slurm (")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pbs", "#PBS -A lab42"),
        ("lsf", '#BSUB -P "lab42"'),
        ("sge", "#$ -P lab42"),
        ("oar", "#OAR --project lab42"),
    ],
)
def test_each_queue_has_its_own_words_for_an_account(tmp_path, kind, line):
    text = SLURM.replace("kind: slurm", f"kind: {kind}").replace('["--gres=gpu:1"]', "[]")
    assert line in (executor_of(None, written(tmp_path, text)).script or "").splitlines()


def test_htcondor_takes_its_directives_as_pairs(tmp_path):
    text = (
        "kind: htcondor\njobs: {maximum: 8}\nmemory: 2 GB\ndisk: 1 GB\nhost: 127.0.0.1\ndirectives: ['+Lab = \"x\"']\n"
    )
    assert '+Lab = "x"' in (executor_of(None, written(tmp_path, text)).script or "")


def test_a_script_with_certificates_names_them(tmp_path):
    """What dask-jobqueue makes of the real ones is the same words, with names of files of this sweep."""
    text = SLURM + "tls: true\nshared_directory: /shared\n"
    command = (executor_of(None, written(tmp_path, text)).script or "").splitlines()[-1]
    assert " tls://<address of this machine>:<port> " in command
    assert " --protocol tls:// " in command
    for words in ("--tls-ca-file", "--tls-cert", "--tls-key"):
        assert f" {words} /shared/<certificates of this sweep>." in command
    plain = executor_of(None, written(tmp_path, SLURM)).script or ""
    assert " tcp://<address" in plain
    assert "tls" not in plain


@pytest.mark.slow
def test_jobs_of_a_queue_do_the_runs(tmp_path):
    """dask-jobqueue's own queue of processes of this machine stands for the others."""
    from tests.comparing.test_executors import holders, job, silent, until

    text = f"kind: local\njobs: 2\nmemory: 1 GB\nhost: 127.0.0.1\nlocal_directory: {tmp_path}\n"
    with executor_of(None, written(tmp_path, text)) as executor:
        outcomes = executor.run([job(tmp_path / "runs", seed=k) for k in range(3)], silent)
    assert [one.error for one in outcomes] == [None] * 3
    until(lambda: not holders(tmp_path), 15)


@pytest.mark.long
def test_jobs_are_asked_for_as_they_are_needed(tmp_path):
    from tests.comparing.test_executors import job, silent

    text = f"kind: local\njobs: {{maximum: 2}}\nmemory: 1 GB\nhost: 127.0.0.1\nlocal_directory: {tmp_path}\n"
    with executor_of(None, written(tmp_path, text)) as executor:
        outcomes = executor.run([job(tmp_path / "runs", seed=k) for k in range(3)], silent)
    assert [one.error for one in outcomes] == [None] * 3
