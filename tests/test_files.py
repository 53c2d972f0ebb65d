"""Reading files that anybody may have put there."""

import os
import threading

import pytest

from neuroanp.errors import InputError
from neuroanp.files import read_regular
from neuroanp.profiles.loader import load
from neuroanp.training.configure import configure


def test_a_file_is_read_up_to_one_byte_past_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "a", 10) == b"0123456789"
    assert read_regular(tmp_path / "a", 3) == b"0123"


def test_a_directory_and_nothing_are_errors_of_the_system(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 10)


@pytest.mark.parametrize("reader", [lambda p: read_regular(p, 10), load, configure], ids=["file", "profile", "config"])
def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path, reader):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    said: list[BaseException] = []

    def read():
        try:
            reader(str(pipe))
        except InputError as error:
            said.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it waits for a writer"
    assert "not a regular file" in str(said[0])
