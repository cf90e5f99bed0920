"""Manifests and shards in Google Cloud Storage (fake-gcs-server)."""

import gzip
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.source import Record
from pipeline.data.sources.opening import open_source
from pipeline.spec import Data
from tests.object_storage import ObjectStore, store
from tests.pipeline.data.sources.reports import Reports
from tests.pipeline.data.sources.test_tfrecord import ROSE, TULIP, framed

__all__ = ["store"]


def parquet(rows: list[tuple[str, str]]) -> bytes:
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table({"path": [row[0] for row in rows], "label": [row[1] for row in rows]}), stream)
    return bytes(stream.getvalue())


def csv(rows: list[tuple[str, str]]) -> bytes:
    return "".join(f"{path},{label}\n" for path, label in [("path", "label"), *rows]).encode()


@pytest.mark.parametrize(("name", "write"), [("labels.csv", csv), ("labels.parquet", parquet)])
def test_a_manifest_in_a_store_is_joined_with_its_listing(
    store: ObjectStore, name: str, write: Callable[[list[tuple[str, str]]], bytes]
) -> None:
    bucket = store.bucket()
    names = ["cat-2/1.png", "cat/1.png", "cat/\u00e9.png", "cat/\U0001f600.png", "cat0.png"]
    for each in names:
        bucket.write(f"data/{each}", each.encode())
    bucket.write(f"data/{name}", write([(each, "cat") for each in reversed(names)] + [("no.png", "cat")]))
    reports = Reports()
    source = open_source(Data(images=f"{bucket.uri('data')}/{name}"))
    entries = list(source.entries(reports))

    assert names == [entry.name for entry in entries]
    assert [each.encode() for each in names] == [source.read(entry) for entry in entries]
    assert all(entry.stamp and entry.size for entry in entries)
    address = bucket.uri("data")
    number = 7 if name == "labels.csv" else 6
    assert [f"{address}/no.png does not exist; row {number} of {address}/{name} names it"] == reports.sentences
    bucket.close()


def test_shards_in_a_store_are_read_as_streams(store: ObjectStore) -> None:
    bucket = store.bucket()
    bucket.write("data/train-00000-of-00001", framed(ROSE))
    bucket.write("data/val.tfrecord.gz", gzip.compress(framed(TULIP)))
    source = open_source(Data(images=bucket.uri("data"), format="tfrecord"))
    found = [list(source.records(entry, Reports())) for entry in source.entries(Reports())]

    assert [[Record(0, b"rose.png", "rose")], [Record(0, b"tulip.png", "tulip")]] == found
    bucket.close()
