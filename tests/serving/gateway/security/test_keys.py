"""API keys and the file that holds their hashes."""

import hashlib
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.security.keys import (
    LONGEST,
    PREFIX,
    Key,
    KeysError,
    digest_of,
    find_key,
    moment_of,
    new_key,
    parse_keys,
)

HASH = "sha256:" + "0f" * 32
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)
KEYS = st.lists(
    st.builds(
        Key,
        name=NAMES,
        digest=st.binary(min_size=32, max_size=32),
        rate=st.none() | st.integers(1, 100_000).map(float) | st.sampled_from([0.25, 1.5]),
        expires=st.none() | st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    ),
    unique_by=(lambda key: key.name, lambda key: key.digest),
    max_size=5,
)


def test_a_key_is_256_random_bits() -> None:
    made = {new_key() for _ in range(50)}

    assert len(made) == 50
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 for key in made)


def test_the_hash_is_that_of_common_tools() -> None:
    """...as in `printf %s KEY | sha256sum`."""
    assert hashlib.sha256(b"understudy_x").digest() == digest_of("understudy_x")


@given(KEYS)
def test_the_lines_of_keys_are_read_as_they_were_written(keys: list[Key]) -> None:
    text = "# who\n\n" + "".join(f"{key.line()}\n" for key in keys)

    assert tuple(keys) == parse_keys(text)


@given(st.text(max_size=200))
def test_any_text_is_keys_or_an_error_that_names_a_line(text: str) -> None:
    error = ""
    try:
        keys = parse_keys(text)
    except KeysError as refused:
        error = str(refused)

    assert error.startswith("line ") if error else all(key.name for key in keys)


@given(st.lists(st.text(string.ascii_letters, min_size=1), min_size=1, max_size=6, unique=True), st.data())
def test_a_key_is_found_by_its_whole_text_and_nothing_else(texts: list[str], data: st.DataObject) -> None:
    keys = [Key(name=f"k{number}", digest=digest_of(text)) for number, text in enumerate(texts)]
    other = data.draw(st.text(string.ascii_letters).filter(lambda text: text not in texts))

    assert [find_key(keys, text) for text in texts] == keys
    assert find_key(keys, other) is None


def test_a_text_longer_than_any_key_is_not_hashed() -> None:
    long = "a" * (LONGEST + 1)

    assert find_key([Key(name="long", digest=digest_of(long))], long) is None


@pytest.mark.parametrize(
    "line",
    [
        "alice",
        "alice understudy_Zm9vYmFy",
        "alice sha256:0f0f",
        f"alice {HASH.upper()}",
        f"a/b {HASH}",
        f"{'a' * 64} {HASH}",
        f"alice {HASH} rate=0",
        f"alice {HASH} rate=-1",
        f"alice {HASH} rate=nan",
        f"alice {HASH} rate=inf",
        f"alice {HASH} rate=many",
        f"alice {HASH} rate=",
        f"alice {HASH} rate=1 rate=2",
        f"alice {HASH} expires=tomorrow",
        f"alice {HASH} expires=2027-02-30",
        f"alice {HASH} role=admin",
        f"alice {HASH} understudy_Zm9vYmFy",
        f"bob {HASH}",
        "carol sha256:" + "1e" * 32,
    ],
)
def test_a_wrong_line_is_named_and_not_repeated(line: str) -> None:
    """...because the key itself may stand in it."""
    with pytest.raises(KeysError, match=r"^line 3: ") as refused:
        parse_keys(f"# keys\ncarol {HASH}\n{line}\n")

    assert "understudy_" not in str(refused.value)
    assert "0f0f" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "\n", "# nobody\n"])
def test_a_text_without_lines_has_no_keys(text: str) -> None:
    assert parse_keys(text) == ()


def test_a_key_expires_at_the_begin_of_its_day_in_utc() -> None:
    (key,) = parse_keys(f"alice {HASH} expires=2027-01-31 # a trial")
    end = datetime(2027, 1, 31, tzinfo=UTC)

    assert not key.expired(end - timedelta(seconds=1))
    assert key.expired(end)


def test_a_moment_may_have_its_own_zone() -> None:
    assert datetime(2027, 1, 31, 16, tzinfo=UTC) == moment_of("2027-01-31T18:00:00+02:00")
    assert datetime(2027, 1, 31, 18, tzinfo=UTC) == moment_of("2027-01-31T18:00:00")
