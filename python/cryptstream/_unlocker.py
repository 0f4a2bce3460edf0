"""Unlocks files of another file system, and keeps what is needed to decrypt their chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _api, _native
from ._keys import Identity, PassphraseLike
from ._range_file import StoredFile
from ._run import run

#: Bytes that nearly every header fits into.
_HEAD = 16 << 10
#: Files whose layout, and with it the key, is kept. The oldest is dropped.
_MAX_KEPT = 4096
#: Files whose beginnings are asked for at once.
_BATCH = 128


class Unlocker:
    """Reads the header and the final chunk of files, which say how long their plaintext is."""

    def __init__(self, fs: Any, identities: Sequence[Identity], passphrase: PassphraseLike) -> None:
        self._fs = fs
        self._identities = identities
        self._passphrase = passphrase
        self._kept: dict[str, tuple[str, StoredFile]] = {}

    def unlock_all(self, stored: list[dict[str, Any]]) -> list[StoredFile | Exception]:
        """Files, or why they cannot be read."""
        results: list[StoredFile | Exception] = []
        for start in range(0, len(stored), _BATCH):
            batch = stored[start : start + _BATCH]
            kept = [self._kept.get(info["name"]) for info in batch]
            marks = [_mark(info) for info in batch]
            missing = [
                info
                for info, mark, one in zip(batch, marks, kept)
                if one is None or one[0] != mark
            ]
            unlocked = iter(self._unlock(missing))
            for mark, one in zip(marks, kept):
                if one is not None and one[0] == mark:
                    results.append(one[1])
                else:
                    results.append(next(unlocked))
        return results

    def _unlock(self, infos: list[dict[str, Any]]) -> list[StoredFile | Exception]:
        found: list[StoredFile | Exception] = []
        if not infos:
            return found
        keys = _api._identities(self._identities, self._passphrase)
        lengths = [min(_HEAD, info["size"]) for info in infos]
        heads = self._ranges([info["name"] for info in infos], [0] * len(infos), lengths)
        for info, head in zip(infos, heads):
            try:
                found.append(self._parsed(info, head, keys))
            except Exception as error:
                found.append(error)
        # The length proves nothing; the final chunk does.
        opened = [
            (number, one, one.encrypted_range(0, 0))
            for number, one in enumerate(found)
            if isinstance(one, StoredFile)
        ]
        ends: dict[int, Any] = {}
        far = []
        for number, one, (start, stop) in opened:
            if stop <= lengths[number]:
                ends[number] = heads[number][start:stop]
            else:
                far.append((number, one.path, start, stop))
        fetched = self._ranges(
            [path for _, path, _, _ in far],
            [start for _, _, start, _ in far],
            [stop for _, _, _, stop in far],
        )
        ends.update({number: data for (number, *_), data in zip(far, fetched)})
        for number, one, _ in opened:
            try:
                if isinstance(ends[number], Exception):
                    raise ends[number]
                one.decrypt(0, 0, ends[number])
                self._keep(one)
            except Exception as error:
                found[number] = error
        return found

    def _parsed(
        self,
        info: dict[str, Any],
        head: Any,
        keys: tuple[list[_native.Identity], bytes | None],
    ) -> StoredFile:
        path, size, wanted = info["name"], info["size"], _HEAD
        while True:
            if isinstance(head, Exception):
                raise head
            layout = run(_native.start_layout(head, size, *keys, path))
            if layout is not None:
                return StoredFile(self._fs, info, layout)
            wanted *= 2
            head = self._fs.cat_file(path, 0, min(wanted, size))

    def _ranges(self, paths: list[str], starts: list[int], stops: list[int]) -> list[Any]:
        if len(paths) == 1:
            try:
                return [self._fs.cat_file(paths[0], starts[0], stops[0])]
            except Exception as error:
                return [error]
        found: list[Any] = self._fs.cat_ranges(paths, starts, stops, on_error="return")
        return found

    def _keep(self, one: StoredFile) -> None:
        self._kept[one.path] = (_mark(one.info), one)
        while len(self._kept) > _MAX_KEPT:
            # Another thread may be at it.
            self._kept.pop(next(iter(self._kept), ""), None)

    def forget(self, path: str | None = None) -> None:
        """Drops what is known of one file, or of all."""
        if path is None:
            self._kept.clear()
        else:
            self._kept.pop(path, None)


def _mark(info: dict[str, Any]) -> str:
    """Tells one state of a file from another."""
    return repr([(name, value) for name, value in info.items() if name != "name"])
