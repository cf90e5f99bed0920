"""BatchingParameters in upstream's text format, with upstream's defaults and refusals."""

from pathlib import Path
from typing import Any

import pytest

from serving.model_server.batching.parameters import BatchingParameters, parameters_for, read_parameters
from serving.model_server.flags import Flags
from serving.status import InvalidArgumentError, StatusError

EVERYTHING = """
    # What a production file looks like.
    max_batch_size { value: 128 }
    batch_timeout_micros { value: 500 }
    max_enqueued_batches { value: 7 }
    num_batch_threads { value: 3 }
    thread_pool_name { value: "pool" }
    allowed_batch_sizes: 32 allowed_batch_sizes: 128
    pad_variable_length_inputs: true
    enable_large_batch_splitting { value: true }
    max_execution_batch_size { value: 64 }
"""


def written(directory: Path, text: str) -> str:
    file = directory / "batching.config"
    file.write_text(text)
    return str(file)


def test_every_field_is_read(tmp_path: Path) -> None:
    parameters = read_parameters(written(tmp_path, EVERYTHING))

    expected = BatchingParameters(
        max_batch_size=128,
        batch_timeout_micros=500,
        max_enqueued_batches=7,
        num_batch_threads=3,
        thread_pool_name="pool",
        allowed_batch_sizes=(32, 128),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=64,
    )
    assert expected == parameters


def test_what_is_left_out_is_upstream_s_default(tmp_path: Path) -> None:
    parameters = read_parameters(written(tmp_path, ""))

    assert parameters.num_batch_threads >= 1
    assert (
        parameters.max_batch_size,
        parameters.execution_limit,
        parameters.batch_timeout_micros,
        parameters.max_enqueued_batches,
        parameters.thread_pool_name,
    ) == (1000, 1000, 0, 10, "batch_threads")


def test_split_requests_run_in_batches_of_max_batch_size_unless_told_otherwise(tmp_path: Path) -> None:
    file = written(tmp_path, "max_batch_size { value: 9 } enable_large_batch_splitting { value: true }")

    assert read_parameters(file).execution_limit == 9


def test_a_negative_size_is_no_limit(tmp_path: Path) -> None:
    """Upstream reads it as an unsigned number."""
    assert read_parameters(written(tmp_path, "max_batch_size { value: -1 }")).max_batch_size == 2**64 - 1


@pytest.mark.parametrize("text", ["max_batch_size: 3", "no_such_field: 1", "max_batch_size {"])
def test_a_file_that_does_not_parse_is_named(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(InvalidArgumentError) as error:
        read_parameters(file)

    reason = "Error parsing text-format tensorflow.serving.BatchingParameters: 1:"
    assert error.value.message.startswith(f"Invalid protobuf file: '{file}' ({reason}")


def test_a_file_that_is_missing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="nowhere; No such file or directory"):
        read_parameters(str(tmp_path / "nowhere"))


def test_the_file_is_read_only_where_batching_is_enabled(tmp_path: Path) -> None:
    file = written(tmp_path, EVERYTHING)
    enabled = parameters_for(Flags(enable_batching=True, batching_parameters_file=file))

    assert enabled == read_parameters(file)
    assert parameters_for(Flags()) is None
    with pytest.raises(InvalidArgumentError) as error:
        parameters_for(Flags(batching_parameters_file=file))
    assert error.value.message == (
        "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
    )


def test_without_a_file_the_threads_have_a_name_of_their_own() -> None:
    parameters = parameters_for(Flags(enable_batching=True))

    assert parameters is not None
    assert parameters.thread_pool_name == "model_server_batch_threads"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"max_batch_size": 8, "allowed_batch_sizes": (2, 4)},
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        (
            {"allowed_batch_sizes": (2, 4)},
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 1000",
        ),
        ({"max_batch_size": 0}, "input_batch_size_limit must be positive; was 0"),
        ({"batch_timeout_micros": -1}, "batch_timeout_micros must be non-negative; was -1"),
        (
            {"max_enqueued_batches": 0, "enable_large_batch_splitting": True},
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            {"max_batch_size": 8, "enable_large_batch_splitting": True, "max_execution_batch_size": 9},
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
            "max_execution_batch_size.189",
        ),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        BatchingParameters(**fields).check()

    assert words == error.value.message


def test_sizes_are_rounded_to_the_first_allowed_one_that_is_enough() -> None:
    """Upstream's server does not look whether they are in order."""
    assert [BatchingParameters(allowed_batch_sizes=(2, 4, 8)).rounded(size) for size in (1, 2, 3, 8)] == [2, 2, 4, 8]
    assert BatchingParameters(allowed_batch_sizes=(4, 2, 8)).rounded(1) == 4
    assert BatchingParameters().rounded(3) == 3
