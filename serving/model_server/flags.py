"""The command line, spelled as `tensorflow_model_server` spells it.

Read before anything heavy is imported, so that a typing error is answered at once.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import Any

# Flags of tensorflow_model_server that mean nothing here, or not yet: a command line written for production still
# starts this server, and a warning says what it does not get.
UNSUPPORTED = (
    "batching_parameters_file",
    "enable_batching",
    "enable_grpc_healthcheck_service",
    "enable_per_model_batching_parameters",
    "enable_profiler",
    "enable_signature_method_name_check",
    "flush_filesystem_caches",
    "grpc_channel_arguments",
    "grpc_socket_path",
    "mixed_precision",
    "monitoring_config_file",
    "num_request_iterations_for_warmup",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "per_process_gpu_memory_fraction",
    "platform_config_file",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "rest_api_enable_cors_support",
    "rest_api_num_threads",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "skip_initialize_tpu",
    "ssl_config_file",
    "tensorflow_session_config_file",
    "thread_pool_factory_config_file",
    "use_alts_credentials",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)


def _flag(default: bool | int | str, description: str) -> Any:
    return field(default=default, metadata={"help": description})


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What this process was asked to do; names and defaults are upstream's, except `host`."""

    host: str = _flag("127.0.0.1", "Address to listen on; not a flag of tensorflow_model_server, which takes 0.0.0.0.")
    port: int = _flag(8500, "TCP port of the gRPC API.")
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
    enable_model_warmup: bool = _flag(True, "Replay assets.extra/tf_serving_warmup_requests while loading.")
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the meta graph to load.")
    grpc_max_threads: int = _flag(0, "Requests handled at a time; 0 is four for each CPU.")
    enable_serialization_as_tensor_content: bool = _flag(False, "Answer with tensor_content, not with value fields.")
    tensorflow_session_parallelism: int = _flag(0, "Threads of a session, within and between operations.")
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads within one operation.")
    tensorflow_inter_op_parallelism: int = _flag(0, "Operations at a time.")
    ignored: tuple[str, ...] = field(default=(), metadata={"derived": True})


def _boolean(text: str) -> bool:
    """TensorFlow's own reading of a boolean flag."""
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return known[text.lower()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.model_server",
        description="Serve TensorFlow SavedModels as tensorflow_model_server does.",
        allow_abbrev=False,
    )
    for each in fields(Flags):
        if each.metadata.get("derived"):
            continue
        about = f"{each.metadata['help']} (default: {each.default!r})"
        if isinstance(each.default, bool):
            parser.add_argument(
                f"--{each.name}", type=_boolean, nargs="?", const=True, default=each.default, help=about
            )
        else:
            parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default, help=about)
    for name in UNSUPPORTED:
        parser.add_argument(f"--{name}", nargs="?", const="true", help=argparse.SUPPRESS)
    stack = f"understudy model server, TensorFlow {version('tensorflow')}"
    parser.add_argument("--version", action="version", version=stack)
    return parser


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Exits with status 2 and a message when a flag is unknown or its value is not of its type."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    ignored = tuple(name for name in UNSUPPORTED if given.pop(name) is not None)
    flags = Flags(**given, ignored=ignored)
    if not 0 < flags.port < 65536:
        parser.error(f"--port={flags.port} is not a TCP port")
    if not flags.model_base_path and not flags.model_config_file:
        parser.error("Both server_options.model_base_path and server_options.model_config_file are empty!")
    return flags
