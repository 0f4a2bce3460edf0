"""The program whose processes do the work on large files."""

from __future__ import annotations

import functools
import os
import sys

from . import _native


def workers(processes: int | None) -> _native.Workers:
    """The program to start, if there is one, and how many processes there may be."""
    if processes is not None:
        if isinstance(processes, bool) or not isinstance(processes, int):
            raise TypeError(f"processes: must be int or None, not {type(processes).__name__}")
        if not 0 <= processes <= 1024:
            raise ValueError("processes: must be from 0 to 1024")
    return (None if processes == 0 else program(), processes)


@functools.lru_cache(maxsize=None)
def program() -> str | None:
    """The program `cryptstream` of this package. Without it, the work is done in this process."""
    for path in _places():
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return path
            _warn(f"{path} is not executable")
            return None
    _warn("the program `cryptstream` of this package is missing")
    return None


def _places() -> list[str]:
    # The folder of programs is beside that of packages: lib/pythonX.Y/site-packages/cryptstream
    # of a virtual environment, or of `pip install --user`, and that of `pip install --target`.
    package = os.path.dirname(os.path.abspath(__file__))
    above = [package]
    for _ in range(4):
        above.append(os.path.dirname(above[-1]))
    folders = [os.path.join(above[4], "bin"), os.path.join(above[1], "bin")]
    folders.append(os.path.join(sys.prefix, "bin"))
    return [os.path.join(folder, "cryptstream") for folder in dict.fromkeys(folders)]


def _warn(what: str) -> None:
    import warnings

    warnings.warn(
        f"{what}; files are encrypted and decrypted in this process, without a sandbox",
        RuntimeWarning,
        stacklevel=5,
    )
