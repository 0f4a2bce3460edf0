"""Where the chunks of an encrypted file are, for those who fetch its bytes themselves."""

from __future__ import annotations

from . import _api, _native
from ._keys import Identities, PassphraseLike
from ._run import run


class EncryptedLayout:
    """Where the chunks of an encrypted file are, and the key to open them.

    >>> import cryptstream
    >>> identity = cryptstream.Identity.generate()
    >>> file = cryptstream.encrypt_bytes(bytes(100_000), recipients=identity)
    >>> layout = cryptstream.EncryptedLayout.parse(file[:4096], len(file), identities=identity)
    >>> start, stop = layout.encrypted_range(50_000, 50_010)
    >>> layout.decrypt(50_000, 50_010, file[start:stop])
    b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
    """

    __slots__ = ("_native",)

    def __init__(self, native: _native.EncryptedLayout) -> None:
        self._native = native

    @classmethod
    def parse(
        cls,
        head: bytes,
        size: int,
        *,
        identities: Identities = (),
        passphrase: PassphraseLike = None,
        name: str = "the file",
    ) -> EncryptedLayout | None:
        """Unlocks a file of `size` bytes that begins with `head`.

        Returns None if more of the file is needed: try again with twice as much.
        """
        keys = _api._identities(identities, passphrase)
        native = run(_native.start_layout(_api._bytes(head), size, *keys, name))
        return None if native is None else cls(native)

    @property
    def plaintext_size(self) -> int:
        """The length of the plaintext. It is verified once the final chunk is decrypted."""
        return self._native.plaintext_size

    def final_range(self) -> tuple[int, int]:
        """The range of the plaintext that is in the final chunk. It may be empty."""
        return self._native.final_range()

    def encrypted_range(self, start: int, stop: int) -> tuple[int, int]:
        """The bytes of the encrypted file that hold plaintext[start:stop].

        For an empty range, those of the final chunk.
        """
        return self._native.encrypted_range(start, stop)

    def decrypt(self, start: int, stop: int, data: bytes) -> bytes:
        """plaintext[start:stop], from what the file has in the encrypted range.

        For an empty range, it verifies the final chunk, and with it the length.
        """
        return self._native.decrypt(start, stop, _api._bytes(data))
