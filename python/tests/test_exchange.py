"""Exchange with other programs, where they are there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import cryptstream
from cryptstream import Identity

DATA = bytes(range(256)) * 1000


def test_age(tmp_path: Path, identity: Identity) -> None:
    age = shutil.which("age")
    if age is None:
        pytest.skip("age is not installed")
    key = tmp_path / "key"
    key.write_text(identity.expose())
    ours = tmp_path / "ours.age"
    ours.write_bytes(cryptstream.encrypt_bytes(DATA, recipients=identity, format="age"))
    out = subprocess.run([age, "-d", "-i", key, ours], capture_output=True, check=True).stdout
    assert out == DATA
    command = [age, "-r", str(identity.recipient)]
    theirs = subprocess.run(command, input=DATA, capture_output=True, check=True).stdout
    assert cryptstream.decrypt_bytes(theirs, identities=identity) == DATA


def test_the_program(tmp_path: Path, identity: Identity) -> None:
    from cryptstream import _program

    program = _program.program()
    if program is None:
        pytest.skip("the program is not installed")
    key, plain, out = tmp_path / "key", tmp_path / "plain", tmp_path / "out"
    key.write_text(identity.expose())
    plain.write_bytes(DATA)
    subprocess.run([program, "encrypt", "-i", key, plain, tmp_path / "a"], check=True)
    cryptstream.decrypt(tmp_path / "a", out, identities=identity)
    assert out.read_bytes() == DATA
