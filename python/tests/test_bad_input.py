"""What callers do wrong is told with the name of the argument, and leaves nothing."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

import cryptstream
from cryptstream import Identity

OWN = Identity.generate()


class Raises(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ZeroDivisionError


class ReturnsTooMuch(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        return bytes((size or 0) + 1)


class ReturnsNothing(io.BytesIO):
    def read(self, size: int | None = -1) -> Any:
        return None


class WritesNothing(io.BytesIO):
    def write(self, data: Any) -> Any:
        return 0


class NotSeekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda out: cryptstream.encrypt(3, out, recipients=OWN), TypeError, "src"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), 3, recipients=OWN), TypeError, "dst"),
        (lambda out: cryptstream.encrypt(io.StringIO(), out, recipients=OWN), TypeError, "src"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), io.StringIO(), recipients=OWN),
         TypeError, "dst"),
        (lambda out: cryptstream.encrypt("a\0b", out, recipients=OWN), ValueError, "null byte"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out), ValueError, "recipients"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=3),
         TypeError, "recipients"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=[b"age1"]),
         TypeError, "recipients"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients="age1qqq"),
         cryptstream.InvalidKey, "recipient"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=OWN.expose()),
         cryptstream.InvalidKey, "this is"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, passphrase=3),
         TypeError, "passphrase"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=OWN, format="zip"),
         ValueError, "format"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=OWN, processes="2"),
         TypeError, "processes"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=OWN, processes=-1),
         ValueError, "processes"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), out, recipients=OWN, progress=3),
         TypeError, "progress"),
        (lambda out: cryptstream.encrypt(Raises(), out, recipients=OWN), ZeroDivisionError, None),
        (lambda out: cryptstream.encrypt(ReturnsTooMuch(), out, recipients=OWN),
         ValueError, "src"),
        (lambda out: cryptstream.encrypt(ReturnsNothing(), out, recipients=OWN),
         BlockingIOError, "src"),
        (lambda out: cryptstream.encrypt(io.BytesIO(), WritesNothing(), recipients=OWN),
         ValueError, "dst"),
        (lambda out: cryptstream.decrypt(io.BytesIO(), out), ValueError, "identities"),
        (lambda out: cryptstream.decrypt(io.BytesIO(), out, identities=OWN.recipient),
         TypeError, "identities"),
        (lambda out: cryptstream.decrypt(io.BytesIO(), out, identities="AGE-SECRET-KEY-1Q"),
         cryptstream.InvalidKey, "this is"),
        (lambda out: cryptstream.encrypt_bytes("text", recipients=OWN), TypeError, "data"),
        (lambda out: cryptstream.encrypt_bytes(3, recipients=OWN), TypeError, "data"),
        (lambda out: cryptstream.decrypt_bytes("text", identities=OWN), TypeError, "data"),
        (lambda out: cryptstream.open(3, identities=OWN), TypeError, "file"),
        (lambda out: cryptstream.open(NotSeekable(), identities=OWN),
         cryptstream.NotSupported, "file"),
        (lambda out: cryptstream.open(io.StringIO(), identities=OWN), TypeError, "file"),
        (lambda out: cryptstream.open(out, 3, identities=OWN), TypeError, "mode"),
        (lambda out: cryptstream.open(io.BytesIO(), "wb", recipients=OWN), TypeError, "file"),
        (lambda out: cryptstream.Recipient(3), TypeError, "text"),
        (lambda out: cryptstream.Identity(b"x"), TypeError, "text"),
        (lambda out: cryptstream.encrypt("s3://bucket/key", out, recipients=OWN),
         cryptstream.NotSupported, "src"),
    ],
)
def test_wrong_arguments(call: Any, error: type[BaseException], words: str | None, tmp_path: Path) -> None:
    with pytest.raises(error, match=words):
        call(tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_closed_files(tmp_path: Path) -> None:
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        cryptstream.encrypt(closed, tmp_path / "out", recipients=OWN)
    with pytest.raises(ValueError, match="closed"):
        cryptstream.open(closed, identities=OWN)
    assert os.listdir(tmp_path) == []


def test_text_mode_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("text")
    with path.open() as text, pytest.raises(TypeError, match="binary mode"):
        cryptstream.encrypt(text, tmp_path / "out", recipients=OWN)
    assert os.listdir(tmp_path) == ["a"]


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/\xff"
    with open(source, "wb") as file:
        file.write(b"text")
    cryptstream.encrypt(source, source + b".enc", recipients=OWN)
    with cryptstream.open(source + b".enc", identities=OWN) as reader:
        assert reader.read() == b"text"
    with pytest.raises(cryptstream.Exists) as raised:
        cryptstream.encrypt(source, source + b".enc", recipients=OWN)
    str(raised.value).encode("utf-8", "surrogateescape")


class Endless(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_an_exception_of_the_callback_ends_it(tmp_path: Path) -> None:
    def fails(done: int, total: int | None) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cryptstream.encrypt(Endless(), tmp_path / "out", recipients=OWN, progress=fails)
    assert os.listdir(tmp_path) == []


def test_huge_bytes_from_few() -> None:
    # A header that says nothing about a payload of any length.
    with pytest.raises(cryptstream.CryptStreamError):
        cryptstream.decrypt_bytes(bytes(100 << 20), identities=OWN)
