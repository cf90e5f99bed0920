"""The command line of a model server that follows releases: flags of `tensorflow_model_server`, stock or embedded.

What a server polls depends on the roll-out: a config (`ConfigSource`) or a base path (`BasePathSource`). Releases do
not work without `required_flags`, which a stock server takes as they are. `replica_flags` is the whole command line of
a replica of the embedded stack and of the tests. Tests compare the documentation with both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Between two attempts to load a version. Upstream's default is a minute, and a release would wait that long.
LOAD_RETRY_MICROS = 1_000_000
# How many times a failed load is repeated below a base path in an object store. There a server finds a version before
# its last file is written.
BUCKET_LOAD_RETRIES = 30

Flags = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class ConfigSource:
    """A model config file, by path or URI, and the seconds between two reads: the roll-out `pinned`.

    A server looks as often at the folders of the versions that the config names. That look decides when a newly named
    version is loaded, so a server has followed within two polls; `Deployment.polled_seconds` counts on that.
    """

    uri: str
    poll_seconds: int = 1

    def flags(self) -> Flags:
        return {
            "model_config_file": self.uri,
            "model_config_file_poll_wait_seconds": self.poll_seconds,
            # In an object store a look at the folders costs more than one at the config.
            "file_system_poll_wait_seconds": self.poll_seconds,
            # A config may put the label on a version that is still being loaded.
            "allow_version_labels_for_unavailable_models": True,
        }


@dataclass(frozen=True, kw_only=True)
class BasePathSource:
    """A folder with the versions of one model, by path or URI, and the seconds between two listings: `latest`."""

    model: str
    uri: str
    poll_seconds: int = 1

    def flags(self) -> Flags:
        return {
            "model_name": self.model,
            "model_base_path": self.uri,
            "file_system_poll_wait_seconds": self.poll_seconds,
            "load_retry_interval_micros": LOAD_RETRY_MICROS,
            "max_num_load_retries": BUCKET_LOAD_RETRIES,
        }


Source = ConfigSource | BasePathSource


def required_flags(source: Source) -> list[str]:
    """The flags without which a server does not follow releases, as arguments of a command line."""
    return _words(_required(source))


def replica_flags(
    source: Source, *, port: int, rest_port: int = 0, load_retries: int = 1, threads: int = 0
) -> list[str]:
    """The whole command line of a replica of the embedded server, without the program.

    Args:
        source: what it polls.
        port: of gRPC.
        rest_port: of REST; 0 for none.
        load_retries: how many times a failed load is repeated, each time after a second.
        threads: within one operation of TensorFlow; 0 leaves it to TensorFlow.
    """
    listening = {"port": port, "rest_api_port": rest_port}
    ours = {
        # People and tests send configs with labels also to a replica of a base path.
        "allow_version_labels_for_unavailable_models": True,
        # Without a thread of its own, an unload blocks all other versions.
        "num_unload_threads": 1,
        "load_retry_interval_micros": LOAD_RETRY_MICROS,
        "max_num_load_retries": load_retries,
        "tensorflow_intra_op_parallelism": threads,
    }
    return _words({**listening, **_required(source), **ours})


def _required(source: Source) -> Flags:
    # Without a thread of its own, a load that fails or hangs blocks all other versions.
    return {**source.flags(), "num_load_threads": 1}


def _words(flags: Flags) -> list[str]:
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in flags.items()]
