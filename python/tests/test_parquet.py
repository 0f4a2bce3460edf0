"""Reading parts of encrypted Parquet files: the bytes that are fetched are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cryptstream import Identity

fsspec = pytest.importorskip("fsspec")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
np = pytest.importorskip("numpy")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

#: 64 MiB: two columns of floats that do not compress, and the number of the row group.
ROWS, GROUPS = 1 << 22, 8
COLUMNS = ["x", "y", "group"]
PATH = "/d/a.parquet"


class CountedMemory(MemoryFileSystem):
    """Counts the bytes that are fetched."""

    protocol = "countedmemory"
    fetched = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.removeprefix("countedmemory://"))
        return stripped

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        data: bytes = super().cat_file(path, start, end, **kwargs)
        CountedMemory.fetched += len(data)
        return data


fsspec.register_implementation("countedmemory", CountedMemory, clobber=True)


@pytest.fixture(scope="module")
def keys() -> Iterator[dict[str, Any]]:
    identity = Identity.generate()
    keys = {"identities": identity, "recipients": identity}
    numbers = np.random.default_rng(5)
    columns = [numbers.random(ROWS), numbers.random(ROWS), np.arange(ROWS) // (ROWS // GROUPS)]
    table = pa.table(dict(zip(COLUMNS, columns)))
    fs = fsspec.filesystem("cryptstream", target_protocol="countedmemory", **keys)
    with fs.open(PATH, "wb") as file:
        pq.write_table(table, file, row_group_size=ROWS // GROUPS, compression="none")
    with fs.open("/d/b.parquet.age", "wb") as file:
        pq.write_table(table, file, row_group_size=ROWS // GROUPS, compression="none")
    yield keys
    fs.rm("/d", recursive=True)


@pytest.fixture(params=[PATH, "/d/b.parquet"])
def fs(keys: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    fs = fsspec.filesystem("cryptstream", target_protocol="countedmemory", **keys)
    fs.path = request.param
    CountedMemory.fetched = 0
    return fs


def footer_size(fs: Any, path: str) -> int:
    return int.from_bytes(fs.cat_file(path, -8, -4), "little") + 8


def group_size(fs: Any, columns: int = len(COLUMNS)) -> int:
    with fs.open(fs.path) as file:
        group = pq.ParquetFile(file).metadata.row_group(3)
        sizes = [group.column(number).total_compressed_size for number in range(columns)]
    CountedMemory.fetched = 0
    # As if nothing had been read of it.
    fs.invalidate_cache()
    return sum(sizes) + footer_size(fs, fs.path)


def column_size(fs: Any, column: int) -> int:
    with fs.open(fs.path) as file:
        metadata = pq.ParquetFile(file).metadata
        groups = [metadata.row_group(number) for number in range(GROUPS)]
    return sum(group.column(column).total_compressed_size for group in groups)


def check(needed: int) -> None:
    assert needed <= CountedMemory.fetched < 1.1 * needed


def test_pyarrow_reads_a_row_group(fs: Any) -> None:
    needed = group_size(fs)
    CountedMemory.fetched = 0
    fs.invalidate_cache()
    with fs.open(fs.path) as file:
        table = pq.ParquetFile(file).read_row_group(3)
    assert table.num_rows == ROWS // GROUPS
    check(needed)


def test_pyarrow_reads_a_row_group_through_the_file_system(fs: Any) -> None:
    needed = group_size(fs)
    CountedMemory.fetched = 0
    fs.invalidate_cache()
    with pq.ParquetFile(fs.path, filesystem=fs) as file:
        assert file.read_row_group(3).num_rows == ROWS // GROUPS
    check(needed)


def test_pandas_reads_a_row_group(fs: Any, keys: dict[str, Any]) -> None:
    pd = pytest.importorskip("pandas")
    needed = group_size(fs)
    CountedMemory.fetched = 0
    frame = pd.read_parquet(
        f"cryptstream::countedmemory://{fs.path}",
        filters=[("group", "==", 3)],
        storage_options={"cryptstream": keys},
    )
    assert len(frame) == ROWS // GROUPS and set(frame["group"]) == {3}
    check(needed)


def test_pandas_reads_a_column(fs: Any, keys: dict[str, Any]) -> None:
    pd = pytest.importorskip("pandas")
    needed = column_size(fs, 1)
    CountedMemory.fetched = 0
    url = f"cryptstream::countedmemory://{fs.path}"
    frame = pd.read_parquet(url, columns=["y"], storage_options={"cryptstream": keys})
    assert list(frame.columns) == ["y"] and len(frame) == ROWS
    check(needed)


def test_a_dataset_prunes_columns(fs: Any) -> None:
    ds = pytest.importorskip("pyarrow.dataset")
    needed = column_size(fs, 0)
    CountedMemory.fetched = 0
    fs.invalidate_cache()
    dataset = ds.dataset(fs.path, filesystem=fs, format="parquet")
    assert dataset.to_table(columns=["x"]).num_rows == ROWS
    check(needed)
