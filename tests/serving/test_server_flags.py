"""The command line of a server that follows releases: rendered in one place, and the documentation agrees with it."""

import re
import shlex
from pathlib import Path

import pytest

from serving.model_server.flags import Flags, parse_flags
from serving.server_flags import BasePathSource, ConfigSource, Source, replica_flags, required_flags

PROJECT = Path(__file__).parents[2]
CONFIG = ConfigSource(uri="/b/serve/m.config", poll_seconds=2)
BASE_PATH = BasePathSource(model="m", uri="/b/serve/m", poll_seconds=2)


@pytest.mark.parametrize("source", [CONFIG, BASE_PATH], ids=["config", "base path"])
def test_a_replica_has_what_is_required_and_more(source: Source) -> None:
    required = {word.split("=")[0] for word in required_flags(source)}
    words = replica_flags(source, port=1, rest_port=2)

    assert required < {word.split("=")[0] for word in words}
    assert len(words) == len({word.split("=")[0] for word in words})


def test_a_replica_that_polls_a_config() -> None:
    expected = Flags(
        port=8500,
        rest_api_port=8501,
        model_config_file="/b/serve/m.config",
        model_config_file_poll_wait_seconds=2,
        file_system_poll_wait_seconds=2,
        allow_version_labels_for_unavailable_models=True,
        num_load_threads=1,
        num_unload_threads=1,
        load_retry_interval_micros=1_000_000,
        max_num_load_retries=1,
        tensorflow_intra_op_parallelism=1,
    )

    assert expected == parse_flags(replica_flags(CONFIG, port=8500, rest_port=8501, threads=1))


def test_a_replica_that_polls_a_base_path() -> None:
    expected = Flags(
        port=8500,
        model_name="m",
        model_base_path="/b/serve/m",
        file_system_poll_wait_seconds=2,
        allow_version_labels_for_unavailable_models=True,
        num_load_threads=1,
        num_unload_threads=1,
        load_retry_interval_micros=1_000_000,
        max_num_load_retries=3,
    )

    assert expected == parse_flags(replica_flags(BASE_PATH, port=8500, load_retries=3))


def test_the_command_of_the_storage_page_has_the_required_flags() -> None:
    """A stock server takes them; that of the README is compared by tests/test_recipes.py."""
    page = (PROJECT / "docs" / "storage.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^tensorflow_model_server ((?:.*\\\n)*.*)$", page, re.MULTILINE)
    source = ConfigSource(uri="/srv/understudy/serve/digits.config")

    assert parse_flags(["--port=8500", *required_flags(source)]) == parse_flags(
        shlex.split(command.replace("\\\n", ""))
    )
