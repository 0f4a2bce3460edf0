"""A second implementation of the CryptStream file format, for judging the first.

Written from docs/format.md on the Python package `cryptography`, whose own
implementation of Cobblestone-256 seals and opens the payloads. None of the
project's code is used, so that a mistake shared by all of it is still found.
Everything is held in memory: this is for tests, not for use.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

VERSION = b"cryptstream/v1"
CHUNK, TAG, PREFIX = 16_384, 16, 56
MAX_HEADER, MAX_STANZAS = 1 << 20, 1024
END_LINE = 48  # bytes of the MAC line
COST = (65_536, 3, 4)  # KiB, passes, lanes: the least that may be written


class Refused(Exception):
    """A file, a text or a behaviour that the specification does not allow."""


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)


# --- Text encodings ---------------------------------------------------------


def b64_encode(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def b64_decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise Refused("not base64") from error
    expect(b64_encode(data) == text, "base64 is not canonical")
    return data


BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_polymod(hrp: str, digits: list[int]) -> int:
    state = 1
    for value in [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp] + digits:
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= term if top >> bit & 1 else 0
    return state


def bech32_encode(hrp: str, data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    digits = [int(bits[i : i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]
    checksum = bech32_polymod(hrp, digits + [0] * 6) ^ 1
    digits += [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return hrp + "1" + "".join(BECH32[digit] for digit in digits)


def bech32_decode(hrp: str, text: str) -> bytes:
    expect(text in (text.lower(), text.upper()), "Bech32 in mixed case")
    found, _, data = text.lower().rpartition("1")
    expect(found == hrp and all(c in BECH32 for c in data), f"not a key of kind {hrp}")
    digits = [BECH32.index(c) for c in data]
    expect(bech32_polymod(hrp, digits) == 1, "the Bech32 checksum is wrong")
    bits = "".join(f"{digit:05b}" for digit in digits[:-6])
    whole = len(bits) // 8 * 8
    expect(len(bits) - whole < 5 and "1" not in bits[whole:], "Bech32 with bits left over")
    return bytes(int(bits[i : i + 8], 2) for i in range(0, whole, 8))


# --- Header -----------------------------------------------------------------


@dataclass(frozen=True)
class Stanza:
    args: tuple[str, ...]
    body: bytes = b""

    @property
    def kind(self) -> str:
        return self.args[0]

    def encode(self) -> bytes:
        text = b64_encode(self.body)
        lines = [text[i : i + 64] for i in range(0, len(text) + 1, 64)]
        return "\n".join(["-> " + " ".join(self.args), *lines, ""]).encode()


@dataclass(frozen=True)
class Header:
    stanzas: list[Stanza]
    authenticated: bytes
    mac: bytes
    length: int


def parse_header(data: bytes, version: bytes = VERSION) -> Header:
    expect(data.startswith(version + b"\n"), "the version line is another")
    stanzas: list[Stanza] = []
    position = len(version) + 1

    def next_line() -> str:
        nonlocal position
        end = data.find(b"\n", position, MAX_HEADER)
        expect(end >= 0, "the header does not end")
        line, position = data[position:end], end + 1
        expect(all(0x20 <= byte <= 0x7E for byte in line), "a byte that no header may have")
        return line.decode("ascii")

    while True:
        start = position
        line = next_line()
        if line.startswith("---"):
            expect(len(line) == 47 and line[3] == " ", "the MAC line is malformed")
            expect(len(stanzas) > 0, "no stanza")
            check_stanzas(stanzas)
            return Header(stanzas, data[: start + 3], b64_decode(line[4:]), position)
        expect(line.startswith("-> ") and len(stanzas) < MAX_STANZAS, "not a stanza, or too many")
        args = tuple(line[3:].split(" "))
        expect(all(args), "an empty argument")
        body = b""
        while len(line := next_line()) == 64:
            body += b64_decode(line)
        expect(len(line) < 64, "a body line that is too long")
        stanzas.append(Stanza(args, body + b64_decode(line)))


def check_stanzas(stanzas: Sequence[Stanza]) -> None:
    kinds = [stanza.kind for stanza in stanzas]
    expect(kinds.count("pad") <= 1, "more than one pad")
    carriers = len(kinds) - kinds.count("pad")
    expect("argon2id" not in kinds or carriers == 1, "a passphrase beside another key")
    for kind, stanza in zip(kinds, stanzas):
        count = len(stanza.args)
        if kind == "pad":
            expect(count == 1 or count == 2 and len(stanza.args[1]) <= 4, "malformed pad")
        if kind in ("X25519", "argon2id"):
            expect(count == {"X25519": 2, "argon2id": 6}[kind], f"malformed {kind}")
            expect(len(stanza.body) == 32, "a wrapped key of another length")


def mac_of(file_key: bytes, authenticated: bytes, info: bytes = VERSION + b" header") -> bytes:
    mac = hmac.HMAC(hkdf(file_key, b"", info), hashes.SHA256())
    mac.update(authenticated)
    return mac.finalize()


def sign(file_key: bytes, lines: bytes, info: bytes = VERSION + b" header") -> bytes:
    lines += b"---"
    return lines + b" " + b64_encode(mac_of(file_key, lines, info)).encode() + b"\n"


def write_header(file_key: bytes, stanzas: Sequence[Stanza], align: int = 0) -> bytes:
    """With `align`, a pad stanza makes the header end at a multiple of it."""
    lines = VERSION + b"\n" + b"".join(stanza.encode() for stanza in stanzas)
    missing = -(len(lines) + END_LINE) % align if align else 0
    fitting = (
        lines + pad
        for size in range(max(0, missing * 48 // 65 - 16), align)
        for argument in ([], ["x"], ["xx"], ["xxx"], ["xxxx"])
        for pad in [Stanza(("pad", *argument), bytes(size)).encode()]
        if (len(lines + pad) + END_LINE) % align == 0
    )
    return sign(file_key, next(fitting) if align else lines)


# --- Stanza types -----------------------------------------------------------


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def wrap(wrap_key: bytes, file_key: bytes) -> bytes:
    return ChaCha20Poly1305(wrap_key).encrypt(bytes(12), file_key, None)


def unwrap(wrap_key: bytes, body: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(wrap_key).decrypt(bytes(12), body, None)
    except InvalidTag:
        return None


@dataclass(frozen=True)
class X25519:
    """An identity; the flags are what the program needs to seal for it and to open with it."""

    secret: X25519PrivateKey
    seal_flags: list[str] = field(default_factory=list)
    open_flags: list[str] = field(default_factory=list)
    name = "X25519"

    @classmethod
    def from_text(cls, text: str, open_flags: list[str]) -> X25519:
        secret = X25519PrivateKey.from_private_bytes(bech32_decode("age-secret-key-", text))
        return cls(secret, open_flags=open_flags)

    @property
    def public(self) -> bytes:
        return self.secret.public_key().public_bytes_raw()

    @property
    def recipient(self) -> str:
        return bech32_encode("age", self.public)

    @property
    def text(self) -> str:
        return bech32_encode("age-secret-key-", self.secret.private_bytes_raw()).upper()

    def wrap(self, file_key: bytes) -> Stanza:
        ephemeral = X25519(X25519PrivateKey.generate())
        shared = ephemeral.secret.exchange(self.secret.public_key())
        key = hkdf(shared, ephemeral.public + self.public, b"age-encryption.org/v1/X25519")
        return Stanza(("X25519", b64_encode(ephemeral.public)), wrap(key, file_key))

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.kind != "X25519":
            return None
        share = b64_decode(stanza.args[1])
        shared = self.secret.exchange(X25519PublicKey.from_public_bytes(share))
        key = hkdf(shared, share + self.public, b"age-encryption.org/v1/X25519")
        return unwrap(key, stanza.body)


@functools.cache
def argon2id(passphrase: str, salt: bytes, memory: int, passes: int, lanes: int) -> bytes:
    label = VERSION + b"/argon2id"
    kdf = Argon2id(salt=label + salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    return kdf.derive(passphrase.encode())


@dataclass(frozen=True)
class Passphrase:
    text: str
    salt: bytes = field(default_factory=lambda: os.urandom(16))
    name = "passphrase"

    @property
    def seal_flags(self) -> list[str]:
        return ["--key", self.text, "--argon2id", "64MiB"]

    @property
    def open_flags(self) -> list[str]:
        return ["--key", self.text]

    def wrap(self, file_key: bytes) -> Stanza:
        nonce = os.urandom(16)
        key = hkdf(argon2id(self.text, self.salt, *COST), nonce, VERSION + b" argon2id")
        numbers = [str(number) for number in COST]
        args = ("argon2id", b64_encode(self.salt), *numbers, b64_encode(nonce))
        return Stanza(args, wrap(key, file_key))

    def unwrap(self, stanza: Stanza) -> bytes | None:
        if stanza.kind != "argon2id":
            return None
        salt_text, *numbers, nonce_text = stanza.args[1:]
        expect(all(n.isdecimal() and n[0] != "0" for n in numbers), "malformed number")
        memory, passes, lanes = map(int, numbers)
        expect(memory <= 2 << 20 and passes <= 16 and lanes <= 16, "too costly")
        expect(memory * passes <= 8 << 20, "too costly")
        salt, nonce = map(b64_decode, (salt_text, nonce_text))
        expect(len(salt) == len(nonce) == 16, "SALT or NONCE is not 16 bytes long")
        base_key = argon2id(self.text, salt, memory, passes, lanes)
        return unwrap(hkdf(base_key, nonce, VERSION + b" argon2id"), stanza.body)


Lock = X25519 | Passphrase


def unlock(header: Header, lock: Lock, info: bytes = VERSION + b" header") -> bytes:
    file_keys = [key for key in map(lock.unwrap, header.stanzas) if key is not None]
    expect(len(file_keys) > 0, "no stanza opens")
    expect(mac_of(file_keys[0], header.authenticated, info) == header.mac, "the MAC is wrong")
    return file_keys[0]


# --- Payload ----------------------------------------------------------------


def payload_key(file_key: bytes) -> bytes:
    return hkdf(file_key, b"", VERSION + b" payload")


def seal_payload(file_key: bytes, plaintext: bytes) -> bytes:
    encryptor = Cobblestone256Encryptor(payload_key(file_key), VERSION)
    return encryptor.update(plaintext) + encryptor.finalize()


def open_payload(file_key: bytes, payload: bytes) -> bytes:
    decryptor = Cobblestone256Decryptor(payload_key(file_key), VERSION)
    return decryptor.update(payload) + decryptor.finalize()


def seal_chunks(file_key: bytes, chunks: Sequence[bytes]) -> bytes:
    """Chunks of any lengths under the right key and nonces: for payloads that break the rules."""
    salt = os.urandom(24)
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + VERSION
    okm = HKDFExpand(hashes.SHA512(), 76, info).derive(payload_key(file_key))
    key, base, commitment = AESGCM(okm[:32]), int.from_bytes(okm[32:44], "big"), okm[44:]
    sealed = [key.encrypt((base ^ k).to_bytes(12, "big"), c, None) for k, c in enumerate(chunks)]
    return salt + commitment + b"".join(sealed)


def split_payload(payload: bytes) -> list[bytes]:
    return [payload[i : i + CHUNK + TAG] for i in range(PREFIX, len(payload), CHUNK + TAG)]


def seal_file(plaintext: bytes, stanzas: Callable[[bytes], list[Stanza]], align: int = 0) -> bytes:
    file_key = os.urandom(16)
    return write_header(file_key, stanzas(file_key), align) + seal_payload(file_key, plaintext)


def open_file(data: bytes, lock: Lock) -> bytes:
    header = parse_header(data)
    return open_payload(unlock(header, lock), data[header.length :])
