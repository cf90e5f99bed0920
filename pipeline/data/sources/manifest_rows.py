"""The rows of a manifest, one at a time: a CSV or Parquet file with the path, label, split and slices of each image."""

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from pipeline.data.sources.shown_columns import shown_columns
from pipeline.errors import BadInputError
from pipeline.spec import Data

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 4096
# Bytes. A file that is not text may be one line of many gigabytes.
_LONGEST_LINE = 1 << 26
_DEFAULTS = {"image": "path", "label": "label", "split": "split"}


class SourceRow(NamedTuple):
    """A row as it is written. `number` is what a spreadsheet shows for CSV, where the header is row 1.

    In Parquet, which has no header row, the first row is 1. `fields` is empty if `problem` says what is wrong.
    """

    number: int
    fields: tuple[str, ...]
    problem: str = ""


class Columns(NamedTuple):
    """The names of the columns to read, in the order of a row's fields: path, label, slices, and the split if given."""

    names: tuple[str, ...]
    has_split: bool
    ignored_split: str | None


def choose_columns(present: list[str], data: Data, *, manifest: str) -> Columns:
    """The columns that `data` asks for.

    Args:
        present: the columns of the manifest.
        data: the names of the columns, and whether the split is given.
        manifest: the address of the manifest.

    Raises:
        BadInputError: one of them is missing, or exists twice; says which columns exist.
    """
    names = _DEFAULTS | {str(key): name for key, name in data.columns.items()}
    is_given = data.splits == "given"
    wanted = [names["image"], names["label"], *data.slices, *([names["split"]] if is_given else [])]
    shown = shown_columns([repr(name) for name in present])
    missing = [repr(name) for name in dict.fromkeys(wanted) if name not in present]
    if missing:
        way_out = "Name the right ones in data.columns and data.slices"
        if missing == [repr(names["split"])]:
            way_out = "Name the column with the splits in data.columns, or set data.splits to content"
        raise BadInputError(f"data.images: {manifest} has no column {', '.join(missing)}; it has {shown}. {way_out}")
    twice = [repr(name) for name in dict.fromkeys(wanted) if present.count(name) > 1]
    if twice:
        raise BadInputError(f"data.images: {manifest} has the column {', '.join(twice)} more than once; it has {shown}")
    ignored = names["split"] if not is_given and names["split"] in present else None
    return Columns(tuple(wanted), is_given, ignored)


def csv_rows(stream: BinaryIO, data: Data, *, manifest: str) -> tuple[Columns, Iterator[SourceRow]]:
    """The columns and rows of a CSV file in UTF-8, with or without a byte order mark.

    Raises:
        BadInputError: it cannot be read as such, also while the rows are read.
    """
    reader = csv.reader(_lines(stream), skipinitialspace=True, strict=True)
    numbered = _numbered(reader, manifest)
    _, header = next(numbered, (1, []))
    present = [name.strip() for name in header]
    columns = choose_columns(present, data, manifest=manifest)
    places = [present.index(name) for name in columns.names]

    def rows() -> Iterator[SourceRow]:
        for number, fields in numbered:
            if not fields:
                continue
            if len(fields) == len(present):
                yield SourceRow(number, tuple(fields[place] for place in places))
            else:
                yield SourceRow(number, (), f"has {len(fields)} fields, and the header has {len(present)}")

    return columns, rows()


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines with their ends. In UTF-8 no other character has the byte of a line feed in it."""
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b"")):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"line longer than {_LONGEST_LINE:,} bytes")
        yield line.decode("utf-8" if number else "utf-8-sig")


def _numbered(reader: Iterator[list[str]], manifest: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    try:
        for number, fields in enumerate(reader, start=1):
            yield number, fields
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"data.images: {manifest} is not UTF-8 in row {number + 1}; save it as CSV in UTF-8"
        ) from error
    except csv.Error as error:
        raise BadInputError(f"data.images: row {number + 1} of {manifest} is not CSV ({error}); correct it") from error


def parquet_rows(stream: BinaryIO, data: Data, *, manifest: str) -> tuple[Columns, Iterator[SourceRow]]:
    """The columns and rows of a Parquet file. The values are made text; an empty cell is an empty text.

    Raises:
        BadInputError: it cannot be read as such, also while the rows are read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    failures = (pa.ArrowException, OSError, UnicodeDecodeError)
    unreadable = f"data.images: {manifest} cannot be read as Parquet"
    try:
        file = pq.ParquetFile(stream)
        schema = file.schema_arrow
    except failures as error:
        raise BadInputError(f"{unreadable}: {error}; write it again") from error
    columns = choose_columns(list(schema.names), data, manifest=manifest)
    _check_types(schema, columns, manifest)

    def rows() -> Iterator[SourceRow]:
        number = 0
        read = list(dict.fromkeys(columns.names))
        try:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=read, use_threads=False):
                cells = [_texts(batch.column(name)) for name in columns.names]
                for number, fields in enumerate(zip(*cells, strict=True), start=number + 1):  # noqa: B020 - goes on
                    yield _row(number, fields, columns)
        except failures as error:
            raise BadInputError(f"{unreadable} after row {number}: {error}; write it again") from error

    return columns, rows()


def _check_types(schema: "pa.Schema", columns: Columns, manifest: str) -> None:
    """Refuse a path, label or split that is not text, and a label that is not text or an integer."""
    import pyarrow as pa

    path, label = columns.names[:2]
    for name in (path, label, *(columns.names[-1:] if columns.has_split else ())):
        kind = schema.field(name).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_text = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
        if not is_text and not (name == label and pa.types.is_integer(value)):
            expected = "strings or integers" if name == label else "strings"
            raise BadInputError(
                f"data.images: the column {name!r} of {manifest} has the type {kind}; it should have {expected}"
            )


def _row(number: int, fields: tuple[str | None, ...], columns: Columns) -> SourceRow:
    if None not in fields:
        return SourceRow(number, cast("tuple[str, ...]", fields))
    name = columns.names[fields.index(None)]
    return SourceRow(number, (), f"has a date, time or duration out of range in the column {name!r}")


def _texts(column: Any) -> list[str | None]:
    """The values as text; None for one that Python cannot hold, such as a date after the year 9999."""
    try:
        return ["" if value is None else str(value) for value in column.to_pylist()]
    except (OverflowError, ValueError):
        return [_text(cell) for cell in column]


def _text(cell: Any) -> str | None:
    import pyarrow as pa

    try:
        value = cell.as_py()
        return "" if value is None else str(value)
    except (pa.ArrowException, UnicodeDecodeError):
        raise
    except (OverflowError, ValueError):
        return None
