"""Encrypted files in any file system that fsspec knows, as if they were not encrypted.

`cryptstream::s3://bucket/x.parquet.enc` names the plaintext of an object. The names that a listing
shows are those of the plaintext: without `.enc` or `.age`, which may be given or left out.

>>> import cryptstream, fsspec
>>> identity = cryptstream.Identity.generate()
>>> keys = {"identities": identity, "recipients": identity}
>>> with fsspec.open("cryptstream::memory://a.txt", "wb", cryptstream=keys) as file:
...     _ = file.write(b"some text")
>>> fs = fsspec.filesystem("cryptstream", target_protocol="memory", **keys)
>>> fs.ls("/", detail=False), fs.size("/a.txt"), fs.fs.exists("/a.txt.enc")
(['/a.txt'], 9, True)
>>> fs.cat_file("/a.txt", 5)
b'text'
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from typing import Any

import fsspec
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.implementations.chained import ChainedFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import isfilelike, stringify_path, tokenize

from . import _api, _native
from ._errors import CryptStreamError, Exists, NotEncrypted, NotSupported
from ._keys import Identities, Identity, PassphraseLike, RecipientLike, Recipients, identity_list
from ._open import open as open_path
from ._program import workers
from ._range_file import RangeFile, StoredFile
from ._unlocker import Unlocker
from ._upload import EncryptedUpload, open_uncommitted

#: Endings of stored names that the names of the plaintext lack.
SUFFIXES = (".enc", ".age")


class CryptStreamFileSystem(ChainedFileSystem):  # type: ignore[misc]
    """The file system `cryptstream`, over another one.

    `identities` and `passphrase` decrypt, `recipients` and `passphrase` encrypt, as in
    `cryptstream.open`. `identity_file` and `identity_env` name a file and an environment variable
    with an identity; only a file system whose identities are all named like this can be pickled,
    since keys are never part of a pickle.
    """

    protocol = "cryptstream"
    # Keys that differ may look alike, so that no instance may stand for another one.
    cachable = False

    def __init__(
        self,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        fs: Any = None,
        *,
        identities: Identities = (),
        identity_file: str | os.PathLike[str] | None = None,
        identity_env: str | None = None,
        passphrase: PassphraseLike = None,
        recipients: Recipients = (),
        format: _api.Format | None = None,
        fo: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if fs is not None and target_protocol is not None:
            raise ValueError("fs: give either a file system or target_protocol")
        options = target_options or {}
        self.fs = fs if fs is not None else fsspec.filesystem(target_protocol or "file", **options)
        self.root_marker = self.fs.root_marker
        found, self._passphrase = identity_list(identities), passphrase
        self._identities = [Identity._of(one) for one in found]
        if identity_file is not None:
            self._identities.append(Identity.from_file(os.path.expanduser(identity_file)))
        if identity_env is not None:
            self._identities.append(Identity.from_env(identity_env))
        self._recipients: list[RecipientLike] = _listed(recipients)
        if format is not None:
            _api._checked_format(format, False)
        self._format = format
        owners = [one for one in self._recipients if isinstance(one, Identity)]
        self._has_secrets = bool(found or owners) or passphrase is not None
        self._token = uuid.uuid4().hex
        self._unlocker = Unlocker(self.fs, self._identities, passphrase)
        # Those of the class know nothing of the other file system.
        self._strip_protocol = self._strip
        self._parent = self.fs._parent

    def _strip(self, path: Any) -> Any:
        if isinstance(path, list):
            return [self._strip(one) for one in path]
        path = stringify_path(path)
        for prefix in ("cryptstream://", "cryptstream::"):
            path = path.removeprefix(prefix)
        return self.fs._strip_protocol(path)

    def unstrip_protocol(self, name: str) -> str:
        return f"cryptstream::{self.fs.unstrip_protocol(self._strip(name))}"

    @property
    def fsid(self) -> str:
        return f"cryptstream-{self.fs.fsid}"

    # What identifies an instance, is shown, or leaves the process: none of it tells of a key.

    @property
    def _fs_token(self) -> str:
        if self._has_secrets:
            return self._token
        return str(tokenize(type(self), self.storage_args, self.storage_options))

    @property
    def storage_options(self) -> dict[str, Any]:
        return self._options

    @storage_options.setter
    def storage_options(self, options: dict[str, Any]) -> None:
        kept = dict(options)
        if kept.get("identities"):
            kept["identities"] = self._identities
        if kept.get("passphrase") is not None:
            kept["passphrase"] = _Hidden()
        self._options = kept

    @property
    def _fs_token_(self) -> None:
        return None

    @_fs_token_.setter
    def _fs_token_(self, token: object) -> None:
        # A hash of a passphrase: it is not kept.
        pass

    def __reduce__(self) -> Any:
        self._refuse_secrets()
        return super().__reduce__()

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        self._refuse_secrets()
        result: dict[str, Any] = super().to_dict(include_password=include_password)
        return result

    def _refuse_secrets(self) -> None:
        if self._has_secrets:
            raise TypeError(
                "a file system with keys in memory cannot be pickled or written as JSON; name "
                "the keys by identity_file or identity_env, which are read where it is unpickled"
            )

    # Names: what is stored under which one.

    def _stored(self, path: str) -> dict[str, Any]:
        """The information that the inner file system has on a path of this one."""
        with_suffix = [path + suffix for suffix in SUFFIXES]
        names = [path, *with_suffix] if path.endswith(SUFFIXES) else [*with_suffix, path]
        for name in names:
            try:
                info: dict[str, Any] = self.fs.info(name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if info["type"] != "directory" or name == path:
                return info
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _target(self, path: str) -> str:
        """The name under which a new file is stored."""
        if path.endswith(SUFFIXES):
            return path
        return path + (".age" if self._format == "age" else ".enc")

    def _plain_names(self, stored: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The names of entries of the inner file system here. One that another entry has is
        shown as it is stored, or not at all if it cannot be opened by any name."""
        names = {info["name"] for info in stored}
        for info in stored:
            name = info["name"]
            if info["type"] != "directory":
                if name.endswith(".enc"):
                    name = name[:-4]
                elif name.endswith(".age") and name[:-4] + ".enc" not in names:
                    name = name[:-4]
                elif name + ".enc" in names or name + ".age" in names:
                    continue
            yield name, info

    # Sizes: by the header and the final chunk.

    def _file(self, path: str) -> StoredFile:
        """The file with this name, unlocked."""
        info = self._stored(path)
        if info["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        found = self._unlocker.unlock_all([info])[0]
        if isinstance(found, Exception):
            raise found
        return found

    def _entries(
        self, named: list[tuple[str, dict[str, Any]]], sizes: bool
    ) -> list[dict[str, Any]]:
        entries = [{**info, "name": name} for name, info in named]
        if not sizes:
            return entries
        files = [number for number, (_, info) in enumerate(named) if info["type"] == "file"]
        unlocked = self._unlocker.unlock_all([named[number][1] for number in files])
        for number, one in zip(files, unlocked):
            entry = entries[number]
            entry["stored_name"], entry["stored_size"] = named[number][1]["name"], entry["size"]
            entry["encrypted"] = not isinstance(one, NotEncrypted)
            if isinstance(one, StoredFile):
                entry["size"] = one.size
            elif isinstance(one, CryptStreamError) and entry["encrypted"]:
                # It has a size, but that is not known.
                entry["size"] = None
            elif not isinstance(one, CryptStreamError):
                raise one
        return entries

    # The interface of fsspec: looking.

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """`size` is the length of the plaintext, which is verified."""
        path = self._strip(path)
        stored = self._stored(path)
        if stored["type"] == "file" and kwargs.get("sizes", True):
            found = self._unlocker.unlock_all([stored])[0]
            if isinstance(found, Exception) and not isinstance(found, NotEncrypted):
                raise found
        return self._entries([(path, stored)], kwargs.get("sizes", True))[0]

    def ls(
        self, path: str, detail: bool = True, sizes: bool | None = None, **kwargs: Any
    ) -> list[Any]:
        """With `detail`, the size of each file is asked of its header and its final chunk, unless
        `sizes` is false. It is None if no key fits."""
        path = self._strip(path)
        try:
            stored = self.fs.ls(path, detail=True, **kwargs)
        except (FileNotFoundError, NotADirectoryError):
            stored = [self._stored(path)]
        if len(stored) == 1 and stored[0]["type"] != "directory":
            one = stored[0]["name"]
            if one in (path, path + ".enc", path + ".age"):
                entries = self._entries([(path, stored[0])], detail if sizes is None else sizes)
                return entries if detail else [path]
        named = list(self._plain_names(stored))
        if not detail:
            return sorted(name for name, _ in named)
        return self._entries(named, True if sizes is None else sizes)

    def walk(self, path: str, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("sizes", bool(kwargs.get("detail", False)))
        return super().walk(path, *args, **kwargs)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        sizes: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        path = self._strip(path)
        stored = self.fs.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True, **kwargs)
        infos = [info for info in stored.values() if info]
        named = list(self._plain_names(infos))
        if not named or [info["name"] for info in infos] == [path]:
            try:
                one = self._stored(path)
            except FileNotFoundError:
                one = {"type": "directory"}
            if one["type"] != "directory":
                named = [(path, one)]
        named.sort(key=lambda one: one[0])
        if not detail:
            return [name for name, _ in named]
        entries = self._entries(named, True if sizes is None else sizes)
        return {entry["name"]: entry for entry in entries}

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """A pattern that ends in `.enc` or `.age` is one of stored names."""
        detail = kwargs.pop("detail", False)
        if not path.endswith(SUFFIXES):
            kwargs.setdefault("sizes", detail)
            return super().glob(path, maxdepth=maxdepth, detail=detail, **kwargs)
        kwargs.pop("sizes", None)
        found = self.fs.glob(self._strip(path), maxdepth=maxdepth, detail=True, **kwargs)
        if not detail:
            return list(found)
        entries = self._entries(list(found.items()), True)
        return {entry["name"]: entry for entry in entries}

    def exists(self, path: str, **kwargs: Any) -> bool:
        try:
            self._stored(self._strip(path))
        except FileNotFoundError:
            return False
        return True

    def lexists(self, path: str, **kwargs: Any) -> bool:
        return self.exists(path)

    def isdir(self, path: str) -> bool:
        return self._type(path) == "directory"

    def isfile(self, path: str) -> bool:
        return self._type(path) == "file"

    def _type(self, path: str) -> object:
        try:
            return self._stored(self._strip(path))["type"]
        except FileNotFoundError:
            return None

    def created(self, path: str) -> Any:
        return self.fs.created(self._stored(self._strip(path))["name"])

    def modified(self, path: str) -> Any:
        return self.fs.modified(self._stored(self._strip(path))["name"])

    def invalidate_cache(self, path: str | None = None) -> None:
        self._unlocker.forget()
        self.fs.invalidate_cache(None if path is None else self._strip(path))

    # Reading and writing.

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if mode == "rb":
            stored = self._file(path)
            return RangeFile(
                self, path, stored, block_size, cache_options=cache_options, **kwargs
            )
        if mode not in ("wb", "xb"):
            raise NotSupported(f"{path}: an encrypted file is written as a whole, not with {mode}")
        target = self._target(path)
        if mode == "xb" and self.exists(path):
            raise Exists(f"{path}: exists", path=path, errno=errno.EEXIST)
        keys = _api._recipients(self._recipients, self._passphrase)
        format = self._format or _api._format_of(target, False)
        if autocommit and isinstance(self.fs, LocalFileSystem):
            if self.fs.auto_mkdir:
                self.fs.makedirs(self.fs._parent(target), exist_ok=True)
            return open_path(
                target,
                mode,
                recipients=self._recipients,
                passphrase=self._passphrase,
                format=format,
            )

        def start(source: _native.InputPipe, sink: _native.OutputPipe) -> _native.Operation:
            return _native.start_encrypt(
                source, sink, *keys, format, False, False, False, workers(None)
            )

        inner = open_uncommitted(self.fs, target, block_size)
        return EncryptedUpload(self, target, inner, start, autocommit)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        stored = self._file(self._strip(path))
        return stored.fetch(*_bounds(start, end, stored.size))

    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Ranges of several files, which the inner file system may fetch at the same time."""
        if not isinstance(paths, list):
            raise TypeError("paths: must be a list")
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(paths) == len(starts) == len(ends):
            raise ValueError("starts, ends: must be as many as paths")
        results: list[Any] = [b""] * len(paths)
        asked = self._files(paths)
        wanted = []
        for number, (path, start, end) in enumerate(zip(paths, starts, ends)):
            one = asked[path]
            if isinstance(one, Exception):
                results[number] = one
                continue
            first, last = _bounds(start, end, one.size)
            if first < last:
                wanted.append((number, one, first, last, one.encrypted_range(first, last)))
        fetched = self.fs.cat_ranges(
            [one.path for _, one, _, _, _ in wanted],
            [stored[0] for *_, stored in wanted],
            [stored[1] for *_, stored in wanted],
            on_error="return",
        )
        for (number, one, first, last, _), data in zip(wanted, fetched):
            try:
                results[number] = data
                if not isinstance(data, Exception):
                    results[number] = one.decrypt(first, last, data)
            except CryptStreamError as error:
                results[number] = error
        failed = [one for one in results if isinstance(one, Exception)]
        if failed and on_error == "raise":
            raise failed[0]
        return results

    def _files(self, paths: list[str]) -> dict[str, StoredFile | Exception]:
        """The files with these names, or why they cannot be read."""
        found: dict[str, StoredFile | Exception] = {}
        infos = {}
        for path in dict.fromkeys(paths):
            try:
                infos[path] = self._stored(self._strip(path))
            except Exception as error:
                found[path] = error
        found.update(zip(infos, self._unlocker.unlock_all(list(infos.values()))))
        return found

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """A local file appears when all of it is verified."""
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
            return
        stored = self._stored(self._strip(rpath))
        if stored["type"] == "directory":
            os.makedirs(lpath, exist_ok=True)
            return
        folder = os.path.dirname(os.path.abspath(lpath))
        os.makedirs(folder, exist_ok=True)

        def progress(done: int, total: int | None) -> None:
            if total is not None:
                callback.set_size(total)
            callback.absolute_update(done)

        with self.fs.open(stored["name"], "rb") as source:
            _api.decrypt(
                source,
                lpath,
                identities=self._identities,
                passphrase=self._passphrase,
                overwrite=True,
                progress=progress,
            )

    # Changing names.

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        self.fs.mkdir(self._strip(path), create_parents=create_parents, **kwargs)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.fs.makedirs(self._strip(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        self.fs.rmdir(self._strip(path))

    def rm_file(self, path: str) -> None:
        info = self._stored(self._strip(path))
        if info["type"] == "directory":
            self.fs.rmdir(info["name"])
        else:
            self._unlocker.forget(info["name"])
            self.fs.rm_file(info["name"])

    def rm(
        self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None
    ) -> None:
        for one in self.expand_path(path):
            if recursive and self.isdir(one):
                self._unlocker.forget()
                self.fs.rm(self._strip(one), recursive=True, maxdepth=maxdepth)
            else:
                self.rm_file(one)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copies a file as it is, without decrypting it."""
        source = self._stored(self._strip(path1))
        if source["type"] == "directory":
            self.fs.makedirs(self._strip(path2), exist_ok=True)
        else:
            self.fs.cp_file(source["name"], self._moved(source["name"], path2), **kwargs)

    def mv(self, path1: str, path2: str, recursive: bool = False, **kwargs: Any) -> None:
        source = self._stored(self._strip(path1))
        target = self._strip(path2)
        if source["type"] != "directory":
            target = self._moved(source["name"], path2)
        self._unlocker.forget(source["name"])
        self.fs.mv(source["name"], target, recursive=recursive, **kwargs)

    def _moved(self, source: str, path: str) -> str:
        target: str = self._strip(path)
        ending = source[-4:] if source.endswith(SUFFIXES) else ""
        return target if target.endswith(SUFFIXES) else target + ending


class _Hidden:
    """Stands for a passphrase."""

    def __repr__(self) -> str:
        return "<hidden>"


def _listed(recipients: Recipients) -> list[RecipientLike]:
    if isinstance(recipients, (list, tuple, set, frozenset)):
        return list(recipients)
    return [recipients]  # type: ignore[list-item]


def _bounds(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """A range as that of a Python slice, within the file."""
    first, last, _ = slice(start, end).indices(size)
    return first, last
