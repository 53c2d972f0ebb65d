"""Folders of reports: what cannot be written to is said beforehand, and what is written is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neuroanp.errors import InputError
from neuroanp.reporting.folders import check_folder, write_folder


def test_files_are_written_replaced_and_returned(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert check_folder(folder, ["a.md", "b.png"], "--out") == folder
    assert write_folder(folder, {"a.md": b"old", "b.png": b"\x00"}) == [folder / "a.md", folder / "b.png"]
    assert write_folder(folder, {"a.md": b"new"}) == [folder / "a.md"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.md": b"new", "b.png": b"\x00"}


def test_what_is_in_the_way_is_said_with_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(folder: Path) -> str:
        with pytest.raises(InputError) as refused:
            check_folder(folder, ["a.md"], "--out")
        return str(refused.value)

    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "a.md").mkdir(parents=True)
    assert said(tmp_path / "file") == f"{tmp_path}/file: is no folder; name another one with --out"
    where = f"{tmp_path}/full/a.md: a folder, where a file is to be written"
    assert said(tmp_path / "full") == f"{where}; name another folder with --out"
    assert said(tmp_path / "no" / "x").endswith("/no does not exist; make it, or name another folder with --out")
    assert said(tmp_path / "file" / "x").endswith("/file is no folder; make it, or name another folder with --out")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert said(tmp_path / "x") == f"{tmp_path}/x: {tmp_path} is not writable for you; name another folder with --out"
