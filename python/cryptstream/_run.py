"""Waits for operations, and moves bytes between file objects and pipes meanwhile.

Everything of Python runs in the thread that called. So an exception, such as KeyboardInterrupt or
one of a callback, ends an operation at once, and nothing of it is left.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import threading
import weakref
from collections.abc import Callable
from typing import IO, Any, Protocol, Union

from . import _native

#: Called with the bytes that are done, and how many there are, or None if that is unknown.
ProgressCallback = Callable[[int, Union[int, None]], object]

#: How long it is waited at most before signals and progress are looked at, in seconds.
STEP = 0.05
#: How long it is waited for an operation that was given up.
GRACE = 0.08
#: Bytes that are moved at a time.
PART = 1 << 20


class _Closes(Protocol):
    def close(self) -> None: ...


_running: weakref.WeakSet[_native.Operation] = weakref.WeakSet()
_pipes: weakref.WeakSet[_Closes] = weakref.WeakSet()
_is_over = False


def started(operation: _native.Operation) -> _native.Operation:
    """Registers an operation."""
    if _is_over:
        operation.cancel()
        raise RuntimeError("the interpreter is shutting down")
    _running.add(operation)
    return operation


def run(
    operation: _native.Operation,
    *,
    source: Reads | None = None,
    sink: Writes | None = None,
    progress: ProgressCallback | None = None,
) -> Any:
    """Waits for an operation, and returns its result."""
    started(operation)
    try:
        if source is None and sink is None and progress is None:
            while not operation.wait(STEP):
                pass
        else:
            _drive(operation, source, sink, progress)
        return operation.result()
    except BaseException:
        operation.cancel()
        raise
    finally:
        for end in (source, sink):
            if end is not None:
                end.close()
        if not operation.has_ended():
            # It has been given up, and makes no output whenever it notices that.
            operation.wait(GRACE)


def _drive(
    operation: _native.Operation,
    source: Reads | None,
    sink: Writes | None,
    progress: ProgressCallback | None,
) -> None:
    shown: tuple[int, int | None] | None = None
    while True:
        has_moved = False
        if source is not None and source.is_open:
            has_moved |= source.move()
        if sink is not None and sink.is_open:
            has_moved |= sink.move()
        if progress is not None:
            now = operation.progress()
            if now != shown and (now[0] > 0 or operation.has_ended()):
                shown = now
                progress(*now)
        if has_moved:
            continue
        if (sink is None or not sink.is_open) and operation.has_ended():
            return
        _wait(operation, source, sink)


def _wait(operation: _native.Operation, source: Reads | None, sink: Writes | None) -> None:
    poll = select.poll()
    count = 0
    if source is not None and source.is_open:
        poll.register(source.fd, select.POLLOUT)
        count += 1
    if sink is not None and sink.is_open:
        poll.register(sink.fd, select.POLLIN)
        count += 1
    if count == 0:
        operation.wait(STEP)
    else:
        poll.poll(STEP * 1000)


class Reads:
    """Reads a file object into a pipe."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._rest = memoryview(b"")
        self.pipe = _native.InputPipe(object_name(file))
        self.fd = self.pipe.fileno()
        os.set_blocking(self.fd, False)
        self.is_open = True
        _pipes.add(self)

    def move(self) -> bool:
        """Moves bytes on. Returns whether it did."""
        if not self._rest:
            data = read_some(self._file, PART, self._name)
            if not data:
                self.pipe.finish()
                self.close()
                return True
            self._rest = memoryview(data)
        try:
            written = os.write(self.fd, self._rest)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            # The operation has ended, and says why.
            self.close()
            return True
        self._rest = self._rest[written:]
        return True

    def close(self) -> None:
        self.is_open = False
        self.pipe.close()


class Writes:
    """Writes what comes out of a pipe to a file object."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.pipe = _native.OutputPipe()
        self.fd = self.pipe.fileno()
        os.set_blocking(self.fd, False)
        self.is_open = True
        _pipes.add(self)

    def move(self) -> bool:
        """Moves bytes on. Returns whether it did."""
        try:
            data = os.read(self.fd, PART)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return True
        write_all(self._file, data, self._name)
        return True

    def close(self) -> None:
        self.is_open = False
        self.pipe.close()


def read_some(file: IO[bytes], count: int, name: str) -> bytes:
    """Reads once from a file object that may be anybody's."""
    data = file.read(count)
    if data is None:
        raise BlockingIOError(f"{name}: has nothing to read now, and does not wait")
    if isinstance(data, str):
        raise TypeError(f"{name}: must be opened in binary mode, its read() returns str")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name}: read() must return bytes, not {type(data).__name__}")
    data = bytes(data)
    if len(data) > count:
        raise ValueError(f"{name}: read({count}) has returned {len(data)} bytes")
    return data


def write_all(file: IO[bytes], data: bytes, name: str) -> None:
    """Writes all to a file object that may be raw."""
    rest = memoryview(data)
    while rest:
        written = file.write(rest)
        if written is None:
            if isinstance(file, io.RawIOBase):
                raise BlockingIOError(f"{name}: cannot be written to now, and does not wait")
            return
        if isinstance(written, bool) or not isinstance(written, int):
            raise TypeError(f"{name}: write() must return int, not {type(written).__name__}")
        if not 0 < written <= len(rest):
            raise ValueError(f"{name}: write() of {len(rest)} bytes has returned {written}")
        rest = rest[written:]


def object_name(file: object) -> str:
    """The name of a file object, for messages."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else f"<{type(file).__name__}>"


def closed_pipe(pipe: _Closes) -> None:
    """Has a pipe closed in a forked child, where nobody uses it."""
    _pipes.add(pipe)


def _shut_down() -> None:
    global _is_over
    _is_over = True
    operations = list(_running)
    for operation in operations:
        operation.cancel()
    for pipe in list(_pipes):
        pipe.close()
    for operation in operations:
        operation.wait(1.0)


def _after_fork_in_child() -> None:
    # Their threads are the parent's. An open pipe here would keep its reader there waiting.
    for pipe in list(_pipes):
        pipe.close()
    _running.clear()
    _pipes.clear()


# Before daemon threads are ended, so that no process and no temporary file is left.
_register = getattr(threading, "_register_atexit", atexit.register)
_register(_shut_down)
os.register_at_fork(after_in_child=_after_fork_in_child)
