"""The command that makes a key."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.gateway.security.key_file import KeyFile
from serving.gateway.security.keys import find_key
from serving.gateway.security.new_key import main
from tests.serving.gateway.asking import Clock


def test_the_line_goes_to_the_file_and_the_key_only_to_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """...with `new_key NAME >> keys`."""
    assert main(["alice", "--rate", "2.5", "--expires", "2027-01-31"]) == 0
    out, err = capsys.readouterr()
    (tmp_path / "keys").write_text(out)
    key = next(word for word in err.split() if word.startswith("understudy_"))
    found = find_key(KeyFile(tmp_path / "keys", clock=Clock()).keys(), key)

    assert found is not None
    assert ("alice", 2.5, datetime(2027, 1, 31, tzinfo=UTC)) == (found.name, found.rate, found.expires)
    assert "understudy_" not in out


def test_the_rate_is_20_if_nobody_says_another(capsys: pytest.CaptureFixture[str]) -> None:
    main(["alice"])

    assert capsys.readouterr().out.split()[2:] == ["rate=20"]


@pytest.mark.parametrize("arguments", [["a b"], ["alice", "--rate", "0"], ["alice", "--expires", "soon"]])
def test_what_a_file_could_not_hold_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    out, err = capsys.readouterr()

    assert out == ""
    assert "Traceback" not in err
