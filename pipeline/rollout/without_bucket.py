"""Move the label on replicas while the bucket does not answer: only replicas are asked, and nothing is recorded."""

from typing import NoReturn

from pipeline.clock import Clock
from pipeline.deployment import Deployment
from pipeline.errors import BadInputError, CouldNotTellError
from pipeline.rollout.healing import handed_config
from pipeline.rollout.other_models import OtherModels
from pipeline.rollout.replicas import Replicas
from serving.errors import ServingError
from serving.replica import STABLE


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
    problems = {
        address: _hand_over(replicas, others, address, version=version, base_path=base_path) for address in addresses
    }
    clock.sleep(fleet.polled_seconds)
    answers = [f"{address}: {problems[address] or answer(replicas, address)}" for address in addresses]
    raise CouldNotTellError(
        f"the label of each replica was requested to point at v{version}. Each replica answers now: "
        f"{', '.join(answers)}. This is not recorded: a replica that can read its config again uses the version in the "
        f"config. When the bucket works, run `understudy rollback --model {others.model} --to {version} --reason why`"
    )


def answer(replicas: Replicas, address: str) -> str:
    """The version that users get from a replica now, as text for a person."""
    found = replicas.look(address)
    if found.problem:
        return f"no answer ({found.problem})"
    return f"v{found.serving}" if found.serving is not None else "nothing"


def _hand_over(replicas: Replicas, others: OtherModels, address: str, *, version: int, base_path: str) -> str:
    """Why the label was not moved there; empty where it was."""
    model = others.model
    with replicas.connect(address) as replica:
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
