#!/usr/bin/env python3
"""Opens what cryptstream encrypts to keys in hardware, as their plugins would.

    python tagged.py target/release/cryptstream

Keys are made here, and HPKE (RFC 9180; for the hybrid ML-KEM-768 with P-256, as
draft-ietf-hpke-pq has it) is written out on the package `cryptography`, so that nothing is
shared with the program. The content is opened with the file key by `age`'s rules.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
P256_LEN, MLKEM_CIPHERTEXT_LEN = 65, 1088
PLAIN = b"for whoever holds the token\n" * 5000


def bech32(prefix: str, data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    digits = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]

    def checksum(values: list[int]) -> int:
        state = 1
        for value in values:
            top = state >> 25
            state = (state & 0x1FFFFFF) << 5 ^ value
            for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                state ^= generator if top >> bit & 1 else 0
        return state

    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    rest = checksum(expanded + digits + [0] * 6) ^ 1
    digits += [rest >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(ALPHABET[digit] for digit in digits)


def extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    out = block = b""
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


def labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def hpke_open(kem: int, secret: bytes, info: bytes, sealed: bytes) -> bytes:
    """Base mode, HKDF-SHA256, ChaCha20-Poly1305, one message."""
    suite = b"HPKE" + kem.to_bytes(2, "big") + b"\0\1\0\3"
    context = b"\0" + labeled_extract(suite, b"", b"psk_id_hash", b"")
    context += labeled_extract(suite, b"", b"info_hash", info)
    schedule = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, schedule, b"key", context, 32)
    nonce = labeled_expand(suite, schedule, b"base_nonce", context, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, b"")


def point(key: ec.EllipticCurvePublicKey, is_compressed: bool) -> bytes:
    form = PublicFormat.CompressedPoint if is_compressed else PublicFormat.UncompressedPoint
    return key.public_bytes(Encoding.X962, form)


def shared(key: ec.EllipticCurvePrivateKey, theirs: bytes) -> bytes:
    return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))


class Tag:
    """A key of P-256."""

    stanza, hrp = "p256tag", "age1tag"

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.recipient = bech32(self.hrp, point(self.key.public_key(), True))
        self.tagged = point(self.key.public_key(), True)

    def unwrap(self, encapsulated: bytes, sealed: bytes) -> bytes:
        suite = b"KEM\0\x10"
        prk = labeled_extract(suite, b"", b"eae_prk", shared(self.key, encapsulated))
        context = encapsulated + point(self.key.public_key(), False)
        secret = labeled_expand(suite, prk, b"shared_secret", context, 32)
        return hpke_open(0x0010, secret, b"age-encryption.org/p256tag", sealed)


class HybridTag:
    """A key of ML-KEM-768 and one of P-256."""

    stanza, hrp = "mlkem768p256tag", "age1tagpq"

    def __init__(self) -> None:
        self.lattice = MLKEM768PrivateKey.generate()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.tagged = point(self.key.public_key(), False)
        self.recipient = bech32(self.hrp, self.lattice.public_key().public_bytes_raw() + self.tagged)

    def unwrap(self, encapsulated: bytes, sealed: bytes) -> bytes:
        lattice, curve = encapsulated[:MLKEM_CIPHERTEXT_LEN], encapsulated[MLKEM_CIPHERTEXT_LEN:]
        parts = self.lattice.decapsulate(lattice), shared(self.key, curve), curve, self.tagged
        secret = hashlib.sha3_256(b"".join(parts) + b"MLKEM768-P256").digest()
        return hpke_open(0x0050, secret, b"age-encryption.org/mlkem768p256tag", sealed)


def decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def open_age(sealed: bytes, key: Tag | HybridTag) -> bytes:
    """The content of a file of less than some chunks, for this key alone."""
    end = sealed.index(b"\n---") + 1
    lines = sealed[:end].decode().splitlines()
    stanza, tag, encapsulated = lines[1].removeprefix("-> ").split(" ")
    assert stanza == key.stanza, f"the stanza is {stanza}"
    info = f"age-encryption.org/{stanza}".encode()
    hashed = hashlib.sha256(key.tagged).digest()[:4]
    assert decoded(tag) == extract(info, decoded(encapsulated) + hashed)[:4], "another tag"
    file_key = key.unwrap(decoded(encapsulated), decoded("".join(lines[2:])))
    payload = sealed[sealed.index(b"\n", end) + 1 :]
    derived = HKDF(hashes.SHA256(), 32, payload[:16], b"payload").derive(file_key)
    cipher, content = ChaCha20Poly1305(derived), b""
    chunks = [payload[at : at + 65_552] for at in range(16, len(payload), 65_552)]
    for number, chunk in enumerate(chunks):
        is_last = number == len(chunks) - 1
        content += cipher.decrypt(number.to_bytes(11, "big") + bytes([is_last]), chunk, b"")
    return content


def main() -> int:
    program, checks = Path(sys.argv[1]).resolve(strict=True), 0
    with tempfile.TemporaryDirectory() as name:
        plain, sealed = Path(name, "plain"), Path(name, "sealed.age")
        plain.write_bytes(PLAIN)

        def encrypt(*recipients: str) -> subprocess.CompletedProcess[str]:
            flags = [word for recipient in recipients for word in ("-r", recipient)]
            command = [program, "encrypt", "--force", plain, sealed, *flags]
            # No plugin is to be found.
            return subprocess.run(command, env={"PATH": name}, text=True, capture_output=True, check=False)

        for key in [Tag(), HybridTag()] * 5:
            done = encrypt(key.recipient)
            assert done.returncode == 0, done.stderr
            assert open_age(sealed.read_bytes(), key) == PLAIN, "another content"
            checks += 1
        # What withstands quantum computers is not undone by what does not.
        mixed = encrypt(HybridTag().recipient, Tag().recipient)
        assert mixed.returncode == 64 and "quantum" in mixed.stderr, mixed
        assert encrypt(HybridTag().recipient, HybridTag().recipient).returncode == 0
    print(f"tagged recipients: {checks + 2} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
