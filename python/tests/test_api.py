"""Encrypting, decrypting, verifying, inspecting and rekeying."""

from __future__ import annotations

import io
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest

import cryptstream
from cryptstream import Identity, Recipient

SIZES = [0, 1, 16 << 10, (1 << 20) + 1, 5_000_000]


@pytest.mark.parametrize("format", ["native", "age"])
@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_out_as_they_went_in(format: Any, size: int, identity: Identity) -> None:
    data = os.urandom(size)
    encrypted = cryptstream.encrypt_bytes(data, recipients=identity, format=format)
    assert cryptstream.decrypt_bytes(encrypted, identities=identity) == data
    for other in [bytearray(data), memoryview(data)]:
        again = cryptstream.encrypt_bytes(other, recipients=identity, format=format)
        assert cryptstream.decrypt_bytes(memoryview(again), identities=identity) == data


def test_armor(identity: Identity) -> None:
    text = cryptstream.encrypt_bytes(b"text", recipients=identity, armor=True)
    assert text.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert cryptstream.decrypt_bytes(text, identities=identity) == b"text"
    with pytest.raises(cryptstream.Damaged):
        cryptstream.decrypt_bytes(text[:-40], identities=identity)


def test_many_recipients_make_a_long_header() -> None:
    identities = [Identity.generate() for _ in range(200)]
    encrypted = cryptstream.encrypt_bytes(b"text", recipients=identities)
    assert len(encrypted) > 16 << 10
    assert cryptstream.decrypt_bytes(encrypted, identities=identities[-1]) == b"text"
    with cryptstream.open(io.BytesIO(encrypted), identities=identities[-1]) as file:
        assert file.read() == b"text"


def test_files(tmp_path: Path, large: Path, identity: Identity) -> None:
    encrypted, copy = tmp_path / "a.enc", tmp_path / "copy"
    seen: list[tuple[int, int | None]] = []
    report = cryptstream.encrypt(
        large, encrypted, recipients=identity.recipient, progress=lambda *now: seen.append(now)
    )
    size = large.stat().st_size
    assert (report.format, report.bytes_in, report.bytes_out) == (
        "native", size, encrypted.stat().st_size
    )
    assert seen[-1] == (size, size)
    assert sorted(seen) == seen
    verified = cryptstream.verify(encrypted, identities=identity)
    assert verified.bytes_out == size
    assert cryptstream.decrypt(str(encrypted), os.fsencode(copy), identities=identity)
    assert copy.read_bytes() == large.read_bytes()


def test_file_objects(tmp_path: Path, large: Path, identity: Identity) -> None:
    encrypted, copy = io.BytesIO(), io.BytesIO()
    with large.open("rb", buffering=0) as source:
        report = cryptstream.encrypt(source, encrypted, recipients=identity, format="age")
    assert report.bytes_out == len(encrypted.getvalue())
    encrypted.seek(0)
    cryptstream.decrypt(encrypted, copy, identities=identity, processes=0)
    assert copy.getvalue() == large.read_bytes()
    path = tmp_path / "from-object"
    cryptstream.encrypt(io.BytesIO(b"text"), path, recipients=identity)
    assert cryptstream.decrypt_bytes(path.read_bytes(), identities=identity) == b"text"


def test_the_output_name_tells_the_format(tmp_path: Path, identity: Identity) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"text")
    assert cryptstream.encrypt(source, tmp_path / "a.age", recipients=identity).format == "age"
    assert cryptstream.inspect(tmp_path / "a.age").format == "age"


def test_inspect(tmp_path: Path, large: Path, identity: Identity) -> None:
    encrypted = tmp_path / "a.enc"
    cryptstream.encrypt(large, encrypted, recipients=[identity, Identity.generate()])
    seen = cryptstream.inspect(encrypted)
    assert seen.recipient_types == ["X25519", "X25519"]
    assert seen.plaintext_size == large.stat().st_size
    assert seen.size == encrypted.stat().st_size
    assert not seen.armored


def test_rekey(tmp_path: Path, identity: Identity) -> None:
    path, other = tmp_path / "a.enc", Identity.generate()
    path.write_bytes(cryptstream.encrypt_bytes(b"text", recipients=identity))
    for reencrypt in [False, True]:
        report = cryptstream.rekey(
            path, identities=[identity, other], recipients=other, reencrypt=reencrypt
        )
        assert report.method
        with pytest.raises(cryptstream.WrongKey) as raised:
            cryptstream.decrypt_bytes(path.read_bytes(), identities=identity)
        assert raised.value.code == 77
        assert cryptstream.decrypt_bytes(path.read_bytes(), identities=other) == b"text"


@pytest.mark.parametrize("format", ["native", "age"])
def test_passphrases(format: Any) -> None:
    encrypted = cryptstream.encrypt_bytes(b"text", passphrase="strüng", format=format)
    assert cryptstream.decrypt_bytes(encrypted, passphrase="strüng".encode()) == b"text"
    with pytest.raises(cryptstream.WrongKey):
        cryptstream.decrypt_bytes(encrypted, passphrase="wrong")
    with pytest.raises(cryptstream.InvalidKey, match="empty"):
        cryptstream.encrypt_bytes(b"text", passphrase="")


def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "me.key"
    identity = cryptstream.keygen(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(cryptstream.Exists):
        cryptstream.keygen(path)
    read = Identity.from_file(path)
    assert read.recipients == [identity.recipient]
    assert identity.expose() not in repr(identity) + str(identity)
    monkeypatch.setenv("MY_KEY", identity.expose())
    assert Identity.from_env("MY_KEY").recipient == identity.recipient
    with pytest.raises(KeyError):
        Identity.from_env("NO_SUCH_KEY")
    recipients = tmp_path / "recipients"
    recipients.write_text(f"# me\n{identity.recipient}\n")
    assert Recipient.from_file(recipients) == [identity.recipient]
    assert pickle.loads(pickle.dumps(identity.recipient)) == identity.recipient
    assert str(cryptstream.keygen(post_quantum=True).recipient).startswith("age1pq1")


def test_a_protected_identity_asks(tmp_path: Path) -> None:
    identity = Identity.generate()
    path = tmp_path / "protected.key"
    secret = identity.expose().encode()
    path.write_bytes(cryptstream.encrypt_bytes(secret, passphrase="word", format="age"))
    encrypted = cryptstream.encrypt_bytes(b"text", recipients=identity)
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "word"

    for protected in [
        Identity.from_file(path, ask=ask),
        Identity.from_file(path, passphrase="word"),
    ]:
        assert cryptstream.decrypt_bytes(encrypted, identities=protected) == b"text"
    assert len(asked) == 1 and "protected.key" in asked[0]
    with pytest.raises(cryptstream.WrongKey):
        cryptstream.decrypt_bytes(encrypted, identities=Identity.from_file(path))


def test_exceptions_have_exit_statuses_and_can_be_pickled(tmp_path: Path) -> None:
    identity = Identity.generate()
    with pytest.raises(FileNotFoundError) as raised:
        cryptstream.verify(tmp_path / "missing", identities=identity)
    error = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(error, cryptstream.NotFound)
    assert (error.code, error.path) == (66, str(tmp_path / "missing"))
    damaged = tmp_path / "damaged"
    whole = cryptstream.encrypt_bytes(bytes(100_000), recipients=identity)
    damaged.write_bytes(whole[:-5] + b"xxxxx")
    for action in [
        lambda: cryptstream.decrypt(damaged, tmp_path / "out", identities=identity),
        lambda: cryptstream.open(damaged, identities=identity),
        lambda: cryptstream.decrypt_bytes(damaged.read_bytes(), identities=identity),
        lambda: cryptstream.open(damaged.open("rb"), identities=identity),
    ]:
        with pytest.raises(cryptstream.Damaged) as caught:
            action()
        assert caught.value.code == 65
    assert not (tmp_path / "out").exists()
    with pytest.raises(cryptstream.NotEncrypted):
        cryptstream.decrypt_bytes(b"hello", identities=identity)
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        cryptstream.encrypt(damaged, tmp_path / "out", recipients=identity)
    assert (tmp_path / "out").read_bytes() == b"mine"
    cryptstream.encrypt(damaged, tmp_path / "out", recipients=identity, overwrite=True)
    assert (tmp_path / "out").read_bytes() != b"mine"
