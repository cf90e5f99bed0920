"""One row for each file of a source: what was listed, what was read, and what became of it.

The same columns are in the manifest of a snapshot (Parquet) and in the working table (SQLite).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from pipeline.verdicts.measurements import Split

# used: in a split. duplicate: another file has the same content. left out: usable, and in no split. unusable: skipped.
Status = Literal["used", "duplicate", "left out", "unusable"]

# Of a slice in a manifest; its other columns have no point in their names.
_SLICE = "slice."


class Row(NamedTuple):
    """One file, or one record of a shard. A tuple, because there are millions.

    Attributes:
        name, size, stamp, label, given, slices: as in `pipeline.data.source.Entry`; `given` is the split that the
            source gives, and `slices` a JSON array. The size and stamp of a record are those of the record and of its
            shard.
        digest: the SHA-256 of the file.
        stored: the SHA-256 of the image as it is stored: another one if it was converted.
        suffix: of the stored image, with the dot.
        width, height: in pixels, upright.
        blank: 1 if every pixel is nearly the same.
        phash: the perceptual hash, 64 bits as a signed number; None for small images.
        since: when a snapshot has seen this content first, in ISO 8601.
        status: what became of it.
        split: None if it is in none.
        note: why it is unusable, left out or a duplicate, or which image it looks like; the end of a sentence.
    """

    name: str
    size: int
    stamp: str
    label: str
    given: Split | None
    slices: str
    digest: bytes | None
    stored: bytes | None
    suffix: str
    width: int
    height: int
    blank: int
    phash: int | None
    since: str
    status: Status
    split: Split | None
    note: str | None


COLUMNS = Row._fields
# Of the rows of most data sets, of which there are millions.
NO_SLICES = "[]"


def schema(slices: Sequence[str]) -> Any:
    """The Arrow schema of rows. Each slice is a column of its own, for those who open a manifest with another tool."""
    import pyarrow as pa

    types = {
        "size": pa.int64(),
        "digest": pa.binary(32),
        "stored": pa.binary(32),
        "width": pa.int32(),
        "height": pa.int32(),
        "blank": pa.bool_(),
        "phash": pa.int64(),
    }
    fields = [pa.field(name, types.get(name, pa.string())) for name in COLUMNS if name != "slices"]
    fields += [pa.field(f"{_SLICE}{name}", pa.string()) for name in slices]
    return pa.schema(fields)


def record_batch(rows: Sequence[Row], schema_: Any) -> Any:
    """Rows as an Arrow record batch."""
    import pyarrow as pa

    columns: dict[str, Sequence[Any]] = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    slices = [slices_of(each) for each in columns["slices"]] if schema_.names[-1].startswith(_SLICE) else []
    arrays = []
    for field in schema_:
        if field.name.startswith(_SLICE):
            number = schema_.names.index(field.name) - (len(COLUMNS) - 1)
            values: Sequence[Any] = [each[number] for each in slices]
        else:
            values = columns[field.name]
        if field.name == "blank":
            values = [bool(each) for each in values]
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema_)


def rows_of(batch: Any) -> Iterator[Row]:
    """The inverse of `record_batch`."""
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    named = [columns[name] for name in batch.schema.names if name.startswith(_SLICE)]
    columns["slices"] = (
        [slices_text(each) for each in zip(*named, strict=True)] if named else [NO_SLICES] * batch.num_rows
    )
    columns["blank"] = [int(each) for each in columns["blank"]]
    return map(Row._make, zip(*(columns[name] for name in COLUMNS), strict=True))


def slices_text(values: Sequence[str]) -> str:
    """The values of slices as they are in a row."""
    return json.dumps(list(values), ensure_ascii=False) if values else NO_SLICES


def slices_of(text: str) -> tuple[str, ...]:
    """The inverse of `slices_text`."""
    return () if text == NO_SLICES else tuple(json.loads(text))
