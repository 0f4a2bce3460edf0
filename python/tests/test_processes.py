"""Signals, forks, threads, workers and the end of the interpreter."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cryptstream
from cryptstream import Identity

BEGIN = """
import os, signal, sys, threading, time
import cryptstream
identity = cryptstream.Identity.generate()
os.chdir(sys.argv[1])
"""


def run_python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script in another interpreter, with the usual signals."""
    return subprocess.run(
        ["env", "--default-signal", sys.executable, "-c", BEGIN + script, folder],
        capture_output=True, text=True, timeout=100, check=False,
    )


def children() -> list[str]:
    """The processes that this one has started and not waited for."""
    pid = os.getpid()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


@pytest.mark.parametrize(
    "call",
    [
        "cryptstream.encrypt(Endless(), 'out', recipients=identity)",
        "cryptstream.encrypt('pipe', 'out', recipients=identity)",
        "cryptstream.encrypt('pipe', 'out', passphrase='x', processes=0)",
        "[cryptstream.encrypt_bytes(b'', passphrase='x') for _ in range(1000)]",
        "[cryptstream.decrypt_bytes(big, identities=identity) for _ in range(10_000)]",
        "[cryptstream.encrypt('large', 'out', recipients=identity, overwrite=True, "
        "progress=lambda *_: None) for _ in range(10_000)]",
    ],
)
def test_an_interruption_ends_everything(call: str, tmp_path: Path, large: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run_python(
        f"""
class Endless:
    def read(self, size):
        return bytes(size)

big = cryptstream.encrypt_bytes(bytes(20 << 20), recipients=identity)
sent = 0
def interrupt():
    global sent
    time.sleep(0.4)
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", round(time.monotonic() - sent, 3))
print(sorted(name for name in os.listdir() if name != 'out'))
if os.path.exists("out"):
    cryptstream.verify("out", identities=identity)
pid = os.getpid()
print(open(f"/proc/{{pid}}/task/{{pid}}/children").read().split())
""",
        tmp_path,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0].startswith("interrupted"), done.stdout
    assert lines[1:] == ["['large', 'pipe']", "[]"]


def test_a_child_goes_on_after_a_fork(tmp_path: Path, large: Path) -> None:
    done = run_python(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
cryptstream.encrypt("large", "a", recipients=identity)
reader = cryptstream.open("a", identities=identity, buffering=1)
writer = cryptstream.open("w", "wb", recipients=identity)
writer.write(b"parent")
writer.flush()
child = os.fork()
if child == 0:
    status = 1
    try:
        assert reader.read(10) == bytes(range(10))
        cryptstream.decrypt("a", "child", identities=identity)
        cryptstream.encrypt_bytes(b"x", passphrase="x")
        try:
            writer.write(b"child" * 100_000)
            writer.flush()
        except (RuntimeError, OSError):
            status = 0
    finally:
        os._exit(status)
assert os.waitpid(child, 0)[1] == 0
writer.write(b" goes on")
writer.close()
print(cryptstream.open("w", identities=identity).read(), reader.read(2))
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == r"b'parent goes on' b'\x00\x01'"
    assert (tmp_path / "child").read_bytes() == large.read_bytes()


def roundtrip(number: int) -> bytes:
    identity = Identity.generate()
    encrypted = cryptstream.encrypt_bytes(bytes([number]) * 3_000_000, recipients=identity)
    return cryptstream.decrypt_bytes(encrypted, identities=identity)[:1]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_multiprocessing(method: str) -> None:
    roundtrip(0)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(roundtrip, range(6)) == [bytes([number]) for number in range(6)]


def test_threads(tmp_path: Path, large: Path) -> None:
    before = children()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            identity = Identity.generate()
            encrypted, copy = tmp_path / f"{number}.enc", tmp_path / f"{number}"
            cryptstream.encrypt(large, encrypted, recipients=identity)
            cryptstream.decrypt(encrypted, copy, identities=identity)
            assert copy.read_bytes() == large.read_bytes()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert children() == before


def test_other_threads_run_meanwhile(tmp_path: Path, large: Path) -> None:
    count = 0
    is_over = False

    def counts() -> None:
        nonlocal count
        while not is_over:
            count += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=counts)
    thread.start()
    before = count
    cryptstream.encrypt_bytes(b"text", passphrase="takes a while")
    assert count > before
    is_over = True
    thread.join()


@pytest.mark.parametrize("how", ["sys.exit(0)", "raise ZeroDivisionError", "os._exit(0)"])
def test_the_interpreter_ends_while_workers_run(how: str, tmp_path: Path, large: Path) -> None:
    done = run_python(
        f"""
def work(number):
    while True:
        cryptstream.encrypt("large", "out", recipients=identity, overwrite=True)
for number in range(2):
    threading.Thread(target=work, args=(number,), daemon=True).start()
writer = cryptstream.open("never", "wb", recipients=identity)
writer.write(bytes(1 << 20))
time.sleep(0.3)
{how}
""",
        tmp_path,
    )
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    assert "panicked" not in done.stderr and "Fatal" not in done.stderr
    left = sorted(os.listdir(tmp_path))
    assert [name for name in left if name not in ("large", "out")] == [] or "os._exit" in how


@pytest.mark.parametrize("what", ["missing", "not executable"])
def test_without_the_program_the_work_is_done_here(
    what: str, tmp_path: Path, large: Path
) -> None:
    place = tmp_path / "cryptstream"
    if what == "not executable":
        place.write_bytes(b"")
    done = run_python(
        f"""
import warnings
from cryptstream import _program
_program._places = lambda: [{str(place)!r}]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name in ["a", "b"]:
        report = cryptstream.encrypt("large", name, recipients=identity)
        assert report.workers == 0
print([str(warning.message) for warning in caught])
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    warnings = eval(done.stdout)
    assert len(warnings) == 1 and what in warnings[0]


def test_workers_take_part(tmp_path: Path, large: Path) -> None:
    before = children()
    identity = Identity.generate()
    report = cryptstream.encrypt(large, tmp_path / "a", recipients=identity, processes=2)
    assert report.workers > 0
    assert children() == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
