"""Make the directory of a new run: under another name first, so that it is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroanp.records import checkpoints, copies
from neuroanp.records import manifest as manifests
from neuroanp.records.atomic import said
from neuroanp.records.identity import code_version
from neuroanp.records.manifest import CONFIG
from neuroanp.records.places import check_root, make
from neuroanp.records.seal import Seal
from neuroanp.records.streams import FIELD, current


@contextmanager
def built(final: Path, config_text: str, manifest: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a directory beside `final` with configuration and manifest, to be renamed, and the manifest's fields.

    What has not been renamed by the end is gone.

    Args:
        final: where it will be; its parent is made if it is missing.
        config_text: the resolved configuration as YAML.
        manifest: its fields; `format`, `code`, `streams`, `status` ("running"), `log` and `identity` (the name) are
            filled in if absent.

    Raises:
        InputError: the place cannot be written to.
        RunError: the disk is full.
    """
    check_root(final.parent)
    with said(final):
        make(final.parent)
        building = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        shutil.rmtree(building, ignore_errors=True)
        (building / checkpoints.FOLDER).mkdir(parents=True)
    try:
        config = config_text.encode("utf-8")
        copies.put(building, CONFIG, config)
        fields = {
            "format": manifests.FORMAT,
            "code": code_version(),
            FIELD: current(),
            "status": "running",
            "log": [],
            "identity": final.name,
            **manifest,
            "seals": {CONFIG: Seal.of(config).plain()},
        }
        yield building, manifests.write(building, fields)
    finally:
        shutil.rmtree(building, ignore_errors=True)
