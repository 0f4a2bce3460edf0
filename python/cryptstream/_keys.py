"""Identities, recipients and passphrases."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias, Union

from . import _native

#: How a key reaches a user: called with a question, returns the answer, or None for none.
Ask = Callable[[str], Union[str, None]]
#: Text, or bytes, which are taken as they are.
PassphraseLike: TypeAlias = Union[str, bytes, None]


class Recipient:
    """Whom a file is encrypted to: an age public key, an SSH one, or one of a plugin.

    >>> from cryptstream import Identity, Recipient
    >>> text = str(Identity.generate().recipient)
    >>> text.startswith("age1"), Recipient(text) == Recipient(text)
    (True, True)
    """

    __slots__ = ("_key",)
    _key: _native.Recipient

    def __init__(self, text: str) -> None:
        self._key = _native.Recipient(checked("text", text, str))

    @classmethod
    def _of(cls, native: _native.Recipient) -> Recipient:
        made = cls.__new__(cls)
        made._key = native
        return made

    @classmethod
    def from_file(cls, path: str | bytes | os.PathLike[str]) -> list[Recipient]:
        """The recipients of a file: one a line, with blank lines and `#` comments.

        SSH keys of kinds that cannot be encrypted to are left out, as age does.
        """
        content, name = _content(path)
        return [cls._of(native) for native in _native.Recipient.parse(content, name)[0]]

    def __str__(self) -> str:
        return str(self._key)

    def __repr__(self) -> str:
        return f"Recipient({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipient) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[type[Recipient], tuple[str]]:
        return (Recipient, (str(self),))


class Identity:
    """What a file is decrypted with: the text of an identity, or of a whole identity file.

    It is never printed: `expose()` returns the secret text.

    >>> from cryptstream import Identity
    >>> identity = Identity.generate()
    >>> identity
    <cryptstream.Identity>
    >>> Identity(identity.expose()).recipient == identity.recipient
    True
    """

    __slots__ = ("_key",)
    _key: _native.Identity

    def __init__(
        self, text: str, *, passphrase: PassphraseLike = None, ask: Ask | None = None
    ) -> None:
        content = checked("text", text, str).encode()
        self._key = _parse(content, "identity", passphrase, ask)

    @classmethod
    def from_file(
        cls,
        path: str | bytes | os.PathLike[str],
        *,
        passphrase: PassphraseLike = None,
        ask: Ask | None = None,
    ) -> Identity:
        """The identities of a file: one that keygen writes, or a private SSH key.

        If the file is protected, it is decrypted with `passphrase`, or `ask` is called with a
        question when an identity is needed. A plugin asks by it as well.
        """
        content, name = _content(path)
        return cls._of(_parse(content, name, passphrase, ask))

    @classmethod
    def from_env(cls, name: str) -> Identity:
        """The identity in an environment variable."""
        text = os.environ.get(checked("name", name, str))
        if text is None:
            raise KeyError(f"there is no environment variable {name}")
        return cls._of(_parse(os.fsencode(text), name, None, None))

    @classmethod
    def generate(cls, *, post_quantum: bool = False) -> Identity:
        """A new identity, from the system's random numbers."""
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls._of(_native.Identity.generate(bool(post_quantum), created))

    @classmethod
    def _of(cls, native: _native.Identity) -> Identity:
        made = cls.__new__(cls)
        made._key = native
        return made

    @property
    def recipients(self) -> list[Recipient]:
        """The recipients that it decrypts for."""
        return [Recipient._of(native) for native in self._key.recipients()]

    @property
    def recipient(self) -> Recipient:
        """The first of them."""
        return self.recipients[0]

    def expose(self) -> str:
        """The secret text. Python cannot erase it from memory."""
        return self._key.expose()

    def __repr__(self) -> str:
        return "<cryptstream.Identity>"


RecipientLike: TypeAlias = Union[str, Recipient, Identity]
IdentityLike: TypeAlias = Union[str, Identity]
Recipients: TypeAlias = Union[RecipientLike, Iterable[RecipientLike]]
Identities: TypeAlias = Union[IdentityLike, Iterable[IdentityLike]]


def _parse(
    content: bytes, name: str, passphrase: PassphraseLike, ask: Ask | None
) -> _native.Identity:
    if ask is not None and not callable(ask):
        raise TypeError("ask: must be callable")
    return _native.Identity.parse(content, name, passphrase_bytes("passphrase", passphrase), ask)


def _content(path: str | bytes | os.PathLike[str]) -> tuple[bytes, str]:
    name = os.fsdecode(path)
    with open(name, "rb") as file:
        return file.read(), name


def recipient_list(
    recipients: Recipients,
) -> tuple[list[_native.Recipient], list[_native.Identity]]:
    """The recipients, and the identities whose recipients are meant."""
    found: list[_native.Recipient] = []
    owners: list[_native.Identity] = []
    for one in _each(recipients):
        if isinstance(one, str):
            found.append(_native.Recipient(one))
        elif isinstance(one, Recipient):
            found.append(one._key)
        elif isinstance(one, Identity):
            owners.append(one._key)
        else:
            raise TypeError(
                f"recipients: must be text, Recipient or Identity, not {type(one).__name__}"
            )
    return found, owners


def identity_list(identities: Identities) -> list[_native.Identity]:
    """The identities."""
    found: list[_native.Identity] = []
    for one in _each(identities, "identities"):
        if isinstance(one, str):
            found.append(_parse(one.encode(), "identity", None, None))
        elif isinstance(one, Identity):
            found.append(one._key)
        else:
            raise TypeError(f"identities: must be text or Identity, not {type(one).__name__}")
    return found


def _each(value: object, name: str = "recipients") -> Iterable[object]:
    if isinstance(value, (str, Recipient, Identity)):
        return [value]
    if isinstance(value, (bytes, bytearray)) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: must be a key or a list of keys, not {type(value).__name__}")
    return value


def passphrase_bytes(name: str, passphrase: object) -> bytes | None:
    """The bytes of a passphrase."""
    if passphrase is None or isinstance(passphrase, bytes):
        return passphrase
    if isinstance(passphrase, str):
        return passphrase.encode()
    raise TypeError(f"{name}: must be str, bytes or None, not {type(passphrase).__name__}")


def checked(name: str, value: object, kind: type[str]) -> str:
    """The value, if it is of this type."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: must be {kind.__name__}, not {type(value).__name__}")
    return value
