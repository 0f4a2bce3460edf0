"""Encrypts files on all cores, and reads encrypted files in place.

>>> import cryptstream
>>> identity = cryptstream.Identity.generate()
>>> encrypted = cryptstream.encrypt_bytes(b"some text", recipients=identity.recipient)
>>> cryptstream.decrypt_bytes(encrypted, identities=identity)
b'some text'
"""

from ._api import (
    Inspection,
    Report,
    decrypt,
    decrypt_bytes,
    encrypt,
    encrypt_bytes,
    inspect,
    keygen,
    rekey,
    verify,
)
from ._errors import (
    Cancelled,
    CannotCreate,
    CannotOpen,
    Changed,
    CryptStreamError,
    Damaged,
    Exists,
    InternalError,
    InvalidKey,
    NotConfigured,
    NotEncrypted,
    NotFound,
    NotSupported,
    ReadWriteError,
    TryAgain,
    WrongKey,
)
from ._keys import Identity, Recipient
from ._layout import EncryptedLayout
from ._native import VERSION as __version__
from ._open import EncryptedReader, EncryptedWriter, open

__all__ = [
    "Cancelled",
    "CannotCreate",
    "CannotOpen",
    "Changed",
    "CryptStreamError",
    "Damaged",
    "EncryptedLayout",
    "EncryptedReader",
    "EncryptedWriter",
    "Exists",
    "Identity",
    "Inspection",
    "InternalError",
    "InvalidKey",
    "NotConfigured",
    "NotEncrypted",
    "NotFound",
    "NotSupported",
    "ReadWriteError",
    "Recipient",
    "Report",
    "TryAgain",
    "WrongKey",
    "__version__",
    "decrypt",
    "decrypt_bytes",
    "encrypt",
    "encrypt_bytes",
    "inspect",
    "keygen",
    "open",
    "rekey",
    "verify",
]
# Exceptions are told with the name that they are caught by.
for _class in list(globals().values()):
    if isinstance(_class, type) and issubclass(_class, CryptStreamError):
        _class.__module__ = __name__
del _class
