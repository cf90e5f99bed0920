"""Flags and the ConfigProto they add up to."""

from pathlib import Path

import pytest
from grpc import StatusCode

from serving.apis import rewriter_config_pb2
from serving.model_server.flags import parse_flags
from serving.model_server.loading.session_config import session_config, session_threads
from serving.status import InvalidArgumentError, StatusError


@pytest.mark.parametrize(
    ("arguments", "threads"),
    [
        ([], (0, 0)),
        (["--tensorflow_session_parallelism=3"], (3, 3)),
        (["--tensorflow_intra_op_parallelism=2"], (2, 0)),
        (["--tensorflow_session_parallelism=3", "--tensorflow_inter_op_parallelism=2"], (0, 2)),
    ],
)
def test_separate_numbers_of_threads_win_over_the_common_one(arguments: list[str], threads: tuple[int, int]) -> None:
    assert threads == session_threads(parse_flags(["--model_base_path=/m", *arguments]))


def test_the_file_is_read_and_the_flags_overrule_it(tmp_path: Path) -> None:
    file = tmp_path / "session.config"
    file.write_text("use_per_session_threads: true intra_op_parallelism_threads: 7")
    flags = ["--model_base_path=/m", f"--tensorflow_session_config_file={file}", "--mixed_precision=bfloat16"]
    config = session_config(parse_flags([*flags, "--tensorflow_intra_op_parallelism=2"]))
    rewrites = config.graph_options.rewrite_options

    assert (True, 2) == (config.use_per_session_threads, config.intra_op_parallelism_threads)
    assert rewriter_config_pb2.RewriterConfig.ON == rewrites.auto_mixed_precision_onednn_bfloat16


def test_a_file_that_is_missing_or_no_session_config_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "session.config"
    flags = parse_flags(["--model_base_path=/m", f"--tensorflow_session_config_file={file}"])
    with pytest.raises(StatusError) as missing:
        session_config(flags)
    file.write_text("colour: green")
    with pytest.raises(InvalidArgumentError, match=r"Error parsing text-format tensorflow\.ConfigProto: 1:"):
        session_config(flags)
    assert StatusCode.NOT_FOUND == missing.value.code


def test_idle_threads_sleep_unless_a_file_decides(tmp_path: Path) -> None:
    file = tmp_path / "session.config"
    file.write_text("")

    assert session_config(parse_flags(["--model_base_path=/m"])).experimental.disable_thread_spinning
    decided = session_config(parse_flags(["--model_base_path=/m", f"--tensorflow_session_config_file={file}"]))
    assert not decided.experimental.disable_thread_spinning
