"""The examples of docs/python-examples.md, each as it stands there."""

from __future__ import annotations

import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryptstream
from cryptstream import Identity

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python-examples.md"
EXAMPLES = re.findall(r"^## (\d+)\. .*?^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
SITE = "https://data.example.com"
DATA = b"a,b\n" + b"1,2\n" * 100_000


def test_there_are_ten() -> None:
    assert [number for number, _ in EXAMPLES] == [str(number) for number in range(1, 11)]
    assert PAGE.read_text().count("```python") == 10


@pytest.fixture
def site(identity: Identity) -> Iterator[str]:
    encrypted = cryptstream.encrypt_bytes(DATA, recipients=identity)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(encrypted)))
            self.end_headers()
            self.wfile.write(encrypted)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("number,code", EXAMPLES, ids=[number for number, _ in EXAMPLES])
def test_example(number: str, code: str, tmp_path: Path, site: str, identity: Identity) -> None:
    for package in re.findall(r"^(?:import|from) (\w+)", code, re.M):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    environment = {"IDENTITY": identity.expose(), "NO_PROXY": "127.0.0.1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code.replace(SITE, site)],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    if number == "6":
        assert (tmp_path / "data.csv").read_bytes() == DATA


@pytest.mark.parametrize("size", [0, 65_536, 1_000_000])
def test_pyrage_in_both_directions(size: int) -> None:
    pyrage = pytest.importorskip("pyrage")
    theirs = pyrage.x25519.Identity.generate()
    ours = Identity(str(theirs))
    data = os.urandom(size)
    encrypted = cryptstream.encrypt_bytes(data, recipients=str(theirs.to_public()), format="age")
    assert pyrage.decrypt(encrypted, [theirs]) == data
    encrypted = pyrage.encrypt(data, [theirs.to_public()])
    assert cryptstream.decrypt_bytes(encrypted, identities=ours) == data
    armored = cryptstream.encrypt_bytes(data, recipients=ours, armor=True)
    assert pyrage.decrypt(armored, [theirs]) == data
    encrypted = pyrage.encrypt(data, [theirs.to_public()], armored=True)
    assert cryptstream.decrypt_bytes(encrypted, identities=ours) == data
