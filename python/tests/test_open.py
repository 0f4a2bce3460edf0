"""Encrypted files as file objects."""

from __future__ import annotations

import io
import os
import random
import threading
from pathlib import Path

import pytest

import cryptstream
from cryptstream import EncryptedLayout, Identity

DATA = random.Random(7).randbytes(3_000_000)


@pytest.fixture
def path(tmp_path: Path, identity: Identity) -> Path:
    path = tmp_path / "a.enc"
    path.write_bytes(cryptstream.encrypt_bytes(DATA, recipients=identity))
    return path


class Counted(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_reading_and_seeking(path: Path, identity: Identity) -> None:
    numbers = random.Random(8)
    for file in [
        cryptstream.open(path, identities=identity),
        cryptstream.open(io.BytesIO(path.read_bytes()), identities=identity),
    ]:
        with file:
            assert file.seekable() and file.readable() and not file.writable()
            assert file.read() == DATA
            assert file.read() == b""
            for _ in range(200):
                start, size = numbers.randrange(len(DATA) + 10), numbers.randrange(70_000)
                assert file.seek(start) == start
                assert file.read(size) == DATA[start : start + size]
            assert file.seek(-5, io.SEEK_END) == len(DATA) - 5
            assert file.read() == DATA[-5:]
            buffer = bytearray(10)
            file.seek(100)
            assert file.readinto(buffer) == 10
            assert buffer == DATA[100:110]
            with pytest.raises(ValueError):
                file.raw.seek(-1)
        with pytest.raises(ValueError):
            file.read()


def test_only_what_is_needed_is_read(path: Path, identity: Identity) -> None:
    source = Counted(path.read_bytes())
    with cryptstream.open(source, identities=identity, buffering=1) as file:
        opened = source.count
        assert opened < 64 << 10
        file.seek(1_000_000)
        assert file.read(10) == DATA[1_000_000:1_000_010]
        assert source.count - opened <= 16 << 10 | 16


def test_damage_elsewhere_does_not_matter(path: Path, identity: Identity) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[1_500_000] ^= 1
    path.write_bytes(damaged)
    with cryptstream.open(path, identities=identity) as file:
        assert file.read(1000) == DATA[:1000]
        file.seek(2_000_000)
        assert file.read() == DATA[2_000_000:]
        file.seek(0)
        with pytest.raises(cryptstream.Damaged, match="chunk"):
            file.read()


def test_threads_share_a_file(path: Path, identity: Identity) -> None:
    layout = EncryptedLayout.parse(path.read_bytes(), path.stat().st_size, identities=identity)
    assert layout is not None and layout.plaintext_size == len(DATA)
    errors: list[BaseException] = []

    def read(seed: int) -> None:
        try:
            numbers = random.Random(seed)
            with cryptstream.open(path, identities=identity) as file:
                for _ in range(50):
                    start = numbers.randrange(len(DATA))
                    file.seek(start)
                    assert file.read(5000) == DATA[start : start + 5000]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_file_appears_when_it_is_closed(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "a.enc"
    with cryptstream.open(path, "wb", recipients=identity) as file:
        for start in range(0, len(DATA), 70_001):
            file.write(DATA[start : start + 70_001])
        file.flush()
        assert os.listdir(tmp_path) == []
    with cryptstream.open(path, identities=identity) as reader:
        assert reader.read() == DATA
    with pytest.raises(cryptstream.Exists):
        cryptstream.open(path, "xb", recipients=identity)
    with cryptstream.open(path, "wb", recipients=identity) as file:
        file.write(b"new")
    with cryptstream.open(path, identities=identity) as reader:
        assert reader.read() == b"new"


def test_nothing_appears_otherwise(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "a.enc"
    with pytest.raises(ZeroDivisionError):
        with cryptstream.open(path, "wb", recipients=identity) as file:
            file.write(DATA)
            raise ZeroDivisionError
    discarded = cryptstream.open(path, "wb", recipients=identity)
    discarded.write(DATA)
    discarded.discard()
    assert discarded.closed
    forgotten = cryptstream.open(path, "wb", recipients=identity)
    forgotten.write(b"text")
    del forgotten
    with pytest.raises(cryptstream.CannotCreate):
        cryptstream.open(tmp_path / "missing" / "a", "wb", recipients=identity)
    assert os.listdir(tmp_path) == []


def test_text_can_be_wrapped(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "a.enc"
    cryptstream.encrypt(io.BytesIO("grün\nblau\n".encode()), path, recipients=identity)
    with io.TextIOWrapper(cryptstream.open(path, identities=identity), "utf-8") as text:
        assert text.readlines() == ["grün\n", "blau\n"]
    for mode in ["r", "rt", "w", "a", "r+b", "q"]:
        with pytest.raises(ValueError, match="mode"):
            cryptstream.open(path, mode, identities=identity)
