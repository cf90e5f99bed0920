import subprocess
import sys

import pytest

from serving.model_server.flags import Flags, parse_flags


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a refused command line is answered with, on stdout as upstream does."""
    with pytest.raises(SystemExit) as exit_:
        parse_flags(arguments)

    assert exit_.value.code == 255
    return capsys.readouterr().out


def test_spellings_of_upstream_are_understood() -> None:
    """`--name=value`, `--flag`, `--flag=true` and `--flag=false`; the last of several counts."""
    flags = parse_flags(
        [
            "--port=8500",
            "--port=18500",
            "--model_config_file=/models/a=b.config",
            "--allow_version_labels_for_unavailable_models",
            "--enable_model_warmup=false",
            "--load_retry_interval_micros=-1",
        ]
    )

    expected = Flags(
        port=18500,
        model_config_file="/models/a=b.config",
        allow_version_labels_for_unavailable_models=True,
        enable_model_warmup=False,
        load_retry_interval_micros=-1,
    )
    assert expected == flags


def test_defaults_are_upstream_s() -> None:
    flags = parse_flags(["--model_base_path=/models/m"])

    assert (
        flags.port,
        flags.grpc_socket_path,
        flags.ssl_config_file,
        flags.enable_grpc_healthcheck_service,
        flags.model_name,
        flags.model_config_file_poll_wait_seconds,
        flags.num_load_threads,
        flags.max_num_load_retries,
        flags.load_retry_interval_micros,
        flags.file_system_poll_wait_seconds,
        flags.saved_model_tags,
    ) == (8500, "", "", False, "default", 0, 0, 5, 60_000_000, 1, "serve")


def test_unsupported_flags_of_upstream_are_remembered_for_a_warning() -> None:
    flags = parse_flags(["--model_base_path=/m", "--prefer_tflite_model", "--platform_config_file=/p"])

    assert flags.ignored == ("platform_config_file", "prefer_tflite_model")


def test_an_unsupported_flag_at_its_default_is_not_worth_a_warning() -> None:
    flags = parse_flags(["--model_base_path=/m", "--prefer_tflite_model=false", "--enable_profiler=true"])

    assert flags.ignored == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no_such_flag=1"], "unknown argument: --no_such_flag=1"),
        (["--model_nam=x"], "unknown argument: --model_nam=x"),
        (["-port=1"], "unknown argument: -port=1"),
        (["--port", "8500"], "unknown argument: --port"),
        (["model"], "unknown argument: model"),
        (["--port=http"], "Couldn't interpret value http for flag port."),
        (["--port=1_000"], "Couldn't interpret value 1_000 for flag port."),
        (["--enable_model_warmup=perhaps"], "Couldn't interpret value perhaps for flag enable_model_warmup."),
        (["--enable_profiler=perhaps"], "Couldn't interpret value perhaps for flag enable_profiler."),
        (["--per_process_gpu_memory_fraction=all"], "Couldn't interpret value all for flag per_process_gpu"),
    ],
)
def test_a_word_that_is_not_understood_is_named_above_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    said = refusal(capsys, "--model_base_path=/m", *arguments)

    assert said.startswith(words)
    assert "\nusage: " in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (
            ["--port=0", "--model_base_path=/m"],
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.",
        ),
        (
            ["--use_alts_credentials", "--ssl_config_file=/s", "--model_base_path=/m"],
            "Either use_alts_credentials must be false or ssl_config_file must be empty.",
        ),
        (["--port=65536", "--model_base_path=/m"], "--port=65536 is not a TCP port"),
    ],
)
def test_flags_that_contradict_each_other_do_not_start(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert refusal(capsys, *arguments) == f"Failed to start server. Error: INVALID_ARGUMENT: {words}\n"


@pytest.mark.parametrize(("argument", "words"), [("--version", "TensorFlow Library: "), ("--help", '--model_name="d')])
def test_questions_are_answered_and_nothing_is_served(
    capsys: pytest.CaptureFixture[str], argument: str, words: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_flags([argument])

    assert exit_.value.code == 0
    assert words in capsys.readouterr().out


def test_a_bad_flag_is_refused_before_anything_heavy_is_imported() -> None:
    script = (
        "import sys, runpy\n"
        "sys.argv = ['model_server', '--no_such_flag']\n"
        "try: runpy.run_module('serving.model_server', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, sorted({'tensorflow', 'numpy', 'grpc'} & set(sys.modules)))\n"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)

    assert said.stdout.startswith("unknown argument: --no_such_flag\n")
    assert said.stdout.endswith("255 []\n")
