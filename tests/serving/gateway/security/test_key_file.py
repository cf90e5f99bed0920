"""A file of keys that changes while the gateway runs."""

import logging
import os
from pathlib import Path

import pytest

from serving.gateway.security.key_file import LOOK_SECONDS, KeyFile
from serving.gateway.security.keys import LARGEST_FILE, Key, KeysError, digest_of
from tests.serving.gateway.asking import Clock

ALICE = Key(name="alice", digest=digest_of("understudy_a"))
BOB = Key(name="bob", digest=digest_of("understudy_b"), rate=5.0)


def write(path: Path, *keys: Key) -> None:
    path.write_text("# keys\n" + "".join(f"{key.line()}\n" for key in keys))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "keys", ALICE, BOB)
    return tmp_path / "keys"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_is_revoked_and_another_added_without_a_restart(path: Path, clock: Clock) -> None:
    file = KeyFile(path, clock=clock)
    before = file.keys()
    write(path, BOB)
    clock.passes(LOOK_SECONDS)

    assert (ALICE, BOB) == before
    assert file.keys() == (BOB,)
    write(path)
    clock.passes(LOOK_SECONDS)
    assert file.keys() == ()


def test_the_file_is_read_once_a_second_at_most(path: Path, clock: Clock) -> None:
    file = KeyFile(path, clock=clock)
    write(path, BOB)
    clock.passes(LOOK_SECONDS * 0.9)

    assert file.keys() == (ALICE, BOB)


def test_a_change_of_the_same_size_within_one_tick_of_the_clock_is_seen(path: Path, clock: Clock) -> None:
    file = KeyFile(path, clock=clock)
    before = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"alice", b"carol"))

    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.passes(LOOK_SECONDS)

    assert file.keys()[0].name == "carol"


def test_a_secret_of_kubernetes_is_replaced_by_way_of_links(tmp_path: Path, clock: Clock) -> None:
    for name, keys in (("..1", (ALICE,)), ("..2", (BOB,))):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "keys", *keys)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys").symlink_to("..data/keys")
    file = KeyFile(tmp_path / "keys", clock=clock)
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    clock.passes(LOOK_SECONDS)

    assert file.keys() == (BOB,)


@pytest.mark.parametrize("damage", ["alice understudy_a\n", None, "\x00", "#" * (LARGEST_FILE + 1)])
def test_a_damaged_file_keeps_the_last_keys_and_is_reported_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, damage: str | None
) -> None:
    file = KeyFile(path, clock=clock)
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    for _ in range(3):
        clock.passes(LOOK_SECONDS)
        assert file.keys() == (ALICE, BOB)

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "no restart is needed" in record.getMessage()
    assert "understudy_a" not in record.getMessage()
    write(path, BOB)
    clock.passes(LOOK_SECONDS)
    assert file.keys() == (BOB,)


def test_a_file_whose_last_line_was_deleted_has_no_keys(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """...also where that leaves an empty file: a key that was revoked must not stay valid."""
    file = KeyFile(path, clock=clock)
    path.write_bytes(b"")
    clock.passes(LOOK_SECONDS)

    assert file.keys() == ()
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "every request that needs one is refused" in warning.getMessage()


def test_a_file_that_is_empty_while_it_is_written_counts_again_at_once(path: Path, clock: Clock) -> None:
    """...so who asks meanwhile is refused, and nobody waits for the next look."""
    file = KeyFile(path, clock=clock)
    path.write_bytes(b"")
    clock.passes(LOOK_SECONDS)
    meanwhile = file.keys()
    write(path, ALICE, BOB)

    assert meanwhile == ()
    assert file.keys() == (ALICE, BOB)


def test_a_gateway_starts_with_an_empty_file_and_says_that_nobody_can_ask(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """...because it may be started again after its last key was revoked."""
    path.write_bytes(b"")
    file = KeyFile(path, clock=clock)

    assert file.keys() == ()
    assert ["has no keys" in record.getMessage() for record in caplog.records] == [True]
    write(path, ALICE)
    assert file.keys() == (ALICE,)


def test_a_file_that_is_not_utf_8_is_damaged(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(KeysError, match="UTF-8"):
        KeyFile(path, clock=Clock())


def test_a_gateway_does_not_start_without_its_keys(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="missing, cannot be used: No such file"):
        KeyFile(tmp_path / "missing", clock=Clock())
