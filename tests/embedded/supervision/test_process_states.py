import pytest

from embedded.settings import StackSettings
from embedded.supervision import process_states


@pytest.mark.parametrize("content", ["", "{", "[]", '{"supervisor": 1, "processes": [{"pid": "x"}]}', "\0\xff"])
def test_a_damaged_file_counts_as_none(settings: StackSettings, content: str) -> None:
    process_states.state_file(settings).write_text(content, encoding="utf-8")

    assert {} == process_states.read(settings, 1)
