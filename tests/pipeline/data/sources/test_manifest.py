"""Images that a CSV or Parquet file names."""

import io
import logging
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.source import Entry
from pipeline.data.sources.manifest import ManifestSource
from pipeline.data.sources.manifest_table import manifest_table
from pipeline.errors import BadInputError
from pipeline.spec import Data
from tests.hunts import hunt
from tests.pipeline.data.pictures import write_old
from tests.pipeline.data.sources.folder_tree import FolderTree
from tests.pipeline.data.sources.reports import Reports

ADDRESSES = ["", "gs://bucket/flowers"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the images `a.png`, `b.png` and `deep/c.png`."""
    folder = tmp_path / "flowers"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/c.png"):
        write_old(folder / name, name.encode())
    return folder


def csv(root: Path, content: str | bytes, name: str = "labels.csv") -> str:
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def parquet(root: Path, name: str = "labels.parquet", **columns: Any) -> str:
    pq.write_table(pa.table(columns), root / name, row_group_size=2)
    return name


def source(root: Path, name: str, address: str = "", **settings: Any) -> ManifestSource:
    return ManifestSource(Data(images=str(root / name), **settings), FolderTree(root, address), name)


def listed(root: Path, name: str, address: str = "", **settings: Any) -> tuple[list[Entry], list[str]]:
    """What is listed, and what is reported, without the address of the folder."""
    reports = Reports()
    entries = list(source(root, name, address, **settings).entries(reports))
    return entries, [sentence.replace(address or str(root), "ROOT") for sentence in reports.sentences]


def labels(entries: list[Entry]) -> dict[str, str]:
    return {entry.name: entry.label for entry in entries}


def refusal(root: Path, name: str, **settings: Any) -> str:
    with pytest.raises(BadInputError) as error:
        listed(root, name, **settings)
    return str(error.value).replace(str(root), "ROOT")


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_row_of_a_csv_file_is_an_image_with_its_size_and_stamp(root: Path, address: str) -> None:
    name = csv(root, "path,label\ndeep/c.png,rose\na.png,tulip\nb.png,rose\n")

    entries, reports = listed(root, name, address)

    assert ["a.png", "b.png", "deep/c.png"] == [entry.name for entry in entries], "sorted, in any order of the rows"
    assert {"a.png": "tulip", "b.png": "rose", "deep/c.png": "rose"} == labels(entries)
    assert Entry("a.png", 5, str((root / "a.png").stat().st_mtime_ns), "tulip") == entries[0]
    assert [] == reports


def test_an_object_store_is_listed_once_and_a_disk_is_asked_for_each_row(root: Path) -> None:
    name = csv(root, "path,label\na.png,tulip\nb.png,rose\n")
    looked_up = []
    for address in ADDRESSES:
        tree = FolderTree(root, address)
        list(ManifestSource(Data(images=name), tree, name).entries(Reports()))
        looked_up.append(tree.looked_up)

    assert [["a.png", "b.png"], []] == looked_up


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbfpath,label\r\na.png,tulip\r\n", id="byte order mark and CRLF"),
        pytest.param('path,label\n"a.png","tulip"\n', id="quoted"),
        pytest.param("label,other,path\ntulip,1,a.png\n", id="other columns, another order"),
        pytest.param("path, label\na.png, tulip \n\n", id="blanks around values, an empty line"),
        pytest.param("path,label\n./a.png,tulip\n", id="./"),
        pytest.param("path,label\na.png,tulip\n./a.png,tulip\n", id="twice with the same label"),
    ],
)
def test_what_programs_write_as_csv_is_read(root: Path, content: str | bytes) -> None:
    entries, reports = listed(root, csv(root, content))

    assert {"a.png": "tulip"} == labels(entries)
    assert [] == reports


def test_a_quoted_field_may_hold_commas_quotes_and_line_ends(root: Path) -> None:
    entries, _ = listed(root, csv(root, 'path,label\na.png,"Pepper, ""bell""\nred"\nb.png,Größe\n'))

    assert {"a.png": 'Pepper, "bell"\nred', "b.png": "Größe"} == labels(entries)


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pa.array(["7", "8"]), id="strings"),
        pytest.param(pa.array(["7", "8"], pa.large_string()), id="large strings"),
        pytest.param(pa.array(["7", "8"]).dictionary_encode(), id="dictionary of strings"),
        pytest.param(pa.array([7, 8], pa.int64()), id="integers"),
        pytest.param(pa.array([7, 8], pa.uint8()).dictionary_encode(), id="dictionary of integers"),
    ],
)
def test_labels_in_parquet_may_be_strings_dictionaries_or_integers(root: Path, column: "pa.Array") -> None:
    entries, _ = listed(root, parquet(root, path=["a.png", "b.png"], label=column))

    assert {"a.png": "7", "b.png": "8"} == labels(entries)


def test_rows_after_the_first_row_group_of_a_parquet_file_are_read(root: Path) -> None:
    entries, reports = listed(root, parquet(root, path=["a.png", "b.png", "x.png", "deep/c.png"], label=[1, 2, 3, 4]))

    assert {"a.png": "1", "b.png": "2", "deep/c.png": "4"} == labels(entries)
    assert ["ROOT/x.png does not exist; row 3 of ROOT/labels.parquet names it"] == reports


def test_other_names_of_columns_and_slices_are_read(root: Path) -> None:
    columns = {"image": "file", "label": "class", "split": "fold"}
    name = csv(root, "file,class,fold,camera,site\na.png,tulip,dev,north,\n")

    entries, _ = listed(root, name, columns=columns, splits="given", slices=("site", "camera"))

    assert ("validation", ("", "north")) == (entries[0].split, entries[0].slices)


def test_slices_in_parquet_may_have_any_type(root: Path) -> None:
    name = parquet(root, path=["a.png", "b.png"], label=["x", "y"], night=[True, None], lux=[0.5, 2.0])

    entries, _ = listed(root, name, slices=("night", "lux"))

    assert [("True", "0.5"), ("", "2.0")] == [entry.slices for entry in entries]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(pa.date32(), 10_000_000, id="date after the year 9999"),
        pytest.param(pa.date32(), -10_000_000, id="date before the year 1"),
        pytest.param(pa.timestamp("s"), 10**12, id="moment after the year 9999"),
        pytest.param(pa.timestamp("s", "America/New_York"), -62_135_596_800, id="before the year 1 in its time zone"),
        pytest.param(pa.duration("s"), 2**62, id="duration"),
    ],
)
def test_a_date_or_duration_that_is_out_of_range_is_reported_with_its_row(
    root: Path, kind: "pa.DataType", value: int
) -> None:
    storage = pa.int32() if kind == pa.date32() else pa.int64()
    taken = pa.array([0, None, value, 0], storage).cast(kind)
    names = ["a.png", "b.png", "x.png", "deep/c.png"]
    entries, reports = listed(root, parquet(root, path=names, label=[1] * 4, taken=taken), slices=("taken",))

    assert ["a.png", "b.png", "deep/c.png"] == [entry.name for entry in entries]
    assert ("",) == entries[1].slices
    assert entries[0].slices == entries[2].slices != ("",)
    assert [
        "row 3 of ROOT/labels.parquet has a date, time or duration out of range in the column 'taken'; correct it"
    ] == reports


def test_blanks_around_slices_are_removed(root: Path) -> None:
    entries, _ = listed(root, csv(root, "path,label,camera\na.png,x, north \n"), slices=("camera",))

    assert [("north",)] == [entry.slices for entry in entries]


@pytest.mark.parametrize("address", ADDRESSES)
def test_nul_characters_are_refused_in_labels_and_paths_and_other_control_characters_are_not(
    root: Path, address: str
) -> None:
    name = csv(root, 'path,label\na.png,"ro\x07\nse"\nb.png,ro\0se\nx\0.png,rose\n')
    entries, reports = listed(root, name, address)

    assert {"a.png": "ro\x07\nse"} == labels(entries)
    assert [
        "b.png has the label 'ro\\x00se', which contains a NUL character; correct it (row 3 of ROOT/labels.csv)",
        "x\0.png contains a NUL character in its path; correct it (row 4 of ROOT/labels.csv)",
    ] == reports


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (
            ",".join(f"c{number}" for number in range(1_000_000)),
            ", ".join(f"'c{number}'" for number in range(12)) + " and 999,988 more",
        ),
        ("x" * 100_000, f"'{'x' * 79}..."),
    ],
)
def test_a_message_shows_a_dozen_columns_and_the_beginnings_of_their_names(root: Path, header: str, shown: str) -> None:
    assert f"has no column 'path', 'label'; it has {shown}. Name the right ones" in refusal(root, csv(root, header))


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (("train", "Training"), "train"),
        (("val", "valid", "validation", "DEV"), "validation"),
        (("test", "Testing", "holdout"), "holdout"),
        (("", " "), None),
    ],
)
def test_words_that_people_have_for_splits(root: Path, words: tuple[str, ...], split: str | None) -> None:
    for word in words:
        entries, reports = listed(root, csv(root, f"path,label,split\na.png,x,{word}\n"), splits="given")

        assert ([split], []) == ([entry.split for entry in entries], reports)


def test_a_split_column_that_is_not_asked_for_is_ignored_and_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = csv(root, "path,label,split\na.png,tulip,no word\n")
    with caplog.at_level(logging.INFO):
        entries, reports = listed(root, name)

    assert ([None], []) == ([entry.split for entry in entries], reports)
    assert "the column 'split' is ignored, because data.splits is content" in caplog.text


ROWS = {
    "does-not-exist.png,x": "ROOT/does-not-exist.png does not exist; row 3 of ROOT/labels.csv names it",
    "deep,x": "ROOT/deep is a folder; row 3 of ROOT/labels.csv names it",
    "b.png,": "b.png has no label; add it or remove the row (row 3 of ROOT/labels.csv)",
    "b.png, ": "b.png has no label; add it or remove the row (row 3 of ROOT/labels.csv)",
    ",x": "row 3 of ROOT/labels.csv names no path; add it or remove the row",
    "b.png": "row 3 of ROOT/labels.csv has 1 fields, and the header has 2; correct it",
    "b.png,x,y": "row 3 of ROOT/labels.csv has 3 fields, and the header has 2; correct it",
    ".,x": ". names a folder; name an image (row 3 of ROOT/labels.csv)",
    "../b.png,x": "../b.png is refused, because it contains '..'; images have to be below ROOT "
    "(row 3 of ROOT/labels.csv)",
    "/etc/b.png,x": "/etc/b.png is not below ROOT, the folder of the manifest; move the manifest or the image "
    "(row 3 of ROOT/labels.csv)",
    "s3://other/b.png,x": "s3://other/b.png is not below ROOT, the folder of the manifest; move the manifest or the "
    "image (row 3 of ROOT/labels.csv)",
}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_cannot_be_used_is_reported_with_its_number_and_path(root: Path, row: str, address: str) -> None:
    entries, reports = listed(root, csv(root, f"path,label\na.png,tulip\n{row}\n"), address)

    # A store has no folders.
    expected = ROWS[row].replace("is a folder", "does not exist") if address else ROWS[row]
    assert ({"a.png": "tulip"}, [expected]) == (labels(entries), reports)


def test_a_split_word_that_is_not_known_is_reported(root: Path) -> None:
    entries, reports = listed(root, csv(root, "path,label,split\na.png,x,tset\nb.png,x,test\n"), splits="given")

    assert ["b.png"] == [entry.name for entry in entries]
    assert reports[0].startswith("a.png has the split 'tset'; use one of train (or training), val (or valid")
    assert reports[0].endswith("(row 2 of ROOT/labels.csv)")


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_absolute_path_below_the_folder_of_the_manifest_is_used(root: Path, address: str) -> None:
    entries, reports = listed(root, csv(root, f"path,label\n{address or root}/deep/c.png,x\n"), address)

    assert ({"deep/c.png": "x"}, []) == (labels(entries), reports)


def test_an_absolute_path_may_name_the_folder_that_a_link_leads_to(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)

    entries, reports = listed(link, csv(root, f"path,label\n{root}/a.png,x\n"))

    assert ({"a.png": "x"}, []) == (labels(entries), reports)


def test_an_image_with_two_labels_is_left_out_and_reported_with_both_rows(root: Path) -> None:
    entries, reports = listed(root, csv(root, "path,label\na.png,tulip\nb.png,x\n./a.png,rose\n"))

    assert {"b.png": "x"} == labels(entries)
    assert ["ROOT/a.png has two labels in ROOT/labels.csv: 'tulip' in row 2 and 'rose' in row 4; keep one"] == reports


def test_an_image_with_two_splits_is_left_out_and_reported(root: Path) -> None:
    entries, reports = listed(root, csv(root, "path,label,split\na.png,x,train\na.png,x,test\n"), splits="given")

    assert [] == entries
    assert [
        "ROOT/a.png has two splits in ROOT/labels.csv: 'train' in row 2 and 'holdout' in row 3; keep one"
    ] == reports


@pytest.mark.parametrize(
    ("content", "settings", "expected"),
    [
        ("file,class\n", {}, "ROOT/labels.csv has no column 'path', 'label'; it has 'file', 'class'. Name the right"),
        ("path;label\na;b\n", {}, "it has 'path;label'"),
        ("", {}, "it has none"),
        (
            "path,label\n",
            {"splits": "given"},
            "has no column 'split'; it has 'path', 'label'. Name the column with the",
        ),
        ("path,label\n", {"slices": ("camera",)}, "has no column 'camera'"),
        ("path,label,label\n", {}, "has the column 'label' more than once"),
        ("path,label\n", {}, "has no rows"),
        ("path,label\n\n", {}, "has no rows"),
        ("path,label\n".encode("utf-16"), {}, "ROOT/labels.csv is not UTF-8 in row 1"),
        ("path,label\na.png,Größe\n".encode("latin-1"), {}, "is not UTF-8 in row 2"),
        ('path,label\na.png,"x\n', {}, "row 2 of ROOT/labels.csv is not CSV (unexpected end of data)"),
        ("path,label\na.png," + "x" * 200_000, {}, "row 2 of ROOT/labels.csv is not CSV (field larger"),
    ],
)
def test_a_csv_file_that_cannot_be_used_at_all(
    root: Path, content: str | bytes, settings: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(root, csv(root, content), **settings)


def test_a_csv_file_that_is_one_line_larger_than_memory_is_refused(root: Path) -> None:
    os.truncate(root / csv(root, "path,label\n"), 20_000_000_000)

    assert "row 2 of ROOT/labels.csv is not CSV (line longer than 67,108,864 bytes); correct it" in refusal(
        root, "labels.csv"
    )


def test_a_parquet_file_that_cannot_be_used_at_all(root: Path) -> None:
    whole = (root / parquet(root, path=["a.png"] * 5000, label=list(map(str, range(5000))))).read_bytes()

    assert "cannot be read as Parquet" in refusal(root, csv(root, b"path,label\n", "labels.parquet"))
    assert "cannot be read as Parquet" in refusal(root, csv(root, whole[:-100], "labels.parquet"))
    assert "has the type double; it should have strings or integers" in refusal(
        root, parquet(root, path=["a.png"], label=[0.5])
    )
    assert "'path' of ROOT/labels.parquet has the type int64; it should have strings" in refusal(
        root, parquet(root, path=[1], label=["x"])
    )
    assert "has no column 'label'; it has 'path'" in refusal(root, parquet(root, path=["a.png"]))
    assert "data.images: ROOT/labels.csv does not exist; correct the path" == refusal(root, "labels.csv")


def test_a_manifest_with_another_suffix_is_read_as_csv(root: Path) -> None:
    entries, _ = listed(root, csv(root, "path,label\na.png,tulip\n", "labels.txt"), format="manifest")

    assert {"a.png": "tulip"} == labels(entries)


def test_a_parquet_file_that_is_damaged_inside_is_refused(root: Path) -> None:
    content = bytearray((root / parquet(root, path=[f"{n}.png" for n in range(5000)], label=[1] * 5000)).read_bytes())
    content[10:4000] = bytes(3990)

    assert "cannot be read as Parquet after row" in refusal(root, csv(root, bytes(content), "labels.parquet"))


def test_an_image_is_read_by_its_entry(root: Path) -> None:
    manifest = source(root, csv(root, "path,label\na.png,x\n"))
    (entry,) = manifest.entries(Reports())

    assert (b"a.png", f"{root}/a.png", False) == (manifest.read(entry), manifest.shown(entry.name), manifest.is_sharded)


def peak(root: Path, rows: int) -> int:
    """The memory, in bytes, that Python needs at most for a manifest of so many rows."""
    text = io.StringIO()
    text.write("path,label\n")
    for number in range(rows):
        text.write(f"folder/{number:09d}.png,label\n")
    name = csv(root, text.getvalue())
    del text
    tracemalloc.start()
    try:
        with manifest_table() as table:
            source(root, name).fill(table, Reports())
            assert rows == sum(1 for _ in table.images())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@hunt
def test_memory_does_not_grow_with_the_rows(root: Path) -> None:
    small, large = peak(root, 5_000), peak(root, 100_000)

    assert large <= 1.1 * small + 100_000
