"""The exceptions. Each class has the exit status that the program `cryptstream` has for it."""

from __future__ import annotations

from typing import ClassVar


class CryptStreamError(Exception):
    """Something went wrong. There is no output, or the output is as it was.

    `code` is the exit status that the program has in this case, and `path` the file that it is
    about, if there is one.
    """

    code: ClassVar[int] = 70
    path: str | None

    def __init__(
        self, message: str = "", *, path: str | None = None, errno: int | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        if isinstance(self, OSError):
            setattr(self, "errno", errno)


class InvalidKey(CryptStreamError, ValueError):
    """The text is not a recipient, an identity or a passphrase, or cannot be used (64)."""

    code = 64


class NotSupported(CryptStreamError):
    """This file cannot be used like this, such as an armored one that is to be sought in (64)."""

    code = 64


class Damaged(CryptStreamError):
    """The file is damaged or was altered (65)."""

    code = 65


class NotEncrypted(Damaged):
    """The file is not an encrypted one (65)."""


class CannotOpen(CryptStreamError, OSError):
    """The input cannot be opened (66)."""

    code = 66


class NotFound(CannotOpen, FileNotFoundError):
    """There is no such input (66)."""


class CannotCreate(CryptStreamError, OSError):
    """The output cannot be created (73)."""

    code = 73


class Exists(CannotCreate, FileExistsError):
    """The output exists, and may not be overwritten (73)."""


class ReadWriteError(CryptStreamError, OSError):
    """Reading or writing failed, as on a full disk (74)."""

    code = 74


class TryAgain(CryptStreamError):
    """It may succeed at another time, such as when there is more memory (75)."""

    code = 75


class Changed(TryAgain):
    """The input was changed while it was read (75)."""


class Cancelled(TryAgain):
    """The input was given up before its end (75)."""


class WrongKey(CryptStreamError):
    """No key fits, or a key cannot be used (77)."""

    code = 77


class NotConfigured(CryptStreamError):
    """A setting is missing or wrong (78)."""

    code = 78


class InternalError(CryptStreamError):
    """A bug, or a system without random numbers (70)."""
