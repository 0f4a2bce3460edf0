"""Encrypts, decrypts, verifies and inspects files and bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, Union, cast

from . import _native
from ._keys import (
    Identities,
    Identity,
    PassphraseLike,
    Recipients,
    identity_list,
    passphrase_bytes,
    recipient_list,
)
from ._program import workers
from ._run import ProgressCallback, Reads, Writes, run

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: A path.
PathLike = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
#: A path, or a binary file object.
Source = Union[PathLike, IO[bytes]]
#: `native` is the fastest; `age` can be read by age, rage and pyrage.
Format = Literal["native", "age"]


@dataclass(frozen=True)
class Report:
    """What was done: the format, bytes of the input and the output, and how many worker
    processes took part. `method` says how a file was rekeyed."""

    format: Format
    bytes_in: int
    bytes_out: int
    armored: bool = False
    workers: int = 0
    method: str | None = None


@dataclass(frozen=True)
class Inspection:
    """What an encrypted file shows without a key. None of it is authenticated.

    `plaintext_size` is None if the length of the file is unknown or impossible.
    """

    format: Format
    armored: bool
    recipient_types: list[str]
    header_size: int
    size: int | None
    plaintext_size: int | None


def encrypt(
    src: Source,
    dst: Source,
    *,
    recipients: Recipients = (),
    passphrase: PassphraseLike = None,
    format: Format | None = None,
    armor: bool = False,
    processes: int | None = None,
    overwrite: bool = False,
    sync: bool = False,
    progress: ProgressCallback | None = None,
) -> Report:
    """Encrypts a file to recipients, or with a passphrase.

    `src` and `dst` are paths or binary file objects. A file at `dst` appears complete or not at
    all; `sync` also makes it durable. Without `format`, a path that ends in `.age` gets an age
    file and any other a native one. `processes` is the number of worker processes; 0 has the work
    done here. `progress` is called with the bytes that are done and the length of the input, or
    None if that is unknown; an exception of it ends the work.

    >>> import cryptstream, io
    >>> identity = cryptstream.Identity.generate()
    >>> encrypted = io.BytesIO()
    >>> report = cryptstream.encrypt(io.BytesIO(b"some text"), encrypted, recipients=identity)
    >>> report.bytes_in
    9
    """
    keys = _recipients(recipients, passphrase)
    name = format if format is not None else _format_of(dst, armor)
    source, reads = _source(src)
    target, writes = _target(dst)
    operation = _native.start_encrypt(
        source,
        target,
        *keys,
        _checked_format(name, armor),
        bool(armor),
        bool(overwrite),
        bool(sync),
        workers(processes),
    )
    done = run(operation, source=reads, sink=writes, progress=_callback(progress))
    return Report(**done)


def decrypt(
    src: Source,
    dst: Source,
    *,
    identities: Identities = (),
    passphrase: PassphraseLike = None,
    processes: int | None = None,
    overwrite: bool = False,
    sync: bool = False,
    progress: ProgressCallback | None = None,
) -> Report:
    """Decrypts a file.

    A file at `dst` appears when everything in it is verified. A file object gets each part as
    soon as that part is verified; if an exception follows, what it has got is only a beginning.

    >>> import cryptstream, io
    >>> identity = cryptstream.Identity.generate()
    >>> encrypted = cryptstream.encrypt_bytes(b"some text", recipients=identity)
    >>> text = io.BytesIO()
    >>> cryptstream.decrypt(io.BytesIO(encrypted), text, identities=identity).format
    'native'
    >>> text.getvalue()
    b'some text'
    """
    keys = _identities(identities, passphrase)
    source, reads = _source(src)
    target, writes = _target(dst)
    operation = _native.start_decrypt(
        source, target, *keys, bool(overwrite), bool(sync), workers(processes)
    )
    done = run(operation, source=reads, sink=writes, progress=_callback(progress))
    return Report(**done)


def verify(
    src: Source,
    *,
    identities: Identities = (),
    passphrase: PassphraseLike = None,
    processes: int | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Decrypts all of a file and writes nothing.

    >>> import cryptstream, io
    >>> identity = cryptstream.Identity.generate()
    >>> encrypted = cryptstream.encrypt_bytes(b"some text", recipients=identity)
    >>> cryptstream.verify(io.BytesIO(encrypted), identities=identity).bytes_out
    9
    >>> cryptstream.verify(io.BytesIO(encrypted[:-1]), identities=identity)
    Traceback (most recent call last):
    ...
    cryptstream.Damaged: ...
    """
    keys = _identities(identities, passphrase)
    source, reads = _source(src)
    operation = _native.start_verify(source, *keys, workers(processes))
    return Report(**run(operation, source=reads, progress=_callback(progress)))


def inspect(src: Source) -> Inspection:
    """Reads the header of a file, without a key.

    >>> import cryptstream, io
    >>> encrypted = cryptstream.encrypt_bytes(b"text", recipients=cryptstream.Identity.generate())
    >>> cryptstream.inspect(io.BytesIO(encrypted)).recipient_types
    ['X25519']
    """
    source, reads = _source(src)
    return Inspection(**run(_native.start_inspect(source), source=reads))


def rekey(
    path: PathLike,
    *,
    identities: Identities = (),
    passphrase: PassphraseLike = None,
    recipients: Recipients = (),
    new_passphrase: PassphraseLike = None,
    reencrypt: bool = False,
    progress: ProgressCallback | None = None,
) -> Report:
    """Changes who can decrypt a file. Only its header is replaced.

    Whoever could decrypt the file before and has kept its file key still can, unless `reencrypt`
    has the content encrypted again.
    """
    keys = _identities(identities, passphrase)
    new_keys = _recipients(recipients, new_passphrase, "new_passphrase")
    operation = _native.start_rekey(
        _path("path", path), keys[0], keys[1], *new_keys, bool(reencrypt)
    )
    return Report(**run(operation, progress=_callback(progress)))


def keygen(path: PathLike | None = None, *, post_quantum: bool = False) -> Identity:
    """Generates an identity, and writes it to a new file that only you can read.

    >>> import cryptstream
    >>> str(cryptstream.keygen().recipient).startswith("age1")
    True
    """
    identity = Identity.generate(post_quantum=post_quantum)
    if path is not None:
        name = _path("path", path)
        from ._errors import Exists

        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            message = f"{name}: exists, and an identity file is never overwritten"
            raise Exists(message, path=name, errno=error.errno) from None
        try:
            with open(fd, "wb") as file:
                file.write(identity.expose().encode())
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            os.unlink(name)
            raise
    return identity


def encrypt_bytes(
    data: Buffer,
    *,
    recipients: Recipients = (),
    passphrase: PassphraseLike = None,
    format: Format = "native",
    armor: bool = False,
) -> bytes:
    """Encrypts bytes, or anything with the buffer protocol.

    >>> import cryptstream
    >>> identity = cryptstream.Identity.generate()
    >>> encrypted = cryptstream.encrypt_bytes(b"some text", recipients=[identity.recipient])
    >>> cryptstream.decrypt_bytes(encrypted, identities=[identity])
    b'some text'
    """
    keys = _recipients(recipients, passphrase)
    plain = _bytes(data)
    name = "age" if armor and format == "native" else format
    operation = _native.start_encryption(len(plain), _checked_format(name, armor), *keys)
    encrypted = cast(_native.Encryption, run(operation)).write(plain)
    return _native.armor(encrypted) if armor else encrypted


def decrypt_bytes(
    data: Buffer,
    *,
    identities: Identities = (),
    passphrase: PassphraseLike = None,
) -> bytes:
    """Decrypts bytes. Armor is recognized.

    >>> import cryptstream
    >>> encrypted = cryptstream.encrypt_bytes(b"text", passphrase="correct horse battery")
    >>> cryptstream.decrypt_bytes(encrypted, passphrase="wrong")
    Traceback (most recent call last):
    ...
    cryptstream.WrongKey: ...
    """
    keys = _identities(identities, passphrase)
    encrypted = _bytes(data)
    inside = _native.unarmor(encrypted)
    if inside is not None:
        encrypted = inside
    # The header is there, so more of it is never needed.
    operation = _native.start_layout(encrypted[:_HEAD], len(encrypted), *keys, "the data")
    layout = run(operation)
    if layout is None:
        operation = _native.start_layout(encrypted, len(encrypted), *keys, "the data")
        layout = run(operation)
    size = layout.plaintext_size
    start, stop = layout.encrypted_range(0, size)
    return cast(bytes, layout.decrypt(0, size, encrypted[start:stop]))


#: Bytes that nearly every header fits into.
_HEAD = 16 << 10


def _recipients(
    recipients: Recipients, passphrase: object, name: str = "passphrase"
) -> tuple[list[_native.Recipient], list[_native.Identity], bytes | None]:
    found, owners = recipient_list(recipients)
    secret = passphrase_bytes(name, passphrase)
    if not found and not owners and secret is None:
        raise ValueError(f"recipients: give at least one, or a {name}")
    return found, owners, secret


def _identities(
    identities: Identities, passphrase: object
) -> tuple[list[_native.Identity], bytes | None]:
    found, secret = identity_list(identities), passphrase_bytes("passphrase", passphrase)
    if not found and secret is None:
        raise ValueError("identities: give at least one, or a passphrase")
    return found, secret


def _source(src: object) -> tuple[str | _native.InputPipe, Reads | None]:
    if _is_path(src):
        return _path("src", src), None
    if not callable(getattr(src, "read", None)):
        raise TypeError(
            f"src: must be a path or a binary file object, not {type(src).__name__}"
        )
    _check_open(src, "src")
    reads = Reads(cast("IO[bytes]", src), "src")
    return reads.pipe, reads


def _target(dst: object) -> tuple[str | _native.OutputPipe, Writes | None]:
    if _is_path(dst):
        return _path("dst", dst), None
    if not callable(getattr(dst, "write", None)):
        raise TypeError(
            f"dst: must be a path or a binary file object, not {type(dst).__name__}"
        )
    _check_open(dst, "dst")
    writes = Writes(cast("IO[bytes]", dst), "dst")
    return writes.pipe, writes


def _check_open(file: object, name: str) -> None:
    import io

    if getattr(file, "closed", False):
        raise ValueError(f"{name}: the file is closed")
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{name}: must be opened in binary mode, as in open(path, 'rb')")


def _is_path(value: object) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def _path(name: str, value: object) -> str:
    if not _is_path(value):
        raise TypeError(f"{name}: must be a path, not {type(value).__name__}")
    path = os.fsdecode(cast(Any, value))
    if "\0" in path:
        raise ValueError(f"{name}: contains a null byte")
    if _is_url(path):
        from ._errors import NotSupported

        raise NotSupported(
            f"{name}: objects of stores are read and written through fsspec, or by the program"
        )
    return path


def _is_url(path: str) -> bool:
    return path.startswith(("s3://", "https://", "http://"))


def _bytes(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        raise TypeError("data: must be bytes, not str")
    try:
        view = memoryview(cast(Any, data))
    except TypeError:
        raise TypeError(f"data: must be bytes, not {type(data).__name__}") from None
    # A copy, since another thread could change it while it is encrypted.
    return view.tobytes()


def _format_of(dst: object, armor: bool) -> Format:
    is_age = armor or (_is_path(dst) and _path("dst", dst).endswith(".age"))
    return "age" if is_age else "native"


def _checked_format(format: object, armor: bool) -> str:
    if format not in ("native", "age"):
        raise ValueError("format: must be 'native' or 'age'")
    if armor and format != "age":
        raise ValueError("armor: is for age files only")
    return format


def _callback(progress: object) -> ProgressCallback | None:
    if progress is not None and not callable(progress):
        raise TypeError("progress: must be callable")
    return cast("Callable[[int, Union[int, None]], object] | None", progress)
