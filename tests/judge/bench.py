"""Runs the program under judgement and counts the checks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag

from second_implementation import Lock, Refused, expect, open_file

TIMEOUT = 120  # seconds for any one command
DAMAGED, NO_KEY_FITS = 65, 77  # exit statuses


@dataclass
class Bench:
    """Runs commands in a directory of their own and counts the checks."""

    program: Path
    directory: Path
    passed: int = 0
    failed: int = 0

    @contextmanager
    def check(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is, this check failed; the others go on
            self.failed += 1
            print(f"FAILED  {what}: {error if isinstance(error, Refused) else repr(error)}")
        else:
            self.passed += 1

    def run(self, *command: str | Path, stdin: bytes = b"", status: int = 0) -> bytes:
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            cwd=self.directory,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.directory)},
            timeout=TIMEOUT,
            check=False,
        )
        message = done.stderr.decode(errors="replace").strip()
        expect(done.returncode == status, f"exit {done.returncode}, not {status}: {message}")
        return done.stdout

    def convert(self, verb: str, data: bytes, flags: Sequence[str]) -> bytes:
        """Encrypts or decrypts from file to file."""
        source, target = self.directory / "source", self.directory / "target"
        source.write_bytes(data)
        target.unlink(missing_ok=True)
        self.run(self.program, verb, source, target, *flags)
        return target.read_bytes()

    def accepts(self, what: str, sealed: bytes, lock: Lock, plaintext: bytes) -> None:
        with self.check(f"accepted: {what}"):
            expect(self.convert("decrypt", sealed, lock.open_flags) == plaintext, "other bytes")

    def refuses(self, what: str, sealed: bytes, lock: Lock, status: int = DAMAGED) -> None:
        with self.check(f"refused: {what}"):
            source, target = self.directory / "source", self.directory / "target"
            source.write_bytes(sealed)
            target.unlink(missing_ok=True)
            before = set(self.directory.iterdir())
            self.run(self.program, "decrypt", source, target, *lock.open_flags, status=status)
            left = set(self.directory.iterdir()) - before
            expect(not left, f"files were left behind: {sorted(map(str, left))}")
            try:
                open_file(sealed, lock)
            except (Refused, InvalidTag, ValueError):
                return
            raise Refused("the judge itself opens this file")
