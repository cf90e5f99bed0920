"""Move the label on replicas while the bucket does not answer: only replicas are asked, and nothing is recorded."""

from functools import partial
from typing import NoReturn

from pipeline.clock import Clock
from pipeline.deployment import Deployment
from pipeline.errors import BadInputError, CouldNotTellError
from pipeline.rollout.healing import handed_config
from pipeline.rollout.other_models import OtherModels
from pipeline.rollout.replicas import ReplicaFound, Replicas
from serving.errors import ServingError
from serving.replica import STABLE, Replica


def move_label(replicas: Replicas, to: str, *, base_path: str, fleet: Deployment, clock: Clock) -> NoReturn:
    """Point the label at an older version that replicas have in memory, then wait two polls.

    A version that is newer than the answering one may be an unproven candidate, so it is refused.

    Args:
        replicas: the fleet.
        to: a version number, as text.
        base_path: where servers find the versions.
        fleet: how long two polls take.
        clock: how to sleep.

    Raises:
        BadInputError: `to` is `previous`, which only the journal could resolve.
        CouldNotTellError: in every other case, because nothing is recorded; says what each replica answers two polls
            later.
    """
    if to == "previous":
        raise BadInputError(
            "without the bucket it is unknown which version is the previous one. Give a number with --to"
        )
    version = int(to)
    addresses = replicas.addresses()
    others = replicas.others.without_bucket()
    _ = others.names  # read once here, not once by each thread
    hand_over = partial(_hand_over, others=others, version=version, base_path=base_path)
    problems = replicas.ask(hand_over, addresses)
    clock.sleep(fleet.polled_seconds)
    answers = [
        f"{found.address}: {problem or answer(found)}"
        for found, problem in zip(replicas.look(addresses), problems, strict=True)
    ]
    raise CouldNotTellError(
        f"the label of each replica was requested to point at v{version}. Each replica answers now: "
        f"{', '.join(answers)}. This is not recorded: a replica that can read its config again uses the version in the "
        f"config. When the bucket works, run `understudy rollback --model {others.model} --to {version} --reason why`"
    )


def answer(found: ReplicaFound) -> str:
    """The version that users get from a replica, as text for a person."""
    if found.problem:
        return f"no answer ({found.problem})"
    return f"v{found.serving}" if found.serving is not None else "nothing"


def _hand_over(replica: Replica, *, others: OtherModels, version: int, base_path: str) -> str:
    """Why the label was not moved there; empty where it was."""
    model = others.model
    try:
        served = others.served_by(replica)
        if served:
            return f"not changed, because it also serves {served}, which a config of {model} would unload"
        loaded = {each.version for each in replica.statuses(model) if each.available}
        behind = replica.version_behind(model, STABLE)
        if behind is not None and version > behind:
            return f"not changed, because it answers v{behind}, and v{version} is newer and perhaps unproven"
        if version not in loaded:
            return f"not changed, because it has {sorted(loaded)} in memory and not v{version}"
        replica.reload(handed_config(model, base_path, versions=loaded, label=version))
    except ServingError as error:
        return error.message
    return ""
