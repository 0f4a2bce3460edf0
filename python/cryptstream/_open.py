"""Encrypted files as file objects."""

from __future__ import annotations

import errno
import io
import os
import threading
from typing import IO, Any, Literal, Protocol, cast, overload

from . import _api, _native
from ._api import Format, Source
from ._errors import CannotCreate, Exists, NotSupported
from ._keys import Identities, PassphraseLike, Recipients
from ._program import workers
from ._run import closed_pipe, read_some, run, started

#: Bytes that a reader decrypts at once by default, and a writer collects.
BUFFER_SIZE = 256 << 10
#: Bytes that the first request for a file object's header asks for.
_HEAD = 16 << 10


class _ReadsAt(Protocol):
    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, len: int) -> bytes: ...


@overload
def open(
    file: Source,
    mode: Literal["rb"] = "rb",
    *,
    identities: Identities = (),
    passphrase: PassphraseLike = None,
    buffering: int = BUFFER_SIZE,
) -> io.BufferedReader: ...
@overload
def open(
    file: Source,
    mode: Literal["wb", "xb"],
    *,
    recipients: Recipients = (),
    passphrase: PassphraseLike = None,
    format: Format | None = None,
    processes: int | None = None,
    sync: bool = False,
    buffering: int = BUFFER_SIZE,
) -> EncryptedWriter: ...
@overload
def open(
    file: Source,
    mode: str = "rb",
    *,
    identities: Identities = (),
    recipients: Recipients = (),
    passphrase: PassphraseLike = None,
    format: Format | None = None,
    processes: int | None = None,
    sync: bool = False,
    buffering: int = BUFFER_SIZE,
) -> io.BufferedReader | EncryptedWriter: ...
def open(
    file: Source,
    mode: str = "rb",
    *,
    identities: Identities = (),
    recipients: Recipients = (),
    passphrase: PassphraseLike = None,
    format: Format | None = None,
    processes: int | None = None,
    sync: bool = False,
    buffering: int = BUFFER_SIZE,
) -> io.BufferedReader | EncryptedWriter:
    """Opens an encrypted file to read or to write its plaintext.

    With mode `rb`, `file` is a path or a binary file object that can seek. The result seeks, and
    reads only the chunks that it needs; every byte is verified before it is returned. With `wb`
    and `xb`, `file` is a path. The file appears under it when it is closed without an exception;
    `wb` replaces a file that is there, and `xb` refuses to.

    For text, wrap a reader: `io.TextIOWrapper(cryptstream.open(path, identities=i))`.

    >>> import cryptstream, os, tempfile
    >>> identity = cryptstream.Identity.generate()
    >>> path = os.path.join(tempfile.mkdtemp(), "a.enc")
    >>> with cryptstream.open(path, "wb", recipients=identity) as file:
    ...     file.write(b"some text")
    9
    >>> with cryptstream.open(path, identities=identity) as file:
    ...     file.seek(5), file.read()
    (5, b'text')
    """
    if not isinstance(mode, str):
        raise TypeError(f"mode: must be str, not {type(mode).__name__}")
    if isinstance(buffering, bool) or not isinstance(buffering, int):
        raise TypeError(f"buffering: must be int, not {type(buffering).__name__}")
    if buffering < 1:
        raise ValueError("buffering: must be the size of a buffer in bytes")
    if mode in ("rb", "br"):
        return io.BufferedReader(_reader(file, identities, passphrase), buffering)
    if mode in ("wb", "bw", "xb", "bx"):
        raw = _RawWriter(file, recipients, passphrase, format, processes, "w" in mode, sync)
        return EncryptedWriter(raw, buffering)
    if mode in ("r", "rt", "w", "wt", "x", "xt"):
        raise ValueError(
            "mode: files are opened in binary mode ('rb', 'wb' or 'xb'); "
            "io.TextIOWrapper makes text of a reader"
        )
    raise ValueError("mode: must be 'rb', 'wb' or 'xb'")


class EncryptedReader(io.RawIOBase):
    """The plaintext of an encrypted file: reads and seeks."""

    def __init__(self, reader: _ReadsAt, name: str) -> None:
        self._reader = reader
        self._position = 0
        self._lock = threading.Lock()
        self.name = name
        self.mode = "rb"

    @property
    def size(self) -> int:
        """The length of the plaintext in bytes. It is verified."""
        return self._reader.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check()
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if start is None:
            raise ValueError(f"whence: must be 0, 1 or 2, not {whence}")
        if start + offset < 0:
            raise ValueError(f"offset: position {start + offset} is before the file")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._check()
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        self._check()
        return self.readall() if size is None or size < 0 else self._read(size)

    def readall(self) -> bytes:
        self._check()
        return self._read(max(self.size - self._position, 0))

    def _read(self, size: int) -> bytes:
        data = self._reader.read_at(self._position, min(size, self.size))
        self._position += len(data)
        return data

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def __reduce__(self) -> Any:
        raise TypeError("an open file cannot be pickled; open it again in the other process")


class _ObjectReader:
    """Reads the chunks that are needed from a file object."""

    def __init__(
        self,
        file: IO[bytes],
        keys: tuple[list[_native.Identity], bytes | None],
    ) -> None:
        self._file = file
        self._lock = threading.Lock()
        length = file.seek(0, io.SEEK_END)
        if isinstance(length, bool) or not isinstance(length, int):
            raise TypeError(f"file: seek() must return int, not {type(length).__name__}")
        name = getattr(file, "name", None)
        name = name if isinstance(name, str) else f"<{type(file).__name__}>"
        wanted = _HEAD
        while True:
            head = self._fetch(0, min(wanted, length))
            layout = run(_native.start_layout(head, length, *keys, name))
            if layout is not None:
                break
            wanted *= 2
        self._layout: _native.EncryptedLayout = layout
        self.size = layout.plaintext_size
        # The length proves nothing; the final chunk does.
        layout.decrypt(0, 0, self._fetch(*layout.encrypted_range(0, 0)))

    def read_at(self, offset: int, len: int) -> bytes:
        start, stop = min(offset, self.size), min(offset + len, self.size)
        if start == stop:
            return b""
        return self._layout.decrypt(
            start, stop, self._fetch(*self._layout.encrypted_range(start, stop))
        )

    def _fetch(self, start: int, stop: int) -> bytes:
        with self._lock:
            if self._file.closed:
                raise ValueError("file: it was closed")
            self._file.seek(start)
            parts = []
            left = stop - start
            while left > 0:
                part = read_some(self._file, left, "file")
                if not part:
                    break
                parts.append(part)
                left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _reader(file: object, identities: Identities, passphrase: object) -> EncryptedReader:
    keys = _api._identities(identities, passphrase)
    reader: _ReadsAt
    if _api._is_path(file):
        path = _api._path("file", file)
        reader = run(_native.start_open(path, *keys))
        return EncryptedReader(reader, path)
    if not callable(getattr(file, "read", None)) or not callable(getattr(file, "seek", None)):
        raise TypeError(
            f"file: must be a path or a binary file object that can seek, "
            f"not {type(file).__name__}"
        )
    _api._check_open(file, "file")
    source = cast("IO[bytes]", file)
    if callable(getattr(source, "seekable", None)) and not source.seekable():
        raise NotSupported("file: cannot seek; decrypt() reads it from front to back")
    return EncryptedReader(_ObjectReader(source, keys), getattr(source, "name", "") or "")


def _check_target(path: str, overwrite: bool) -> None:
    """Refuses at once what would fail when the file is closed."""
    if not overwrite and os.path.lexists(path):
        raise Exists(f"{path}: already exists", path=path, errno=errno.EEXIST)
    if os.path.isdir(path):
        raise CannotCreate(f"{path}: is a folder", path=path, errno=errno.EISDIR)
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise CannotCreate(f"{path}: its folder is missing", path=path, errno=errno.ENOENT)


class _RawWriter(io.RawIOBase):
    """Writes a plaintext through a pipe to an operation."""

    def __init__(
        self,
        file: object,
        recipients: Recipients,
        passphrase: object,
        format: Format | None,
        processes: int | None,
        overwrite: bool,
        sync: bool,
    ) -> None:
        self._operation: _native.Operation | None = None
        self.is_discarded = False
        self._process = os.getpid()
        if not _api._is_path(file):
            raise TypeError(
                f"file: must be a path to write to, not {type(file).__name__}; "
                "encrypt() writes to file objects"
            )
        path = _api._path("file", file)
        _check_target(path, overwrite)
        keys = _api._recipients(recipients, passphrase)
        name = format if format is not None else _api._format_of(path, False)
        self.name = path
        self._pipe = _native.InputPipe("the plaintext")
        self._fd = self._pipe.fileno()
        closed_pipe(self._pipe)
        self._operation = started(
            _native.start_encrypt(
                self._pipe,
                path,
                *keys,
                _api._checked_format(name, False),
                False,
                overwrite,
                bool(sync),
                workers(processes),
            )
        )

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.is_discarded:
            return memoryview(data).nbytes
        if self.closed:
            raise ValueError("I/O operation on closed file")
        self._check_process()
        try:
            return os.write(self._fd, data)
        except BrokenPipeError:
            self._end()
            raise

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("the file was opened before a fork; open it again in this process")

    def _end(self) -> None:
        operation, self._operation = self._operation, None
        if operation is not None:
            run(operation)

    def __del__(self) -> None:
        # One that was forgotten makes no file.
        try:
            self.discard()
            self.close()
        except Exception:
            pass

    def discard(self) -> None:
        """Gives the file up."""
        self.is_discarded = True
        operation, self._operation = self._operation, None
        if operation is not None and os.getpid() == self._process:
            operation.cancel()
            self._pipe.close()
            operation.wait(1.0)

    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._operation is not None and not self.is_discarded:
                self._check_process()
                self._pipe.finish()
                self._end()
        except BaseException:
            self.discard()
            raise
        finally:
            super().close()


class EncryptedWriter(io.BufferedWriter):
    """Writes an encrypted file, which appears when it is closed without an exception.

    If it is discarded, or forgotten without being closed, there is no file.
    """

    def __init__(self, raw: _RawWriter, buffering: int) -> None:
        super().__init__(raw, buffering)

    def discard(self) -> None:
        """Closes it without making a file."""
        cast(_RawWriter, self.raw).discard()
        self.close()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.discard()
        else:
            self.close()

    def close(self) -> None:
        if self.closed:
            return
        try:
            super().close()
        except BaseException:
            cast(_RawWriter, self.raw).discard()
            raise

    def __del__(self) -> None:
        try:
            if not self.closed:
                self.discard()
        except Exception:
            # Nobody could catch it.
            pass
