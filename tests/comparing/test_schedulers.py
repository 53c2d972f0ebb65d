"""Ports where no scheduler is: silent, refusing, a web page; each ends with one message, and soon."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from neuroanp.comparing import schedulers
from neuroanp.comparing.schedulers import Address
from neuroanp.comparing.within import within
from neuroanp.errors import RunError

BOUND_S = 30.0
"""Within which a message comes, on a machine that is busy."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "CONNECT_S", 0.5)


def reach(port: int) -> None:
    """Connect to a port of this machine, and let go of it."""
    with Address(f"tcp://127.0.0.1:{port}").reached():
        pass


@contextmanager
def page() -> Iterator[int]:
    """Serve a web page, and yield its port."""

    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def test_a_port_that_says_nothing_is_given_up():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RunError, match=f"no Dask scheduler answers at tcp://127.0.0.1:{port} within 0.5 s"):
            within(BOUND_S, lambda: reach(port))


def test_a_port_where_nobody_listens_is_given_up():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RunError, match="no Dask scheduler answers at"):
        within(BOUND_S, lambda: reach(port))


def test_the_port_of_a_page_is_told_to_be_one():
    with page() as port, pytest.raises(RunError, match=r"is a web page \(HTTP\), and no scheduler.*8786"):
        within(BOUND_S, lambda: reach(port))


def test_what_is_raised_within_a_bound_comes_out_and_what_takes_longer_is_left():
    def wrong() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        within(BOUND_S, wrong)
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        within(0.1, lambda: time.sleep(3))
    assert time.monotonic() - begun < 2.5
