"""The plaintext of an encrypted file of any file system that fsspec knows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fsspec.caching import BaseCache, register_cache
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile

from ._errors import Changed, NotSupported

if TYPE_CHECKING:
    from . import _native
    from .fsspec import CryptStreamFileSystem

#: What a sequential reader is given at least at once, in bytes.
_WINDOW = 64 << 10
#: Of what was read in a row, one part in so many is read ahead: what is read in vain is less than
#: that of the whole.
_AHEAD = 16


class StoredFile:
    """A file as the inner file system has it, unlocked."""

    def __init__(self, fs: Any, info: dict[str, Any], layout: _native.EncryptedLayout) -> None:
        self.info = info
        self.path: str = info["name"]
        self.size = layout.plaintext_size
        self._fs = fs
        self._layout = layout
        start, stop = layout.encrypted_range(0, min(1, self.size))
        #: The length of a chunk of plaintext in bytes; of a file with one chunk, any length.
        self.chunk_size = max(stop - start - 16, 1)

    def encrypted_range(self, start: int, stop: int) -> tuple[int, int]:
        """The stored bytes that hold plaintext[start:stop], which is within the plaintext."""
        return self._layout.encrypted_range(start, stop)

    def decrypt(self, start: int, stop: int, data: Any) -> bytes:
        """plaintext[start:stop], from the stored bytes of its range."""
        first, last = self.encrypted_range(start, stop)
        data = bytes(data)
        if len(data) != last - first:
            raise Changed(f"{self.path}: was changed while it was read", path=self.path)
        return self._layout.decrypt(start, stop, data)

    def fetch(self, start: int, stop: int) -> bytes:
        """plaintext[start:stop], by one request."""
        if start >= stop:
            return b""
        data = self._fs.cat_file(self.path, *self.encrypted_range(start, stop))
        return self.decrypt(start, stop, data)


class OpenLocalFile:
    """A local file that stays open, so that one that replaces it is not read."""

    def __init__(self, stored: StoredFile) -> None:
        self._stored = stored
        self._file = open(stored.path, "rb", buffering=0)

    def fetch(self, start: int, stop: int) -> bytes:
        first, last = self._stored.encrypted_range(start, stop)
        parts = []
        while first < last:
            part = os.pread(self._file.fileno(), last - first, first)
            if not part:
                break
            parts.append(part)
            first += len(part)
        return self._stored.decrypt(start, stop, b"".join(parts))

    def close(self) -> None:
        self._file.close()


class ChunkCache(BaseCache):  # type: ignore[misc]
    """Fetches whole chunks and keeps the last ones. It reads ahead for sequential reads only.

    A read after a jump gets just the chunks that it needs, so that columns of a Parquet file cost
    no more than they are long.
    """

    name = "cryptstream"

    def __init__(self, blocksize: int, fetcher: Any, size: int, chunk_size: int = 1) -> None:
        super().__init__(blocksize, fetcher, size)
        self._chunk_size = chunk_size
        self._start = 0
        self._data = b""
        #: Where the reads in a row have begun, and where the next of them begins.
        self._row_start = 0
        self._next = 0

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start = 0 if start is None else start
        stop = self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        is_sequential = start == self._next
        if not is_sequential:
            self._row_start = start
        self._next = stop
        end = self._start + len(self._data)
        if not (self._start <= start and stop <= end):
            self._load(start, stop, is_sequential)
            self.miss_count += 1
        else:
            self.hit_count += 1
        result = self._data[start - self._start : stop - self._start]
        if len(self._data) > self.blocksize:
            # No more is kept than what the next read may begin in.
            kept = stop - stop % self._chunk_size
            self._data = self._data[kept - self._start :]
            self._start = kept
        return result

    def _load(self, start: int, stop: int, is_sequential: bool) -> None:
        end = self._start + len(self._data)
        if self._start <= start < end:
            kept, first = self._data[start - self._start :], end
            self._start = start
        else:
            kept, first = b"", start - start % self._chunk_size
            self._start = first
        self._data = kept
        last = stop
        if is_sequential and start > 0:
            ahead = max(_WINDOW, (start - self._row_start) // _AHEAD)
            last = max(stop, first + min(self.blocksize, ahead))
        last = min(self.size, -(-last // self._chunk_size) * self._chunk_size)
        self.total_requested_bytes += last - first
        data = self.fetcher(first, last)
        self._data = kept + data if kept else data


register_cache(ChunkCache, clobber=True)


class RangeFile(AbstractBufferedFile):  # type: ignore[misc]
    """The plaintext of a file: reads and seeks."""

    DEFAULT_BLOCK_SIZE = 4 << 20

    def __init__(
        self,
        fs: CryptStreamFileSystem,
        path: str,
        stored: StoredFile,
        block_size: int | None = None,
        cache_type: str | None = None,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = dict(cache_options or {})
        if cache_type in (None, ChunkCache.name):
            cache_type = ChunkCache.name
            options["chunk_size"] = stored.chunk_size
        self._stored: StoredFile | OpenLocalFile = stored
        # A subclass may do other things.
        if type(fs.fs) is LocalFileSystem:
            self._stored = OpenLocalFile(stored)
        kwargs.pop("size", None)
        super().__init__(
            fs,
            path,
            "rb",
            block_size or "default",
            cache_type=cache_type,
            cache_options=options,
            size=stored.size,
            **kwargs,
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._stored.fetch(start, min(end, self.size))

    def write(self, data: object) -> int:
        raise NotSupported(f"{self.path}: is open to be read")

    def close(self) -> None:
        super().close()
        stored = getattr(self, "_stored", None)
        if isinstance(stored, OpenLocalFile):
            stored.close()
