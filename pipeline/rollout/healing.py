"""Repair a replica that was down while a version was exposed.

A server refuses a config whose label points at a version it has not loaded, and refuses it again at every poll. So such
a replica would serve the old version until it restarts. It is sent a config with both versions, and the label where it
points now. When the new version is loaded, the replica accepts the config file at its next poll.
"""

from serving.apis import file_system_storage_path_source_pb2, model_server_config_pb2
from serving.replica import STABLE, Replica

_Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


def heal_if_stuck(replica: Replica, *, model: str, base_path: str, serving: int) -> str | None:
    """Repair the replica if it cannot follow by itself; a sentence on what was done, or None if nothing was needed.

    Args:
        replica: the replica to look at.
        model: the model's name.
        base_path: where the replica finds its versions.
        serving: the version that the label should point at.

    Raises:
        ServingError: the replica does not answer, or refused this config too.
    """
    seen = {status.version: status for status in replica.statuses(model)}
    if not seen:
        return None  # its config was empty, and it follows at its next poll; or it has another model
    if serving in seen and not seen[serving].ended:
        return None  # loaded or loading: it follows at its next poll
    behind = replica.version_behind(model, STABLE)
    versions = {serving} if behind is None else {serving, behind}
    replica.reload(handed_config(model, base_path, versions=versions, label=behind))
    answers, given = ("nothing", "that version") if behind is None else (f"from v{behind}", "both versions")
    return (
        f"{replica.address} could not switch to v{serving} by itself, because it had not loaded it (it answers "
        f"{answers}). Repaired: it was sent a config with {given}. No action is needed"
    )


def handed_config(
    model: str, base_path: str, *, versions: set[int], label: int | None
) -> model_server_config_pb2.ModelServerConfig:
    """A configuration to be sent to a replica directly. It holds until the replica next reads its config file.

    Args:
        model: the model's name.
        base_path: where the replica finds its versions.
        versions: the versions to have in memory.
        label: the version behind the label `stable`; None for no label.
    """
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
