"""Builds wheels with maturin, and with them the programs that they carry.

The program `cryptstream` is the worker of the library and the command for users; it starts
`cryptstream-transport` from its own folder. A wheel has both in its scripts.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import maturin

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = PACKAGE / "cryptstream.data" / "scripts"
PROGRAMS = ["cryptstream", "cryptstream-transport"]
#: The profile of the wheel: `wheel` for what is shipped, `dev` for tests.
PROFILE = os.environ.get("CRYPTSTREAM_WHEEL_PROFILE", "wheel")


def _workspace() -> pathlib.Path:
    """The folder of the workspace: above the package, or inside a source distribution."""
    for folder in [PACKAGE, *PACKAGE.parents]:
        if (folder / "crates" / "cli" / "Cargo.toml").exists():
            return folder
    raise SystemExit("the sources of the program are missing: crates/cli")


def _build_programs() -> None:
    workspace = _workspace()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", workspace / "target"))
    profile = "release" if PROFILE == "wheel" else PROFILE
    command = ["cargo", "build", "--locked", "--package", "cryptstream", "--profile", profile]
    command += [part for program in PROGRAMS for part in ("--bin", program)]
    if profile == "release":
        command += ["--features", "openssl"]
    print("$", *command, file=sys.stderr)
    subprocess.run(command, cwd=workspace, check=True)
    shutil.rmtree(SCRIPTS.parent, ignore_errors=True)
    SCRIPTS.mkdir(parents=True)
    for program in PROGRAMS:
        shutil.copy2(target / ("debug" if profile == "dev" else profile) / program, SCRIPTS)


def _with_profile(settings: dict[str, Any] | None) -> dict[str, Any]:
    settings = dict(settings or {})
    settings.setdefault("build-args", f"--profile {PROFILE} --locked")
    return settings


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    _build_programs()
    try:
        return maturin.build_wheel(
            wheel_directory, _with_profile(config_settings), metadata_directory
        )
    finally:
        shutil.rmtree(SCRIPTS.parent, ignore_errors=True)


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.build_sdist(sdist_directory, config_settings)


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    return maturin.get_requires_for_build_wheel(config_settings)


def get_requires_for_build_sdist(config_settings: dict[str, Any] | None = None) -> list[str]:
    return maturin.get_requires_for_build_sdist(config_settings)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict[str, Any] | None = None
) -> str:
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)
