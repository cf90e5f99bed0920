"""Bring a replica back that slept through a step.

A server refuses a config that puts the label on a version it has not loaded, and refuses it again at every poll. A
replica that was away while the version was exposed would so serve the old one until it restarts. It is handed both
versions with the label where it points now; once the new one is loaded, the next poll of the config file is accepted.
"""

from serving.apis import file_system_storage_path_source_pb2, model_server_config_pb2
from serving.replica import STABLE, Replica

_Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


def heal_if_stuck(replica: Replica, *, model: str, base_path: str, serving: int) -> str | None:
    """Heal the replica if it cannot follow by itself; what was done, or None where nothing was needed.

    Args:
        replica: the replica to look at.
        model: the model's name.
        base_path: where the replica finds its versions.
        serving: the version the label must get to.

    Raises:
        ServingError: the replica does not answer, or refused even this.
    """
    seen = {status.version: status for status in replica.statuses(model)}
    if not seen:
        return None  # its config was empty, and it follows at its next poll; or it is somebody else's
    if serving in seen and not seen[serving].ended:
        return None  # loaded or loading: it follows at its next poll
    behind = replica.version_behind(model, STABLE)
    versions = {serving} if behind is None else {serving, behind}
    replica.reload(handed_config(model, base_path, versions=versions, label=behind))
    told, given = ("nothing", "it") if behind is None else (f"v{behind}", "both versions")
    return f"{replica.address} had not loaded v{serving} (its label answers {told}); was handed {given}"


def handed_config(
    model: str, base_path: str, *, versions: set[int], label: int | None
) -> model_server_config_pb2.ModelServerConfig:
    """A configuration to be handed to a replica directly; it holds until the replica next reads its config file."""
    config = model_server_config_pb2.ModelConfig(
        name=model,
        base_path=base_path,
        model_platform="tensorflow",
        model_version_policy=_Policy(specific=_Policy.Specific(versions=sorted(versions))),
    )
    if label is not None:
        config.version_labels[STABLE] = label
    return model_server_config_pb2.ModelServerConfig(
        model_config_list=model_server_config_pb2.ModelConfigList(config=[config])
    )
