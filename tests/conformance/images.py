"""The commands with which the official image is checked, for people who have it."""

from pathlib import Path

from tests.conformance.launcher import standard_flags

IMAGE = "tensorflow/serving:2.21.0"
_MODELS = "/models"


def run_command(folder: Path) -> str:
    """The `docker run` of a server with the standard flags. Its ports are open on this machine only."""
    # Process 1 of a container gets no SIGTERM unless it asks for it, which the model server does not: hence --init.
    words = [
        "docker run --rm --init -p 127.0.0.1:8500:8500 -p 127.0.0.1:8501:8501",
        f"-v {folder}:{_MODELS} --entrypoint tensorflow_model_server {IMAGE}",
        *standard_flags(f"{_MODELS}/server", port=8500, rest_port=8501),
    ]
    return " \\\n    ".join(words)


def own_command(folder: Path) -> str:
    """The template with which the checks start servers of their own."""
    ports = " ".join(f"-p 127.0.0.1:{{{name}}}:{{{name}}}" for name in ("port", "rest_port"))
    return f"docker run --rm --init {ports} -v {folder}:{_MODELS} --entrypoint tensorflow_model_server {IMAGE}"


def shown_commands(folder: Path) -> str:
    return f"""Nothing was checked: name a server, or a command that starts servers.

Every fact, on servers that the checks start:

make conformance MODELS={_MODELS} COMMAND='{own_command(folder)}'

Or start one server:

{run_command(folder)}

and check on it what can be checked on a server that runs:

make conformance SERVER=127.0.0.1:8500 REST=127.0.0.1:8501 MODELS={_MODELS}
"""
