"""Move the label on replicas while the bucket does not answer: only replicas are asked, and nothing is recorded."""

from collections.abc import Collection
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

    A version that is newer than the answering one may be an unproven candidate, so it is refused. So is any version
    while no replica answers from one. A replica of the first ring may have such a candidate in the place of the version
    that was asked for; then it keeps its label.

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
    newest = max((found.serving for found in replicas.look(addresses) if found.serving is not None), default=None)
    hand_over = partial(_hand_over, others=others, version=version, base_path=base_path, newest=newest)
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


def _hand_over(replica: Replica, *, others: OtherModels, version: int, base_path: str, newest: int | None) -> str:
    """Why the label was not moved there; empty where it was.

    `newest` is the newest version that any replica answers from; None if none answers from any.
    """
    model = others.model
    try:
        served = others.served_by(replica)
        if served:
            return f"not changed, because it also serves {served}, which a config of {model} would unload"
        loaded = {each.version for each in replica.statuses(model) if each.available}
        behind = replica.version_behind(model, STABLE)
        newest = behind if behind is not None else newest
        if newest is None:
            return f"not changed, because no replica answers from any version, so v{version} may be unproven"
        if version > newest:
            answers = "it answers" if behind is not None else "another replica answers"
            return f"not changed, because {answers} v{newest}, and v{version} is newer and perhaps unproven"
        if version not in loaded:
            return f"not changed, because it has {_memory(loaded, newest)} in memory and not v{version}"
        replica.reload(handed_config(model, base_path, versions=loaded, label=version))
    except ServingError as error:
        return error.message
    return ""


def _memory(loaded: Collection[int], serving: int) -> str:
    """The versions in memory as text. A newer one than serves may be a candidate for the first ring."""
    versions = " and ".join(
        f"v{version}{' (perhaps a candidate under test)' if version > serving else ''}" for version in sorted(loaded)
    )
    return versions or "nothing"
