"""The programs that seal and open age files: ours, and those of others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 120  # seconds for any one command
PASSPHRASE = "correct horse battery staple"


class Failure(Exception):
    """A program did not do what it should."""


@dataclass(frozen=True)
class Lock:
    """What a file is sealed for, and what opens it again."""

    name: str
    # What a peer must know.
    kinds: frozenset[str]
    recipients: tuple[str, ...] = ()
    identity: Path | None = None

    @property
    def is_passphrase(self) -> bool:
        return "scrypt" in self.kinds

    @property
    def passphrase(self) -> str | None:
        return PASSPHRASE if self.is_passphrase else None

    @property
    def asks(self) -> str | None:
        """What to type when the identity is itself behind a passphrase."""
        return PASSPHRASE if "locked" in self.kinds else None


def run(*command: str | Path, secret: str | None = None) -> str:
    """Runs a command; with a secret on a terminal, where it is typed in."""
    words = [str(part) for part in command]
    typed = [sys.executable, str(HERE / "terminal.py"), secret, *words] if secret is not None else words
    # Where there is a pinentry, rage would ask there.
    env = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), "PINENTRY_PROGRAM": "", "TERM": "dumb"}
    try:
        done = subprocess.run(typed, stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"`{' '.join(words)}` hangs") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise Failure(f"`{' '.join(words)}` exited with {done.returncode}: {said[-600:]}")
    return done.stdout.decode()


class Peer:
    """A program that can seal, open and make keys of some kinds."""

    name: str
    kinds: frozenset[str]

    def seal(self, lock: Lock, plain: Path, sealed: Path, armor: bool) -> None:
        raise NotImplementedError

    def open(self, lock: Lock, sealed: Path, opened: Path, armor: bool) -> None:
        raise NotImplementedError

    def keygen(self, kind: str, path: Path) -> str:
        """Writes an identity file and returns the recipient."""
        raise NotImplementedError

    def recipient(self, identity: Path) -> str:
        """The recipient of an identity, as this program sees it."""
        raise NotImplementedError


@dataclass
class Cryptstream(Peer):
    program: Path
    folder: Path
    name: str = "cryptstream"
    kinds: frozenset[str] = frozenset({"X25519", "scrypt", "ssh", "locked", "mlkem768x25519"})

    def __post_init__(self) -> None:
        (self.folder / "passphrase").write_text(PASSPHRASE)

    def key(self, lock: Lock) -> list[str | Path]:
        return ["--passphrase-file", self.folder / "passphrase"] if lock.is_passphrase else []

    def seal(self, lock: Lock, plain: Path, sealed: Path, armor: bool) -> None:
        recipients = [word for r in lock.recipients for word in ("-r", r)]
        form = ["--armor"] if armor else ["--format", "age"]
        run(self.program, "encrypt", plain, sealed, *form, *recipients, *self.key(lock))

    def open(self, lock: Lock, sealed: Path, opened: Path, armor: bool) -> None:
        identity = ["-i", lock.identity] if lock.identity else []
        run(self.program, "decrypt", sealed, opened, *identity, *self.key(lock), secret=lock.asks)

    def keygen(self, kind: str, path: Path) -> str:
        run(self.program, "keygen", "-o", path, *(["--pq"] if kind == "mlkem768x25519" else []))
        return self.recipient(path)

    def recipient(self, identity: Path) -> str:
        return run(self.program, "keygen", "-y", identity).strip()


@dataclass
class Age(Peer):
    """The program `age`, or `rage`, which has the same flags."""

    name: str
    kinds: frozenset[str] = frozenset({"X25519", "scrypt", "ssh", "locked"})

    def seal(self, lock: Lock, plain: Path, sealed: Path, armor: bool) -> None:
        recipients = [word for r in lock.recipients for word in ("-r", r)]
        flags = [*(["-a"] if armor else []), *(["-p"] if lock.is_passphrase else recipients)]
        run(self.name, *flags, "-o", sealed, plain, secret=lock.passphrase)

    def open(self, lock: Lock, sealed: Path, opened: Path, armor: bool) -> None:
        identity = ["-i", lock.identity] if lock.identity else []
        run(self.name, "-d", *identity, "-o", opened, sealed, secret=lock.passphrase or lock.asks)
        # Where nothing is to be written, they make no file.
        opened.touch()

    def keygen(self, kind: str, path: Path) -> str:
        run(f"{self.name}-keygen", "-o", path)
        return self.recipient(path)

    def recipient(self, identity: Path) -> str:
        return run(f"{self.name}-keygen", "-y", identity).strip()


class Pyrage(Peer):
    """The Python package `pyrage`: the crate `age` with Python's words."""

    name = "pyrage"
    kinds = frozenset({"X25519", "scrypt", "ssh"})

    def __init__(self) -> None:
        import pyrage

        self.pyrage = pyrage

    def seal(self, lock: Lock, plain: Path, sealed: Path, armor: bool) -> None:
        if lock.is_passphrase:
            content = self.pyrage.passphrase.encrypt(plain.read_bytes(), lock.passphrase, armored=armor)
        else:
            recipients = [
                (self.pyrage.ssh if r.startswith("ssh-") else self.pyrage.x25519).Recipient.from_str(r)
                for r in lock.recipients
            ]
            content = self.pyrage.encrypt(plain.read_bytes(), recipients, armored=armor)
        sealed.write_bytes(content)

    def open(self, lock: Lock, sealed: Path, opened: Path, armor: bool) -> None:
        if lock.is_passphrase:
            content = self.pyrage.passphrase.decrypt(sealed.read_bytes(), lock.passphrase)
        else:
            assert lock.identity
            key = lock.identity.read_bytes()
            if key.startswith(b"-----BEGIN"):
                identities = [self.pyrage.ssh.Identity.from_buffer(key)]
            else:
                identities = [self.pyrage.x25519.Identity.from_str(i) for i in secrets_in(lock.identity)]
            content = self.pyrage.decrypt(sealed.read_bytes(), identities)
        opened.write_bytes(content)

    def keygen(self, kind: str, path: Path) -> str:
        identity = self.pyrage.x25519.Identity.generate()
        path.write_text(f"{identity}\n")
        return str(identity.to_public())

    def recipient(self, identity: Path) -> str:
        return str(self.pyrage.x25519.Identity.from_str(secrets_in(identity)[0]).to_public())


@dataclass
class AgeEncryption(Peer):
    """The npm package `age-encryption`, in a process of its own."""

    folder: Path  # that it is installed in
    name: str = "age-encryption"
    kinds: frozenset[str] = frozenset({"X25519", "scrypt", "mlkem768x25519"})
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            ["node", "typage.mjs"], cwd=self.folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, action: str, **request: object) -> dict:
        assert self.process.stdin and self.process.stdout
        with self.turn:
            self.process.stdin.write(json.dumps({"action": action, **request}, default=str) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise Failure("node has ended")
        reply = json.loads(line)
        if "error" in reply:
            raise Failure(f"{self.name}, {action}: {reply['error']}")
        return reply

    def seal(self, lock: Lock, plain: Path, sealed: Path, armor: bool) -> None:
        files = {"input": plain, "output": sealed, "armor": armor}
        self.ask("seal", **files, recipients=lock.recipients, passphrase=lock.passphrase)

    def open(self, lock: Lock, sealed: Path, opened: Path, armor: bool) -> None:
        files = {"input": sealed, "output": opened, "armor": armor}
        identities = secrets_in(lock.identity) if lock.identity else []
        self.ask("open", **files, identities=identities, passphrase=lock.passphrase)

    def keygen(self, kind: str, path: Path) -> str:
        made = self.ask("keygen", postQuantum=kind == "mlkem768x25519")
        path.write_text(f"{made['identity']}\n")
        return made["recipient"]

    def recipient(self, identity: Path) -> str:
        return self.ask("recipient", identity=secrets_in(identity)[0])["recipient"]

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(TIMEOUT)


def secrets_in(identity: Path) -> list[str]:
    """The identities in a file, without what is said about them."""
    lines = identity.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def found(node: Path) -> tuple[list[Peer], list[str]]:
    """The peers that are here, and what is said of those that are not."""
    peers: list[Peer] = []
    missing = []
    for name in ["age", "rage"]:
        if shutil.which(name) and shutil.which(f"{name}-keygen"):
            peers.append(Age(name))
        else:
            missing.append(f"{name} is not installed")
    try:
        peers.append(Pyrage())
    except ImportError:
        missing.append("pyrage is not installed")
    if shutil.which("node") and (node / "node_modules/age-encryption").is_dir():
        peers.append(AgeEncryption(node))
    else:
        missing.append("age-encryption is not installed, or node is not")
    return peers, missing
