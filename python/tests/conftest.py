"""What the tests share."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryptstream

#: No test may hang.
TIMEOUT = 120.0


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(TIMEOUT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def identity() -> cryptstream.Identity:
    return cryptstream.Identity.generate()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that workers help with: 24 MiB."""
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (24 << 12))
    return path
