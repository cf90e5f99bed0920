import subprocess
import sys

import pytest

from serving.model_server.flags import Flags, parse_flags


def test_spellings_of_upstream_are_understood() -> None:
    """`--name=value`, `--name value`, `--flag`, `--flag=true` and `--flag=false` all work."""
    flags = parse_flags(
        [
            "--port=18500",
            "--model_config_file",
            "/models/m.config",
            "--allow_version_labels_for_unavailable_models",
            "--enable_model_warmup=false",
            "--load_retry_interval_micros=-1",
        ]
    )

    expected = Flags(
        port=18500,
        model_config_file="/models/m.config",
        allow_version_labels_for_unavailable_models=True,
        enable_model_warmup=False,
        load_retry_interval_micros=-1,
    )
    assert expected == flags


def test_defaults_are_upstream_s() -> None:
    flags = parse_flags(["--model_base_path=/models/m"])

    assert (
        flags.port,
        flags.model_name,
        flags.model_config_file_poll_wait_seconds,
        flags.num_load_threads,
        flags.max_num_load_retries,
        flags.load_retry_interval_micros,
        flags.file_system_poll_wait_seconds,
        flags.saved_model_tags,
    ) == (8500, "default", 0, 0, 5, 60_000_000, 1, "serve")


def test_unsupported_flags_of_upstream_are_remembered_for_a_warning() -> None:
    flags = parse_flags(["--model_base_path=/m", "--rest_api_port=8501", "--enable_batching"])

    assert flags.ignored == ("enable_batching", "rest_api_port")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model_base_path=/m", "--no_such_flag=1"],
        ["--model_base_path=/m", "--port=http"],
        ["--model_base_path=/m", "--port=0"],
        ["--model_base_path=/m", "--enable_model_warmup=perhaps"],
        ["--model_base_path=/m", "--model_nam=x"],
        [],
    ],
)
def test_bad_command_lines_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_flags(arguments)

    assert exit_.value.code == 2


def test_a_bad_flag_is_refused_before_anything_heavy_is_imported() -> None:
    script = (
        "import sys, runpy\n"
        "sys.argv = ['model_server', '--no_such_flag']\n"
        "try: runpy.run_module('serving.model_server', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, sorted({'tensorflow', 'numpy', 'grpc'} & set(sys.modules)))\n"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)

    assert said.stdout == "2 []\n"
    assert "unrecognized arguments: --no_such_flag" in said.stderr
