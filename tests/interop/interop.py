#!/usr/bin/env python3
"""Round trips between cryptstream and other programs that know age's format.

    python interop.py target/release/cryptstream --node .venv/interop/node

What cryptstream seals, every other program opens, and the other way round: for
every kind of key that both know, at lengths around chunks and segments, armored
and not, and with the identity files of each. `--kinds X25519,ssh` and
`--no-armor` look at a part.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from peers import Age, AgeEncryption, Cryptstream, Failure, Lock, Peer, found, run
from peers import PASSPHRASE

MIB = 1 << 20
LENGTHS = (0, 1, 65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1)
# From 128 MiB on, OpenSSL computes the cipher where it is faster.
BIG = 130 * MIB
BOTH = (False, True)
# Where every run derives a key from a passphrase, and takes a second or two.
FEW = ((1, False), (65_536, False), (65_537, True), (MIB + 1, False))
ONE = ((65_537, False),)
ALL = tuple((length, armor) for length in LENGTHS for armor in BOTH)

X25519, SCRYPT, SSH, HYBRID, LOCKED = "X25519", "scrypt", "ssh", "mlkem768x25519", "locked"


class Interop:
    def __init__(self, program: Path, folder: Path, node: Path, kinds: set[str], armor: bool) -> None:
        self.folder = folder
        self.ours = Cryptstream(program.resolve(), folder)
        self.peers, self.missing = found(node)
        self.kinds, self.armor = kinds, armor
        self.passed = self.failed = 0
        self.turn = threading.Lock()
        self.numbers = count()
        self.jobs: list[tuple[Lock, int, bool]] = []

    @contextmanager
    def check(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is, this check failed; the others go on
            with self.turn:
                self.failed += 1
                print(f"FAILED  {what}: {error if isinstance(error, Failure) else repr(error)}", flush=True)
        else:
            with self.turn:
                self.passed += 1

    def new(self, name: str) -> Path:
        """A path at which nothing is."""
        return self.folder / f"{name}.{next(self.numbers)}"

    def plain(self, length: int) -> Path:
        path = self.folder / f"plain.{length}"
        if not path.exists():
            path.write_bytes(random.Random(length).randbytes(length))
        return path

    def knows(self, *kinds: str) -> bool:
        """Whether kinds of keys are looked at."""
        return not self.kinds or self.kinds.issuperset(kinds)

    def add(self, lock: Lock, *variants: tuple[int, bool]) -> None:
        self.jobs += [(lock, length, armor) for length, armor in variants if self.armor or not armor]

    # --- Keys -----------------------------------------------------------------

    def identity(self, maker: Peer, kind: str) -> Lock | None:
        """An identity that `maker` makes, and whose recipient all agree on."""
        path = self.new(f"{maker.name}.key")
        lock = None
        with self.check(f"{kind} identity made by {maker.name}"):
            recipient = maker.keygen(kind, path)
            lock = Lock(f"{kind} (key by {maker.name})", frozenset({kind}), (recipient,), path)
        for reader in [self.ours, *self.peers]:
            if lock and reader is not maker and kind in reader.kinds and self.ours in (maker, reader):
                with self.check(f"recipient of {maker.name}'s {kind} identity by {reader.name}"):
                    seen = reader.recipient(path)
                    if seen != lock.recipients[0]:
                        raise Failure(f"{seen} instead of {lock.recipients[0]}")
        return lock

    def ssh_key(self, kind: str, passphrase: str = "") -> tuple[str, Path]:
        path = self.new(f"ssh-{kind}")
        cheap = ["-a", "2"] if passphrase else []
        bits = ["-b", "2048"] if kind == "rsa" else []
        run("ssh-keygen", "-q", "-t", kind, *bits, *cheap, "-N", passphrase, "-C", "a comment", "-f", path)
        return Path(f"{path}.pub").read_text().strip(), path

    def prepare(self) -> None:
        """Makes the keys, and says what is to be done with them."""
        keys = {}
        for kind in filter(self.knows, [X25519, HYBRID]):
            for maker in [self.ours, *self.peers]:
                if kind in maker.kinds and (lock := self.identity(maker, kind)):
                    keys[kind, maker.name] = lock
                    self.add(lock, *(ALL if maker is self.ours else ONE))
        ours = keys.get((X25519, self.ours.name))
        if ours:
            recipients = tuple(lock.recipients[0] for (kind, _), lock in keys.items() if kind == X25519)
            several = Lock("several X25519", ours.kinds, (*recipients[1:], recipients[0]), ours.identity)
            self.add(several, *ALL)
        if self.knows(SCRYPT):
            self.add(Lock("passphrase", frozenset({SCRYPT})), *FEW)
        if self.knows(SSH) and shutil.which("ssh-keygen"):
            self.prepare_ssh(ours)
        elif self.knows(SSH):
            self.missing.append("ssh-keygen is not installed")
        if ours and self.knows(LOCKED, SCRYPT):
            self.prepare_protected(ours)
        for kind in [X25519, HYBRID]:
            if lock := keys.get((kind, self.ours.name)):
                self.add(lock, (BIG, False))
        if ours:
            # Not the packages, which keep everything in memory, and more than once.
            self.add(Lock("X25519", frozenset({X25519, LOCKED}), ours.recipients, ours.identity), (BIG, True))

    def prepare_protected(self, ours: Lock) -> None:
        """Identity files that are themselves sealed with a passphrase."""
        assert ours.identity
        for sealer in [self.ours, *(peer for peer in self.peers if isinstance(peer, Age))]:
            for armor in BOTH if self.armor else (False,):
                path = self.new("protected")
                what = f"{'armored ' if armor else ''}identity file sealed by {sealer.name}"
                with self.check(what):
                    self.seal(sealer, Lock("passphrase", frozenset({SCRYPT})), ours.identity, path, armor)
                    path.chmod(0o600)
                    self.add(Lock(f"X25519 ({what})", frozenset({X25519, LOCKED}), ours.recipients, path), *ONE)

    def prepare_ssh(self, ours: Lock | None) -> None:
        ed25519, ed25519_key = self.ssh_key("ed25519")
        rsa, rsa_key = self.ssh_key("rsa")
        for name, recipient, path in [("ssh-ed25519", ed25519, ed25519_key), ("ssh-rsa", rsa, rsa_key)]:
            self.add(Lock(name, frozenset({SSH}), (recipient,), path), *ALL)
        if ours:
            recipients = (*ours.recipients, ed25519, rsa)
            for path in [ours.identity, ed25519_key, rsa_key]:
                assert path
                name = f"X25519, ssh-ed25519 and ssh-rsa, opened with {path.name}"
                self.add(Lock(name, frozenset({X25519, SSH}), recipients, path), (MIB + 1, False), (65_536, True))
        if self.knows(LOCKED):
            for kind in ["ed25519", "rsa"]:
                recipient, path = self.ssh_key(kind, PASSPHRASE)
                lock = Lock(f"ssh-{kind} behind a passphrase", frozenset({SSH, LOCKED}), (recipient,), path)
                self.add(lock, *ONE)

    # --- Files ----------------------------------------------------------------

    def round_trips(self, lock: Lock, length: int, armor: bool) -> None:
        """One file, from us to everybody and from everybody to us."""
        plain, sealed = self.plain(length), self.new("sealed")
        what = f"{lock.name}, {length} bytes{', armored' if armor else ''}"
        is_sealed = False
        with self.check(f"{what}: sealed by {self.ours.name}"):
            self.seal(self.ours, lock, plain, sealed, armor)
            is_sealed = True
        for peer in self.peers:
            if not lock.kinds <= peer.kinds:
                continue
            if is_sealed:
                with self.check(f"{what}: {self.ours.name} -> {peer.name}"):
                    self.open(peer, lock, sealed, plain, armor)
            with self.check(f"{what}: {peer.name} -> {self.ours.name}"):
                theirs = self.new("theirs")
                self.seal(peer, lock, plain, theirs, armor)
                self.open(self.ours, lock, theirs, plain, armor)
                theirs.unlink()
        sealed.unlink(missing_ok=True)

    def seal(self, sealer: Peer, lock: Lock, plain: Path, sealed: Path, armor: bool) -> None:
        sealer.seal(lock, plain, sealed, armor)
        with sealed.open("rb") as file:
            start = file.read(10)
        if start != (b"-----BEGIN" if armor else b"age-encryp"):
            raise Failure(f"{sealer.name} wrote {start!r}")

    def open(self, opener: Peer, lock: Lock, sealed: Path, plain: Path, armor: bool) -> None:
        opened = self.new("opened")
        opener.open(lock, sealed, opened, armor)
        if opened.read_bytes() != plain.read_bytes():
            raise Failure(f"{opener.name} gives other bytes")
        opened.unlink()

    def go(self) -> None:
        self.prepare()
        for _, length, _ in self.jobs:
            self.plain(length)
        # What takes long first, so that nobody waits for it at the end.
        self.jobs.sort(key=lambda job: (job[0].is_passphrase or LOCKED in job[0].kinds, job[1]), reverse=True)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for done in [pool.submit(self.round_trips, *job) for job in self.jobs]:
                done.result()
        for peer in self.peers:
            if isinstance(peer, AgeEncryption):
                peer.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--node", type=Path, required=True, help="the folder with node_modules and typage.mjs")
    parser.add_argument("--kinds", default="", help=f"of {X25519}, {SCRYPT}, {SSH}, {LOCKED}, {HYBRID}")
    parser.add_argument("--no-armor", action="store_true")
    arguments = parser.parse_args()
    kinds = set(filter(None, arguments.kinds.split(",")))
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cryptstream-interop-") as name:
        interop = Interop(arguments.program, Path(name), arguments.node, kinds, not arguments.no_armor)
        interop.go()
        for what in interop.missing:
            print(f"interop: NOT ALL IS JUDGED: {what}")
    names = ", ".join(peer.name for peer in interop.peers) or "nobody"
    print(f"interop: with {names}, in {time.monotonic() - start:.0f} s")
    print(f"interop: {interop.passed} passed, {interop.failed} failed")
    sys.exit(1 if interop.failed or not interop.passed else 0)


if __name__ == "__main__":
    main()
