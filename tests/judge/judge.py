#!/usr/bin/env python3
"""An outside judge of the CryptStream file format.

    python judge.py target/release/cryptstream [--exporter target/debug/export_file_key]

The judge opens what the program wrote, has the program open what the judge
wrote, and hands it files that it must refuse. Its own knowledge of the format
is in second_implementation.py and shares no code with the program; bench.py
runs the program and counts.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import second_implementation as judge
from bench import NO_KEY_FITS, Bench
from second_implementation import CHUNK, MAX_HEADER, MAX_STANZAS, PREFIX, TAG, VERSION
from second_implementation import Lock, Passphrase, Stanza, X25519, expect

MIB = 1 << 20
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, MIB - 1, MIB, MIB + 1, 5 * MIB + 777)
DATA = random.Random(1).randbytes(max(SIZES))
AGE_VERSION, AGE_HEADER = b"age-encryption.org/v1", b"header"
UNKNOWN = Stanza(("from-the-future", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), bytes(range(200)))


def new_identity(directory: Path, name: str) -> X25519:
    """An identity made here, in a file as age writes it."""
    identity = X25519(X25519PrivateKey.generate(), open_flags=["-i", str(directory / name)])
    (directory / name).write_text(f"# made by the judge\n{identity.text}\n")
    (directory / name).chmod(0o600)
    return replace(identity, seal_flags=["-r", identity.recipient])


# --- Both directions ----------------------------------------------------------


def check_keygen(bench: Bench) -> X25519:
    """The program's own identity, read here; the rest is sealed for it."""
    path = bench.directory / "program.key"
    bench.run(bench.program, "keygen", "-o", path)
    secret = next(line for line in path.read_text().splitlines() if line[:1] not in ("#", ""))
    identity = X25519.from_text(secret, open_flags=["-i", str(path)])
    identity = replace(identity, seal_flags=["-r", identity.recipient])
    with bench.check("the identity file is for its owner alone"):
        expect(path.stat().st_mode & 0o077 == 0, oct(path.stat().st_mode))
    with bench.check("keygen -y prints the recipient that belongs to the identity"):
        printed = bench.run(bench.program, "keygen", "-y", path).decode().strip()
        expect(printed == identity.recipient, f"{printed} for {identity.recipient}")
    return identity


def check_what_the_program_writes(bench: Bench, lock: Lock) -> None:
    for size in SIZES:
        with bench.check(f"sealed by the program, {lock.name}, {size} bytes"):
            sealed = bench.convert("encrypt", DATA[:size], lock.seal_flags)
            header = judge.parse_header(sealed)
            payload = len(sealed) - header.length
            expect(payload == PREFIX + size + TAG * (size // CHUNK + 1), f"{payload} bytes")
            aligned = header.length % 4096 == 0 or all(s.kind != "pad" for s in header.stanzas)
            expect(aligned, f"a padded header of {header.length} bytes")
            expect(judge.open_file(sealed, lock) == DATA[:size], "other bytes")


def check_what_the_judge_writes(bench: Bench, lock: Lock, other: X25519) -> None:
    for size in SIZES:
        for align in (0, 4096):
            sealed = judge.seal_file(DATA[:size], lambda key: [lock.wrap(key)], align)
            what = f"sealed by the judge, {lock.name}, {size} bytes, align {align}"
            bench.accepts(what, sealed, lock, DATA[:size])
    if isinstance(lock, X25519):
        variants: dict[str, Callable[[bytes], list[Stanza]]] = {
            "several recipients": lambda key: [other.wrap(key), lock.wrap(key), other.wrap(key)],
            "an unknown stanza first": lambda key: [UNKNOWN, lock.wrap(key)],
            "an unknown stanza last": lambda key: [lock.wrap(key), UNKNOWN],
            "an empty body": lambda key: [Stanza(("x",)), lock.wrap(key)],
            "a body of one full line": lambda key: [Stanza(("x",), bytes(48)), lock.wrap(key)],
            "a pad that comes first": lambda key: [Stanza(("pad",), bytes(7)), lock.wrap(key)],
            "1,024 stanzas": lambda key: [Stanza(("x",))] * (MAX_STANZAS - 1) + [lock.wrap(key)],
        }
        for what, stanzas in variants.items():
            bench.accepts(what, judge.seal_file(b"text", stanzas), lock, b"text")
        longest = judge.seal_file(b"text", lambda key: [lock.wrap(key)], MAX_HEADER)
        bench.accepts("a header of exactly 1 MiB", longest, lock, b"text")


def check_pipes(bench: Bench, lock: Lock) -> None:
    for size in SIZES:
        with bench.check(f"through pipes, {lock.name}, {size} bytes"):
            text = DATA[:size]
            sealed = bench.run(bench.program, "encrypt", "-", "-", *lock.seal_flags, stdin=text)
            expect(judge.open_file(sealed, lock) == text, "sealed from other bytes")
            sealed = judge.seal_file(text, lambda key: [lock.wrap(key)])
            opened = bench.run(bench.program, "decrypt", "-", "-", *lock.open_flags, stdin=sealed)
            expect(opened == text, "opened to other bytes")


# --- Files that must be refused -----------------------------------------------


def check_wrong_keys(bench: Bench, locks: Sequence[Lock], others: Sequence[Lock]) -> None:
    for lock, other in zip(locks, others):
        sealed = judge.seal_file(DATA[:100], lambda key: [lock.wrap(key)])
        bench.refuses(f"another key, {lock.name}", sealed, other, NO_KEY_FITS)
    sealed = judge.seal_file(DATA[:100], lambda key: [UNKNOWN])
    bench.refuses("no stanza but an unknown one", sealed, locks[0], NO_KEY_FITS)


def check_damaged_payloads(bench: Bench, lock: Lock) -> None:
    file_key = os.urandom(16)
    header = judge.write_header(file_key, [lock.wrap(file_key)])
    text = DATA[: 3 * CHUNK + 500]
    payload = judge.seal_payload(file_key, text)
    prefix, parts = payload[:PREFIX], judge.split_payload(payload)
    foreign = judge.seal_payload(os.urandom(16), text)

    def refuses(what: str, payload: bytes) -> None:
        bench.refuses(f"payload: {what}", header + payload, lock)

    bench.accepts("the payload that is damaged below", header + payload, lock, text)
    for count in range(len(parts)):
        refuses(f"cut after {count} chunks", prefix + b"".join(parts[:count]))
        refuses(f"cut into chunk {count}", prefix + b"".join(parts[:count]) + parts[count][:40])
    for length in (0, 1, 24, 55, 56, 71):
        refuses(f"only {length} bytes", payload[:length])
    refuses("the last byte missing", payload[:-1])
    for extra in (1, 15, 16, 17, CHUNK + TAG):
        refuses(f"{extra} bytes appended", payload + bytes(extra))
    refuses("the final chunk twice", payload + parts[-1])
    refuses("another whole payload appended", payload + payload)
    swapped = [parts[1], parts[0], *parts[2:]]
    refuses("two chunks swapped", prefix + b"".join(swapped))
    refuses("a chunk missing", prefix + b"".join(parts[:1] + parts[2:]))
    refuses("a chunk doubled", prefix + b"".join(parts[:2] + parts[1:]))
    refuses("the salt of another payload", foreign[:24] + payload[24:])
    refuses("the commitment of another key", payload[:24] + foreign[24:56] + payload[56:])
    refuses("salt and commitment of another key", foreign[:56] + payload[56:])
    refuses("all of it of another key", foreign)
    for position in (0, 24, 55, 56, PREFIX + CHUNK, PREFIX + CHUNK + TAG, len(payload) - 1):
        flipped = bytearray(payload)
        flipped[position] ^= 1
        refuses(f"a bit flipped in byte {position}", bytes(flipped))
    full, short = DATA[:CHUNK], DATA[:100]
    regular = header + judge.seal_chunks(file_key, [full, short])
    bench.accepts("chunks sealed one by one", regular, lock, full + short)
    for what, chunks in {
        "a full final chunk, none after it": [full],
        "two full chunks, none after them": [full, full],
        "a chunk after the final one": [short, full],
        "a short chunk before the final one": [full, short, short],
        "an empty chunk after the final one": [full, short, b""],
        "a chunk that is too long": [full + b"x", short],
    }.items():
        refuses(what, judge.seal_chunks(file_key, chunks))
    mib = judge.seal_payload(file_key, DATA[:MIB])
    refuses("the empty final chunk after 1 MiB missing", mib[:-TAG])
    refuses("1 MiB and a bit flipped in the empty final chunk", mib[:-1] + bytes([mib[-1] ^ 1]))


def check_bad_headers(bench: Bench, lock: X25519, secret: Passphrase) -> None:
    file_key = os.urandom(16)
    payload = judge.seal_payload(file_key, b"text")
    good = lock.wrap(file_key)
    lines = VERSION + b"\n" + good.encode()
    password = secret.wrap(file_key)
    pad = Stanza(("pad",), bytes(10))

    def refuses(what: str, header: bytes, key: Lock = lock) -> None:
        bench.refuses(f"header: {what}", header + payload, key)

    def refuses_stanzas(what: str, *stanzas: Stanza, key: Lock = lock) -> None:
        refuses(what, judge.write_header(file_key, stanzas), key)

    def refuses_lines(what: str, lines: bytes) -> None:
        refuses(what, judge.sign(file_key, lines))

    signed = judge.sign(file_key, lines)
    bench.accepts("the header that is damaged below", signed + payload, lock, b"text")
    refuses("the MAC of another key", judge.sign(os.urandom(16), lines))
    refuses("a stanza added after the MAC was made", signed[:15] + UNKNOWN.encode() + signed[15:])
    refuses("another version line", signed.replace(b"stream/v1", b"stream/v2", 1))
    refuses("lines that end in CR LF", signed.replace(b"\n", b"\r\n"))
    refuses("an empty line after the version", signed.replace(b"\n", b"\n\n", 1))
    refuses("no stanza", judge.sign(file_key, VERSION + b"\n"))
    refuses("a padded MAC", signed[:-1] + b"=\n")
    refuses("a MAC that is too short", signed[:-2] + b"\n")
    refuses("two spaces before the MAC", signed.replace(b"--- ", b"---  "))
    for length in (1, 14, 15, 40, len(signed) - 1):
        bench.refuses(f"header: only {length} bytes of a file", signed[:length], lock)
    bench.refuses("an empty file", b"", lock)

    odd = bytes([lines[-2] + 1]) + b"\n"  # an alphabet neighbour: sets bits that must be zero
    refuses_lines("base64 with bits left over", lines[:-2] + odd)
    refuses_lines("padded base64", lines[:-1] + b"=\n")
    refuses_lines("a body whose last line is missing", lines + b"-> x\n" + b"A" * 64 + b"\n")
    refuses_lines("a body line of 65 characters", lines + b"-> x\n" + b"A" * 65 + b"\n\n")
    refuses_lines("a body line of one character", lines + b"-> x\nA\n")
    refuses_lines("a short line inside a body", lines + b"-> x\nAAAA\nAAAA\n")
    refuses_lines("a carriage return after a body", lines[:-1] + b"\r\n")
    refuses_lines("a carriage return after the arguments", lines + b"-> x\r\n\n")
    refuses_lines("two spaces between arguments", lines + b"-> x  y\n\n")
    refuses_lines("a space at a line's end", lines + b"-> x \n\n")
    refuses_lines("no stanza type", lines + b"-> \n\n")
    refuses_lines("a byte above ASCII", lines + b"-> \xc3\xa9\n\n")

    refuses_stanzas("X25519 without a share", replace(good, args=("X25519",)))
    refuses_stanzas("X25519 with an argument too many", replace(good, args=(*good.args, "x")))
    shorter = Stanza(("X25519", judge.b64_encode(bytes(31))), good.body)
    refuses_stanzas("a share of 31 bytes", shorter)
    for length in (0, 16, 31, 33, 48):
        refuses_stanzas(f"a wrapped key of {length} bytes", good, replace(good, body=bytes(length)))
    weak = Stanza(("X25519", judge.b64_encode(bytes(32))), good.body)
    refuses_stanzas("a share of low order", weak)
    refuses_stanzas("two pads", good, pad, pad)
    refuses_stanzas("pad with a long argument", good, Stanza(("pad", "xxxxx")))
    refuses_stanzas("pad with two arguments", good, Stanza(("pad", "x", "x")))
    refuses_stanzas("1,025 stanzas", *[Stanza(("x",))] * MAX_STANZAS, good)
    refuses_stanzas("more than 1 MiB", Stanza(("x",), bytes(MAX_HEADER)), good)
    for key in (lock, secret):
        refuses_stanzas(f"passphrase beside X25519, {key.name}", password, good, key=key)
    refuses_stanzas("passphrase beside an unknown stanza", password, UNKNOWN, key=secret)
    refuses_stanzas("two passphrases", password, password, key=secret)
    kind, salt, *_, nonce = password.args
    for cost in ("065536 3 4", "65536 03 4", "65536 3 +4", "0x10000 3 4", "65536 0 4", "16 3 4"):
        malformed = Stanza((kind, salt, *cost.split(), nonce), password.body)
        refuses_stanzas(f"argon2id at {cost}", malformed, key=secret)
    shorter = Stanza((kind, judge.b64_encode(bytes(15)), *password.args[2:]), password.body)
    refuses_stanzas("argon2id with a salt of 15 bytes", shorter, key=secret)
    started = time.monotonic()
    for cost in ("2097153 1 4", "65536 17 4", "65536 3 17", "2097152 5 4", "4294967295 1 1"):
        costly = Stanza((kind, salt, *cost.split(), nonce), password.body)
        refuses_stanzas(f"argon2id at {cost}", costly, key=secret)
    with bench.check("costs beyond the limits are refused before any work"):
        expect(time.monotonic() - started < 10, "it took more than ten seconds")


# --- Other witnesses ------------------------------------------------------------


def check_the_specification(bench: Bench, page: Path) -> None:
    """The examples of docs/format.md are files that the program opens."""
    text = page.read_text(encoding="utf-8")

    def value(name: str) -> bytes:
        lines = re.findall(rf"^{name} +([0-9a-f ]+)$", text, re.MULTILINE)
        return bytes.fromhex(lines[0].replace(" ", ""))

    headers = re.findall(r"^```\n(cryptstream/v1\n.*?\n)```$", text, re.DOTALL | re.MULTILINE)
    payload = value("salt") + value("commitment") + value("chunk 0")
    secret = re.findall(r"AGE-SECRET-KEY-1\w+", text)[0]
    path = bench.directory / "specification.key"
    path.write_text(secret + "\n")
    path.chmod(0o600)
    locks: list[Lock] = [X25519.from_text(secret, ["-i", str(path)]), Passphrase("mykey")]
    for lock, header in zip(locks, headers, strict=True):
        sealed = header.encode() + payload
        bench.accepts(f"the specification's example, {lock.name}", sealed, lock, b"attack at dawn")
        with bench.check(f"the values of the specification's example, {lock.name}"):
            file_key = judge.unlock(judge.parse_header(sealed), lock)
            expect(file_key == value("file key"), "another file key")
            expect(judge.payload_key(file_key) == value("input key"), "another input key")
            expect(judge.open_payload(file_key, payload) == b"attack at dawn", "other bytes")


def check_exported_file_key(bench: Bench, exporter: Path, locks: Sequence[Lock]) -> None:
    for lock in locks:
        with bench.check(f"the library unwraps the file key that the judge does, {lock.name}"):
            sealed = bench.convert("encrypt", b"text", lock.seal_flags)
            (bench.directory / "sealed").write_bytes(sealed)
            if isinstance(lock, X25519):
                command: list[str | Path] = [exporter, "sealed", lock.open_flags[1]]
            else:
                command = ["env", f"TEST_PASSPHRASE={lock.text}", exporter, "sealed"]
            exported = bytes.fromhex(bench.run(*command).decode())
            expect(exported == judge.unlock(judge.parse_header(sealed), lock), "another file key")


def check_age(bench: Bench, age: str, lock: X25519) -> None:
    """age's own tool and the program exchange stanzas, each under its own header."""
    with bench.check("the program opens a stanza that age wrote"):
        written = bench.run(age, "-r", lock.recipient, stdin=b"text")
        header = judge.parse_header(written, AGE_VERSION)
        file_key = judge.unlock(header, lock, AGE_HEADER)
        lines = header.authenticated.removesuffix(b"---").replace(AGE_VERSION, VERSION, 1)
        sealed = judge.sign(file_key, lines) + judge.seal_payload(file_key, DATA[:100])
        expect(bench.convert("decrypt", sealed, lock.open_flags) == DATA[:100], "other bytes")
    with bench.check("age opens a stanza that the program wrote"):
        header = judge.parse_header(bench.convert("encrypt", b"text", lock.seal_flags))
        file_key = judge.unlock(header, lock)
        lines = header.authenticated.removesuffix(b"---").replace(VERSION, AGE_VERSION, 1)
        salt = os.urandom(16)
        key = HKDF(hashes.SHA256(), 32, salt, b"payload").derive(file_key)
        text = ChaCha20Poly1305(key).encrypt(bytes(11) + b"\1", DATA[:100], None)
        (bench.directory / "sealed.age").write_bytes(
            judge.sign(file_key, lines, AGE_HEADER) + salt + text
        )
        opened = bench.run(age, "-d", *lock.open_flags, "sealed.age")
        expect(opened == DATA[:100], "other bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge a cryptstream binary from outside.")
    parser.add_argument("program", type=Path)
    parser.add_argument("--exporter", type=Path, help="the test helper export_file_key")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        bench = Bench(arguments.program.resolve(strict=True), directory)
        identity = check_keygen(bench)
        other = new_identity(directory, "other.key")
        passphrase = Passphrase("correct horse – ba++ery stäple")
        locks: list[Lock] = [identity, passphrase]
        for lock in locks:
            check_what_the_program_writes(bench, lock)
            check_what_the_judge_writes(bench, lock, other)
            check_pipes(bench, lock)
            check_damaged_payloads(bench, lock)
        with bench.check("the program's own cost for a passphrase"):
            sealed = bench.convert("encrypt", b"text", ["--key", passphrase.text])
            expect(judge.open_file(sealed, passphrase) == b"text", "other bytes")
        check_wrong_keys(bench, locks, [other, Passphrase("correct horse")])
        check_bad_headers(bench, identity, passphrase)
        check_the_specification(bench, Path(__file__).parents[2] / "docs" / "format.md")
        if arguments.exporter:
            exporter = arguments.exporter.resolve(strict=True)
            check_exported_file_key(bench, exporter, locks)
        else:
            print("skipped: the exported file key (no --exporter was given)")
        if age := shutil.which("age"):
            check_age(bench, age, identity)
        else:
            print("skipped: the exchange of stanzas with age (the program `age` is not installed)")
    print(f"judge: {bench.passed} checks passed, {bench.failed} failed")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
