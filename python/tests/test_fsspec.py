"""The file system `cryptstream` over others that fsspec knows."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import cryptstream
from cryptstream import Identity

fsspec = pytest.importorskip("fsspec")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

from cryptstream.fsspec import CryptStreamFileSystem  # noqa: E402

DATA = random.Random(7).randbytes(3_000_000)
#: A chunk, its tag, and the header of a file.
CHUNK = 16 << 10
HEAD = 2 * (CHUNK + 16)


class Counted(MemoryFileSystem):
    """Counts the bytes that are fetched, and how often."""

    protocol = "counted"
    cachable = False

    def __init__(self) -> None:
        super().__init__(global_store=False)
        self.bytes = 0
        self.requests = 0

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        data: bytes = super().cat_file(path, start, end, **kwargs)
        self.bytes += len(data)
        self.requests += 1
        return data


@pytest.fixture
def inner() -> Counted:
    return Counted()


@pytest.fixture
def fs(inner: Counted, identity: Identity) -> CryptStreamFileSystem:
    return CryptStreamFileSystem(fs=inner, identities=identity, recipients=identity)


def test_a_listing_shows_the_plaintext(
    fs: CryptStreamFileSystem, inner: Counted, identity: Identity
) -> None:
    fs.pipe_file("/d/a.csv", b"some text")
    fs.pipe_file("/d/b.csv.age", DATA)
    fs.pipe_file("/d/sub/c.csv", b"")
    inner.pipe_file("/d/README", b"not encrypted")
    assert inner.find("/") == ["/d/README", "/d/a.csv.enc", "/d/b.csv.age", "/d/sub/c.csv.enc"]
    assert fs.ls("/d", detail=False) == ["/d/README", "/d/a.csv", "/d/b.csv", "/d/sub"]
    assert fs.find("/d") == ["/d/README", "/d/a.csv", "/d/b.csv", "/d/sub/c.csv"]
    assert fs.glob("/d/*.csv") == ["/d/a.csv", "/d/b.csv"]
    assert fs.glob("/d/**/*.csv") == ["/d/a.csv", "/d/b.csv", "/d/sub/c.csv"]
    assert fs.glob("/d/*.enc") == ["/d/a.csv.enc"]
    sizes = {entry["name"]: entry.get("size") for entry in fs.ls("/d")}
    assert sizes == {"/d/README": 13, "/d/a.csv": 9, "/d/b.csv": len(DATA), "/d/sub": 0}
    assert {name: one["size"] for name, one in fs.glob("/d/*.csv", detail=True).items()} == {
        "/d/a.csv": 9, "/d/b.csv": len(DATA)
    }
    assert fs.glob("/d/*.enc", detail=True)["/d/a.csv.enc"]["size"] == 9
    assert fs.info("/d/a.csv")["stored_name"] == "/d/a.csv.enc"
    assert fs.info("/d/a.csv.enc")["name"] == "/d/a.csv.enc"
    assert [fs.info("/d/README")["encrypted"], fs.info("/d/a.csv")["encrypted"]] == [False, True]
    assert fs.du("/d") == 9 + len(DATA) + 13
    assert [sorted(one[2]) for one in fs.walk("/d")] == [["README", "a.csv", "b.csv"], ["c.csv"]]
    assert fs.isfile("/d/a.csv") and fs.isdir("/d/sub") and not fs.exists("/d/x")
    assert fs.cat("/d/*.csv") == {"/d/a.csv": b"some text", "/d/b.csv": DATA}
    with pytest.raises(cryptstream.NotEncrypted):
        fs.cat_file("/d/README")
    with pytest.raises(FileNotFoundError):
        fs.open("/d/x")


def test_names_without_sizes_cost_nothing(fs: CryptStreamFileSystem, inner: Counted) -> None:
    for number in range(5):
        fs.pipe_file(f"/d/{number}", b"text")
    inner.requests = 0
    fs.invalidate_cache()
    assert len(fs.ls("/d", detail=False)) == len(fs.find("/d")) == len(fs.glob("/d/*")) == 5
    assert sorted(list(fs.walk("/d"))[0][2]) == ["0", "1", "2", "3", "4"]
    assert fs.exists("/d/0") and inner.requests == 0


def test_two_files_with_one_name(fs: CryptStreamFileSystem, inner: Counted) -> None:
    fs.pipe_file("/d/a.enc", b"native")
    fs.pipe_file("/d/a.age", b"age")
    inner.pipe_file("/d/a", b"plain")
    assert fs.ls("/d", detail=False) == ["/d/a", "/d/a.age"]
    assert fs.cat_file("/d/a") == b"native"
    assert fs.cat_file("/d/a.age") == b"age"


@pytest.mark.parametrize("name", ["/a", "/a.age"])
def test_ranges(fs: CryptStreamFileSystem, inner: Counted, name: str) -> None:
    fs.pipe_file(name, DATA)
    for start, end in [(None, None), (0, 10), (-10, None), (5, -5), (10, 5), (2_999_999, 10**9)]:
        assert fs.cat_file(name, start, end) == DATA[start:end]
    got = fs.cat_ranges([name, name, "/none"], [0, 1_000_000, 0], [5, 1_000_005, 1])
    assert got[:2] == [DATA[:5], DATA[1_000_000:1_000_005]]
    assert isinstance(got[2], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(["/none"], 0, 1, on_error="raise")
    numbers = random.Random(8)
    with fs.open(name) as file:
        for _ in range(300):
            start, size = numbers.randrange(len(DATA) + 10), numbers.choice([1, 100, 200_000])
            assert file.seek(start) == start
            # In a row as well.
            assert file.read(size) == DATA[start : start + size]
            assert file.read(size) == DATA[start + size : start + 2 * size]
    for cache_type in ["none", "readahead", "bytes"]:
        with fs.open(name, cache_type=cache_type) as file:
            file.seek(100)
            assert file.read(70_000) == DATA[100:70_100]


def test_only_what_is_needed_is_fetched(fs: CryptStreamFileSystem, inner: Counted) -> None:
    fs.pipe_file("/a", DATA)
    inner.bytes = 0
    with fs.open("/a") as file:
        assert inner.bytes <= HEAD
        file.seek(1_000_000)
        inner.bytes = 0
        assert file.read(100) == DATA[1_000_000:1_000_100]
        assert inner.bytes == CHUNK + 16
    inner.bytes = 0
    assert fs.cat_file("/a", 500_000, 500_010) == DATA[500_000:500_010]
    assert inner.bytes == CHUNK + 16
    # Small reads in a row take few requests, and what is read ahead in vain is little.
    inner.bytes, inner.requests = 0, 0
    with fs.open("/a") as file:
        for start in range(0, 2_000_000, 1000):
            assert file.read(1000) == DATA[start : start + 1000]
    assert inner.requests < 50
    assert inner.bytes < 2_000_000 * 1.1


def test_lines_text_and_archives(fs: CryptStreamFileSystem) -> None:
    with fs.open("/a.csv", "w", encoding="utf-8") as text:
        text.write("grün\nblau\n")
    with fs.open("/a.csv", "r", encoding="utf-8") as text:
        assert list(text) == ["grün\n", "blau\n"]
    with fs.open("/a.csv", "rb") as file:
        assert file.readline() == "grün\n".encode()
        with pytest.raises(cryptstream.NotSupported):
            file.write(b"x")
    with fs.open("/a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", DATA[:100_000])
    with fs.open("/a.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("x") == DATA[:100_000]


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_file_appears_when_it_is_closed(kind: str, tmp_path: Path, identity: Identity) -> None:
    inner = Counted() if kind == "memory" else fsspec.filesystem("file")
    fs = CryptStreamFileSystem(fs=inner, identities=identity, recipients=identity)
    path = f"{tmp_path}/a"
    with pytest.raises(ZeroDivisionError):
        with fs.open(path, "wb") as file:
            file.write(DATA)
            raise ZeroDivisionError
    assert not fs.exists(path)
    forgotten = fs.open(path, "wb")
    forgotten.write(b"text")
    del forgotten
    assert not fs.exists(path)
    with fs.open(path, "wb") as file:
        for start in range(0, len(DATA), 70_001):
            file.write(DATA[start : start + 70_001])
    assert fs.cat_file(path) == DATA
    with fs.open(path, "wb") as file:
        file.write(b"new")
    assert fs.cat_file(path) == b"new"
    with pytest.raises(FileExistsError):
        fs.open(path, "xb")
    with pytest.raises(cryptstream.NotSupported):
        fs.open(path, "ab")


def test_transactions(tmp_path: Path, identity: Identity) -> None:
    fs = CryptStreamFileSystem(identities=identity, recipients=identity)
    with fs.transaction:
        with fs.open(f"{tmp_path}/a", "wb") as file:
            file.write(DATA)
        assert os.listdir(tmp_path) == []
    assert fs.cat_file(f"{tmp_path}/a") == DATA
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            with fs.open(f"{tmp_path}/b", "wb") as file:
                file.write(DATA)
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["a.enc"]


def test_a_local_file_is_read_as_it_was_opened(tmp_path: Path, identity: Identity) -> None:
    fs = CryptStreamFileSystem(identities=identity, recipients=identity)
    fs.pipe_file(f"{tmp_path}/a", DATA)
    with fs.open(f"{tmp_path}/a") as file:
        fs.pipe_file(f"{tmp_path}/a", b"other")
        assert file.read() == DATA
    assert fs.cat_file(f"{tmp_path}/a") == b"other"


def test_chained_urls(tmp_path: Path, identity: Identity) -> None:
    keys = {"identities": [identity.expose()], "recipients": [str(identity.recipient)]}
    for url in [f"cryptstream::file://{tmp_path}/a.txt", f"cryptstream://{tmp_path}/a.txt"]:
        with fsspec.open(url, "wb", **keys) as file:
            file.write(DATA)
        assert (tmp_path / "a.txt.enc").exists()
        for stored in [url, url + ".enc"]:
            with fsspec.open(stored, cryptstream=keys) as file:
                assert file.read() == DATA
        fs, path = fsspec.url_to_fs(url, **keys)
        assert fs.glob(f"{tmp_path}/*") == [path]
        assert fs.unstrip_protocol(path) == f"cryptstream::file://{tmp_path}/a.txt"
    files = fsspec.open_files(f"cryptstream::file://{tmp_path}/*.txt", cryptstream=keys)
    assert [file.path for file in files] == [f"{tmp_path}/a.txt"]
    with fsspec.open(f"simplecache::cryptstream::file://{tmp_path}/a.txt", cryptstream=keys) as f:
        assert f.read() == DATA


def test_no_key_is_shown_or_leaves_the_process(tmp_path: Path, identity: Identity) -> None:
    secret = identity.expose()
    text = next(line for line in secret.splitlines() if line.startswith("AGE-SECRET"))
    for options in [
        {"identities": text}, {"identities": identity}, {"passphrase": "correct horse"},
        {"recipients": identity},
    ]:
        fs = CryptStreamFileSystem(**options)
        shown = repr(fs) + str(fs) + repr(fs.storage_options) + fs._fs_token
        assert text not in shown and "correct horse" not in shown
        for leave in [pickle.dumps, lambda one: one.to_json()]:
            with pytest.raises(TypeError, match="identity_file"):
                leave(fs)
    other = CryptStreamFileSystem(identities=Identity.generate())
    fs = CryptStreamFileSystem(identities=identity, recipients=identity)
    fs.pipe_file(f"{tmp_path}/a", b"text")
    assert fs != other and hash(fs) != hash(other)
    with pytest.raises(cryptstream.WrongKey):
        other.cat_file(f"{tmp_path}/a")
    assert other.ls(tmp_path)[0]["size"] is None
    with pytest.raises(cryptstream.WrongKey):
        other.info(f"{tmp_path}/a")


def test_named_keys_can_be_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = cryptstream.keygen(tmp_path / "key")
    monkeypatch.setenv("SOME_IDENTITY", identity.expose())
    for options in [{"identity_file": str(tmp_path / "key")}, {"identity_env": "SOME_IDENTITY"}]:
        fs = CryptStreamFileSystem(recipients=str(identity.recipient), **options)
        fs.pipe_file(f"{tmp_path}/a", DATA)
        pickled = pickle.dumps(fs)
        assert b"AGE-SECRET" not in pickled and "AGE-SECRET" not in fs.to_json()
        again = pickle.loads(pickled)
        assert again == fs and again.cat_file(f"{tmp_path}/a") == DATA
        assert fsspec.AbstractFileSystem.from_json(fs.to_json()).size(f"{tmp_path}/a") == len(DATA)
        with fs.open(f"{tmp_path}/a") as file:
            file.seek(1000)
            assert pickle.loads(pickle.dumps(file)).read() == DATA[1000:]


def test_names_can_be_changed(fs: CryptStreamFileSystem, inner: Counted, tmp_path: Path) -> None:
    fs.pipe_file("/d/a", b"text")
    fs.pipe_file("/d/b.age", b"age")
    fs.cp_file("/d/a", "/d/c")
    fs.mv("/d/b", "/d/e")
    assert inner.find("/") == ["/d/a.enc", "/d/c.enc", "/d/e.age"]
    assert (fs.cat_file("/d/c"), fs.cat_file("/d/e")) == (b"text", b"age")
    fs.rm("/d/a")
    assert fs.find("/") == ["/d/c", "/d/e"]
    fs.get("/d", str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got" / "c").read_bytes() == b"text"
    (tmp_path / "up").write_bytes(DATA)
    fs.put(str(tmp_path / "up"), "/up")
    assert fs.cat_file("/up") == DATA
    fs.rm("/d", recursive=True)
    assert fs.find("/") == ["/up"]


def test_damage(fs: CryptStreamFileSystem, inner: Counted, tmp_path: Path) -> None:
    fs.pipe_file("/a", DATA)
    stored = bytearray(inner.cat_file("/a.enc"))
    inner.pipe_file("/cut.enc", bytes(stored[: 50 * (CHUNK + 16)]))
    stored[1_500_000] ^= 1
    inner.pipe_file("/a.enc", bytes(stored))
    with fs.open("/a") as file:
        assert file.read(1_000_000) == DATA[:1_000_000]
        with pytest.raises(cryptstream.Damaged):
            file.read()
    with pytest.raises(cryptstream.Damaged):
        fs.get_file("/a", str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []
    for look in [fs.info, fs.open]:
        with pytest.raises(cryptstream.Damaged):
            look("/cut")
    assert {one["name"]: one["size"] for one in fs.ls("/")} == {"/a": len(DATA), "/cut": None}


def test_an_object_that_changes_is_noticed(fs: CryptStreamFileSystem, inner: Counted) -> None:
    fs.pipe_file("/a", DATA)
    with fs.open("/a") as file:
        fs.pipe_file("/a", b"other")
        with pytest.raises((cryptstream.Damaged, cryptstream.Changed)):
            file.read()
    assert fs.cat_file("/a") == b"other"


def test_without_fsspec_the_rest_works(tmp_path: Path) -> None:
    code = "import sys; sys.modules['fsspec'] = None; import cryptstream; print(cryptstream.keygen())"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    code = "import sys, cryptstream; assert 'fsspec' not in sys.modules, 'slow to import'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_bad_arguments(tmp_path: Path, identity: Identity) -> None:
    with pytest.raises(TypeError, match="identities"):
        CryptStreamFileSystem(identities=b"key")
    with pytest.raises(ValueError, match="format"):
        CryptStreamFileSystem(format="zip")
    with pytest.raises(ValueError, match="fs:"):
        CryptStreamFileSystem("memory", fs=Counted())
    fs = CryptStreamFileSystem(identities=identity)
    with pytest.raises(ValueError, match="recipients"):
        fs.open(f"{tmp_path}/a", "wb")
    with pytest.raises(IsADirectoryError):
        fs.open(str(tmp_path))
    assert os.listdir(tmp_path) == []
