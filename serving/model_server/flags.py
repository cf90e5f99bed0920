"""The command line, spelled as `tensorflow_model_server` spells it.

`--name=value`, and `--name` alone for what is true or false; the last of several counts. `--name value` is refused:
tensorflow_model_server takes neither word for anything it knows, says so, and starts with its defaults.
Read before anything heavy is imported, so that a typing error is answered at once.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import Any, Never

# tensorflow_model_server ends with -1, which a shell sees as 255.
FAILED = 255

# Flags of tensorflow_model_server that mean nothing here, or not yet, with its defaults: a command line written for
# production still starts this server, and a warning says what it does not get.
UNSUPPORTED: dict[str, bool | int | float | str] = {
    "enable_profiler": True,
    "flush_filesystem_caches": True,
    "num_tflite_interpreters_per_pool": 1,
    "num_tflite_pools": 0,
    "platform_config_file": "",
    "prefer_tflite_model": False,
    "remove_unused_fields_from_bundle_metagraph": True,
    "skip_initialize_tpu": False,
    "thread_pool_factory_config_file": "",
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
}


def _flag(default: bool | int | float | str, description: str) -> Any:
    return field(default=default, metadata={"help": description})


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What this process was asked to do; names and defaults are upstream's, except `host`."""

    host: str = _flag("127.0.0.1", "Address to listen on; not a flag of tensorflow_model_server, which takes 0.0.0.0.")
    port: int = _flag(8500, "TCP port of the gRPC API; 0 leaves only --grpc_socket_path.")
    grpc_socket_path: str = _flag("", "UNIX socket of the gRPC API, besides the port or instead of it.")
    grpc_channel_arguments: str = _flag("", "Options of the gRPC server, such as grpc.max_connection_age_ms=2000,...")
    ssl_config_file: str = _flag("", "Text SSLConfig: speak TLS with the key and the certificate in it.")
    use_alts_credentials: bool = _flag(False, "Speak ALTS, which works between machines of Google Cloud only.")
    enable_grpc_healthcheck_service: bool = _flag(False, "Answer grpc.health.v1.Health.")
    rest_api_port: int = _flag(0, "TCP port of the REST API, not that of gRPC; 0 leaves REST off.")
    rest_api_num_threads: int = _flag(0, "REST requests handled at a time; 0 is four for each CPU.")
    rest_api_timeout_in_ms: int = _flag(30_000, "Milliseconds a model has for a REST request; 0 sets no limit.")
    rest_api_enable_cors_support: bool = _flag(False, "Let pages of other sites use the REST API.")
    monitoring_config_file: str = _flag("", "Text MonitoringConfig: let Prometheus read metrics from the REST port.")
    model_config_file: str = _flag(
        "", "Text ModelServerConfig to serve; --model_name and --model_base_path are then ignored."
    )
    model_config_file_poll_wait_seconds: int = _flag(0, "Seconds between two looks at that file; 0 looks once.")
    model_name: str = _flag("default", "Name of the model under --model_base_path.")
    model_base_path: str = _flag("", "Directory whose numeric children are the versions of the model.")
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "Let a label that is not in use point at a version that is not available yet."
    )
    num_load_threads: int = _flag(0, "Threads that load; 0 loads on the manager's own loop.")
    num_unload_threads: int = _flag(0, "Threads that unload; 0 unloads on the manager's own loop.")
    max_num_load_retries: int = _flag(5, "Tries after a first load that failed.")
    load_retry_interval_micros: int = _flag(60_000_000, "Microseconds between two tries; negative does not wait.")
    file_system_poll_wait_seconds: int = _flag(
        1, "Seconds between two looks for versions; 0 looks once, negative never."
    )
    enable_signature_method_name_check: bool = _flag(
        False, "Ask a signature only with the method it was exported for, which TensorFlow 2 does not record."
    )
    enable_model_warmup: bool = _flag(True, "Replay assets.extra/tf_serving_warmup_requests while loading.")
    num_request_iterations_for_warmup: int = _flag(0, "Times each of these requests is replayed; 0 is once.")
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the meta graph to load.")
    enable_batching: bool = _flag(False, "Run the requests of several clients together.")
    batching_parameters_file: str = _flag("", "Text BatchingParameters; without it upstream's defaults.")
    enable_per_model_batching_parameters: bool = _flag(
        False, "Batch by batching_params.pbtxt in the directory of each version, and not where there is none."
    )
    grpc_max_threads: int = _flag(0, "Requests handled at a time; 0 is four for each CPU.")
    enable_serialization_as_tensor_content: bool = _flag(False, "Answer with tensor_content, not with value fields.")
    tensorflow_session_config_file: str = _flag("", "Text ConfigProto for the sessions of all models.")
    tensorflow_session_parallelism: int = _flag(0, "Threads of a session, within and between operations.")
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads within one operation.")
    tensorflow_inter_op_parallelism: int = _flag(0, "Operations at a time.")
    per_process_gpu_memory_fraction: float = _flag(0.0, "Part of a GPU's memory to take; 0 leaves it to TensorFlow.")
    mixed_precision: str = _flag("", "bfloat16: compute in it where oneDNN can.")
    ignored: tuple[str, ...] = field(default=(), metadata={"derived": True})


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Say on stdout what is wrong with a command line and exit with 255, as upstream does.

    `--version` and `--help` print what they are asked for and exit with 0.
    """
    known = {each.name: each.default for each in fields(Flags) if not each.metadata.get("derived")}
    known |= UNSUPPORTED | {"version": False, "help": False}
    given: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        if name not in known or not argument.startswith("--") or (not equals and not isinstance(known[name], bool)):
            _refuse(f"unknown argument: {argument}\n{usage()}")
        try:
            given[name] = _value(text if equals else "true", type(known[name]))
        except ValueError:
            _refuse(f"Couldn't interpret value {text} for flag {name}.\n{usage()}")
    if given.pop("help", False):
        _leave(usage())
    if given.pop("version", False):
        _leave(versions())
    ignored = tuple(sorted(name for name in UNSUPPORTED if given.pop(name, UNSUPPORTED[name]) != UNSUPPORTED[name]))
    flags = Flags(**given, ignored=ignored)
    if contradiction := _contradiction(flags):
        _refuse(f"Failed to start server. Error: INVALID_ARGUMENT: {contradiction}")
    return flags


def _value(text: str, kind: type) -> bool | int | float | str:
    if kind is bool:
        # TensorFlow's own reading of a boolean flag.
        known = {"true": True, "1": True, "false": False, "0": False}
        if text.lower() not in known:
            raise ValueError(text)
        return known[text.lower()]
    if kind is int and not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(text)
    value: int | float | str = kind(text)
    return value


def _contradiction(flags: Flags) -> str | None:
    """Why upstream would not start with these together, whatever the files say; None when it would."""
    if flags.port == 0 and not flags.grpc_socket_path:
        return "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
    for name, port in (("port", flags.port), ("rest_api_port", flags.rest_api_port)):
        if not 0 <= port < 65536:
            return f"--{name}={port} is not a TCP port"
    threads = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    if all(number > 0 for number in (*threads, flags.tensorflow_session_parallelism)):
        return (
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    if flags.use_alts_credentials and flags.ssl_config_file:
        return "Either use_alts_credentials must be false or ssl_config_file must be empty."
    if not flags.model_base_path and not flags.model_config_file:
        return "Both server_options.model_base_path and server_options.model_config_file are empty!"
    return None


def usage() -> str:
    """Every flag with its default, its type and what it does, in upstream's layout."""
    known = [
        _usage_of(each.name, each.default, each.metadata["help"])
        for each in fields(Flags)
        if not each.metadata.get("derived")
    ]
    ignored = [
        _usage_of(name, default, "Not supported: accepted with a warning.") for name, default in UNSUPPORTED.items()
    ]
    about = _usage_of("version", False, "Display version.")
    return "\n".join(["usage: python -m serving.model_server", "Flags:", *known, *ignored, about])


def _usage_of(name: str, default: object, about: str) -> str:
    shown = {True: "true", False: "false"}[default] if isinstance(default, bool) else default
    quoted = f'"{shown}"' if isinstance(default, str) else shown
    kind = "string" if isinstance(default, str) else type(default).__name__
    return f"\t{f'--{name}={quoted}':<33}\t{kind}\t{about}"


def versions() -> str:
    """Upstream's two lines; the first is the version of the protocol that is spoken here."""
    return (
        f"TensorFlow ModelServer: {version('tensorflow-serving-api')} (embedded in understudy)\n"
        f"TensorFlow Library: {version('tensorflow')}"
    )


def _leave(words: str) -> Never:
    sys.stdout.write(words + "\n")
    sys.exit(0)


def _refuse(words: str) -> Never:
    sys.stdout.write(words + "\n")
    sys.exit(FAILED)
