"""Writes an encrypted file to any file system that fsspec knows."""

from __future__ import annotations

import io
import os
import select
from collections.abc import Callable
from typing import Any

from fsspec.implementations.local import LocalFileOpener
from fsspec.spec import AbstractBufferedFile

from . import _native
from ._run import STEP, Writes, closed_pipe, run, started

#: Bytes that are collected before they are encrypted.
_BUFFER = 256 << 10
#: Bytes that one part of an upload has by default: stores have at most 10,000 of them.
BLOCK_SIZE = 16 << 20

#: Starts to encrypt from a pipe to a pipe.
Start = Callable[[_native.InputPipe, _native.OutputPipe], _native.Operation]


def open_uncommitted(fs: Any, path: str, block_size: int | None) -> Any:
    """Opens a file that appears once it is committed, if the file system can do that."""
    file = fs.open(path, "wb", block_size=block_size or BLOCK_SIZE, autocommit=False)
    transaction = getattr(fs, "_transaction", None)
    if transaction is not None and not getattr(fs, "_intrans", False):
        # It belongs to no transaction of the file system, but to whom it is returned to.
        kept = [one for one in transaction.files if one is not file]
        transaction.files.clear()
        transaction.files.extend(kept)
    return file


class EncryptedUpload(io.RawIOBase):
    """A file that is encrypted while it is written.

    It appears when it is closed. After an exception in its `with` statement, after `discard()`,
    or if nobody closes it, there is no file.
    """

    def __init__(self, fs: Any, path: str, target: Any, start: Start, is_committed: bool) -> None:
        self.fs = fs
        self.path = path
        self.mode = "wb"
        self._process = os.getpid()
        self._target = target
        self._is_committed = is_committed
        self._is_discarded = False
        self._buffer = bytearray()
        self._position = 0
        self._input = _native.InputPipe("the plaintext")
        self._input_fd = self._input.fileno()
        os.set_blocking(self._input_fd, False)
        closed_pipe(self._input)
        self._sink = Writes(target, path)
        self._operation: _native.Operation | None = None
        self._operation = started(start(self._input, self._sink.pipe))

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        view = memoryview(data).cast("B")
        if self._is_discarded:
            return len(view)
        if os.getpid() != self._process:
            raise RuntimeError("the file was opened before a fork; open it again in this process")
        if len(self._buffer) + len(view) < _BUFFER:
            self._buffer += view
        else:
            self._send(self._buffer)
            self._buffer = bytearray()
            self._send(view)
        self._position += len(view)
        return len(view)

    def _send(self, data: bytearray | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            moved = self._sink.is_open and self._sink.move()
            try:
                written = os.write(self._input_fd, rest)
            except BlockingIOError:
                if not moved:
                    self._wait(select.POLLOUT)
                continue
            except BrokenPipeError:
                # The operation has ended, and says why.
                self._finish()
                raise
            rest = rest[written:]

    def _wait(self, events: int) -> None:
        poll = select.poll()
        if events:
            poll.register(self._input_fd, events)
        if self._sink.is_open:
            poll.register(self._sink.fd, select.POLLIN)
        poll.poll(STEP * 1000)

    def _finish(self) -> None:
        operation, self._operation = self._operation, None
        if operation is not None:
            run(operation, sink=self._sink)

    def commit(self) -> None:
        """Lets the file appear, if it was opened in a transaction."""
        commit = getattr(self._target, "commit", None)
        if callable(commit):
            commit()
        self.fs.invalidate_cache(self.path)

    def discard(self) -> None:
        """Gives the file up."""
        if self._is_discarded:
            return
        self._is_discarded = True
        operation, self._operation = self._operation, None
        if os.getpid() != self._process:
            return
        if operation is not None:
            operation.cancel()
        self._input.close()
        self._sink.close()
        if operation is not None:
            operation.wait(1.0)
        discard = getattr(self._target, "discard", None)
        if isinstance(self._target, AbstractBufferedFile) and callable(discard):
            try:
                discard()
            finally:
                # Nothing more is to be written when it is collected.
                self._target.closed = True
        elif isinstance(self._target, LocalFileOpener):
            self._target.discard()
            self._target.close()
        else:
            # It cannot be discarded, and appears when it is closed or even before.
            self._target.close()
            self.fs.fs.rm_file(self.path)
        self.fs.invalidate_cache(self.path)

    def close(self) -> None:
        if self.closed:
            return
        try:
            if not self._is_discarded:
                self._send(self._buffer)
                self._input.finish()
                self._finish()
                self._target.close()
                if self._is_committed:
                    self.commit()
        except BaseException:
            self.discard()
            raise
        finally:
            super().close()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        # One that was forgotten makes no file.
        try:
            if not self.closed:
                self.discard()
                self.close()
        except Exception:
            pass
