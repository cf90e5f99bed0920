import pytest

from serving.version_names import parse_version


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("0", 0),
        ("123", 123),
        ("00000123", 123),
        ("+5", 5),
        ("-5", -5),
        (" 7 ", 7),
        ("20170111173521", 20170111173521),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("v1", None),
        ("1.tmp", None),
        ("7.denied", None),
        ("1_0", None),
        ("٣", None),
        ("", None),
        ("+", None),
        ("0x10", None),
    ],
)
def test_directory_names_are_read_as_simple_atoi_reads_them(name: str, version: int | None) -> None:
    assert version == parse_version(name)
