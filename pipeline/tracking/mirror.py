"""MLflow follows the journal: a registered version for each published model, its state, and the aliases of the roles.

No verb asks MLflow what is in production. A failure here is reported and changes nothing; the next release verb mirrors
the whole state again.

Several buckets may share an MLflow and a model name. A run or a registered version belongs to the bucket whose id is in
its tags. One without an id was written by an earlier release: it belongs to this bucket only if the records of this
bucket name its run. Nothing else is changed. The three aliases of a registered model belong to one bucket: while one of
them points to a version of another bucket, this bucket changes none of them.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.commands import with_model
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.storage.identity import Identity
from pipeline.tracking.registry import (
    ALIASES,
    BUCKET_TAG,
    Mlflow,
    RefusedError,
    Registered,
    Registry,
    Trained,
    bucket_tags,
    open_registry,
)
from pipeline.tracking.tags import run_tags, status_of, version_tags, with_note

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """A bucket whose runs and versions are looked up in MLflow. Only a bucket with an id may change MLflow.

    Attributes:
        bucket: its identity.
        trained: where MLflow keeps the model of a version, given its number; None if the bucket has no record of it.
    """

    bucket: Identity
    trained: Callable[[int], Trained | None]

    def owns(self, version: Registered) -> bool:
        """Whether a registered version belongs to this bucket."""
        if version.served is None:
            return False
        if version.bucket:
            return version.bucket == self.bucket.id
        trained = self.trained(version.served)
        return trained is not None and bool(trained.run) and trained.run == version.run


@dataclass(frozen=True)
class MlflowFound:
    """The state of MLflow's aliases.

    Attributes:
        aliases: the served version behind each alias that points to a version of this bucket.
        collision: which aliases point to other versions, and what to do; empty if none does.
    """

    aliases: Mapping[str, int]
    collision: str = ""


def mirror(mlflow: Mlflow, *, model: str, history: History, owner: Callable[[], Owner]) -> str | None:
    """Make MLflow's registered versions, their tags and descriptions, and the aliases agree with the journal.

    Never raises.

    Args:
        mlflow: where it is.
        model: the name of the registered model.
        history: the journal.
        owner: the bucket of that journal; called first, and it may fail.

    Returns:
        Why it could not be done, and what to do; None if it was done.
    """
    try:
        with _opened(mlflow, model, owner()) as mirrored:
            problems = mirrored.register_published(history)
            mirrored.describe(history)
            problems += mirrored.point(history)
    except Exception as error:  # noqa: BLE001 - whatever MLflow answers, the release it mirrors stands
        problems = [
            f"MLflow was not updated: {type(error).__name__}: {error}. Serving does not depend on it. Check MLflow at "
            f"{mlflow.url}, then run `understudy reconcile --model {model}`"
        ]
    problems = [with_model(problem, model) for problem in problems]
    for problem in problems:
        log.warning("%s", problem)
    return "; ".join(problems) or None


def tag_run(mlflow: Mlflow, *, run: str, tags: Mapping[str, str], bucket: Callable[[], Identity]) -> None:
    """Tag a run that has no version with what was decided about it.

    Never raises: a failure is logged and changes nothing.
    """
    try:
        with open_registry(mlflow, "") as registry:
            _tag_run(registry, bucket(), run, tags)
    except Exception as error:  # noqa: BLE001 - likewise
        decision = tags.get("decision")
        log.warning("the decision %r was not written to MLflow: %s: %s", decision, type(error).__name__, error)


def read_aliases(mlflow: Mlflow, *, model: str, owner: Owner | None) -> MlflowFound | None:
    """Read MLflow's aliases, for comparison with the journal; None if MLflow does not answer. Never raises.

    Without an owner, because its bucket does not answer, the versions of all buckets count.
    """
    try:
        with open_registry(mlflow, model) as registry:
            aliases = registry.aliases()  # before the versions, so that no alias points to a version that was not read
            found = registry.versions()
            ours = {each.number: each.served for each in found if owner is None or owner.owns(each)}
            versions = {alias: ours.get(number) for alias, number in aliases.items()}
            pointed = {alias: version for alias, version in versions.items() if version is not None}
            collision = _collision(found, ours, aliases, mlflow, owner) if owner else ""
            return MlflowFound(pointed, with_model(collision, model))
    except Exception:  # noqa: BLE001 - likewise
        return None


def wanted_aliases(history: History) -> dict[str, int]:
    """The version behind each alias, as the journal wants it.

    MLflow knows a reissued version by its original number.
    """
    state = history.state
    roles = dict(zip(ALIASES, (state.serving, state.previous, state.candidate), strict=True))
    return {alias: history.original(version) for alias, version in roles.items() if version is not None}


class _Mirror:
    """The registered model, with the changes that one bucket may make."""

    def __init__(self, mlflow: Mlflow, registry: Registry, owner: Owner) -> None:
        self._mlflow = mlflow
        self._registry = registry
        self._owner = owner
        self._tags = bucket_tags(owner.bucket)
        self._found: list[Registered] = []
        # The registered versions of this bucket by the number they are served under.
        self._ours: dict[int, Registered] = {}

    def register_published(self, history: History) -> list[str]:
        """Register every published version once; a sentence for each that has a role and could not be registered."""
        self._look()
        problems, needed = [], set(wanted_aliases(history).values())
        published = {entry.version for entry in history.all() if entry.event is Event.PUBLISHED}
        missing = {version: self._owner.trained(version) for version in sorted(published - set(self._ours))}
        new = {version: trained for version, trained in missing.items() if trained is not None}
        if new:
            self._registry.create_model()
        for version, trained in new.items():
            try:
                self._register(version, trained, history)
            except RefusedError as error:
                problem = (
                    f"MLflow at {self._mlflow.url} does not register v{version}: {error}. If its run or its logged "
                    f"model was deleted there, restore it and run `understudy reconcile --model <model>`. "
                    f"Serving does not depend on it"
                )
                # If MLflow was replaced by an empty one, it knows no earlier run.
                if version in needed:
                    problems.append(problem)
                else:
                    log.info("%s", problem)
        if new:
            self._look()
        return problems

    def _register(self, version: int, trained: Trained, history: History) -> None:
        found = self._registry.run_tags(trained.run)
        if found is not None and not _owns_run(self._owner.bucket, found):
            raise RefusedError(f"its run {trained.run} belongs to another bucket (id {found[BUCKET_TAG]})")
        tags = {"served_version": str(version)}
        if found is not None:
            self._registry.tag_run(trained.run, tags | self._tags)
        run_key = {"run_key": _run_key(history, version)}
        # Without the tags of `describe`: if this process dies before that, the next one describes the version.
        description = status_of(history, version)
        self._registry.create_version(trained, tags | run_key | self._tags, description=description)

    def describe(self, history: History) -> None:
        """Update the tags and the description of each version and of its run, if they have changed."""
        for version, each in self._ours.items():
            wanted = version_tags(history, version) | (self._tags if not each.bucket else {})
            changed = {key: value for key, value in wanted.items() if each.tags.get(key) != value}
            if not changed:
                continue
            _tag_run(self._registry, self._owner.bucket, each.run, run_tags(history, version) | wanted)
            # A description that a person wrote stays. Earlier releases wrote the last of these texts.
            if each.description in ("", each.tags.get("status"), wanted["status"], f"served as version {version}"):
                self._registry.describe_version(each.number, wanted["status"])
            # Last: if this process dies before it, the next one does all of this again.
            self._registry.tag_version(each.number, changed)

    def point(self, history: History) -> list[str]:
        """Set the alias of every taken role and delete the others; a sentence if another bucket has them."""
        roles = wanted_aliases(history).items()
        wanted = {alias: self._ours[version].number for alias, version in roles if version in self._ours}
        found = self._registry.aliases()
        if not set(found.values()) <= {each.number for each in self._found}:
            self._look()  # another verb has registered a version meanwhile
        ours = {each.number for each in self._found if self._owner.owns(each)}
        collision = _collision(self._found, ours, found, self._mlflow, self._owner)
        if collision:
            return [collision] if wanted else []
        for alias in ALIASES:
            if alias in found and alias not in wanted:
                self._registry.delete_alias(alias)
            elif alias in wanted and found.get(alias) != wanted[alias]:
                self._registry.set_alias(alias, wanted[alias])
        return []

    def _look(self) -> None:
        """Read all versions. Two verbs that mirror at once may register one twice; then the first of them counts."""
        self._found = self._registry.versions()
        ours = [each for each in reversed(self._found) if self._owner.owns(each)]
        self._ours = {each.served: each for each in ours if each.served is not None}


def _collision(
    found: Iterable[Registered], ours: Collection[str], aliases: Mapping[str, str], mlflow: Mlflow, owner: Owner
) -> str:
    """A sentence on aliases that point to versions of other buckets, and what to do; empty if none does."""
    taken = {alias: number for alias, number in sorted(aliases.items()) if number not in ours}
    if not taken:
        return ""
    owners = {each.owner for each in found if each.number in taken.values()}
    return (
        f"MLflow's aliases {', '.join(taken)} point to versions of {', '.join(sorted(owners)) or 'another bucket'}, so "
        f"this bucket ({owner.bucket}) changes no alias of that registered model; serving does not depend on them. Use "
        f"another MLflow (`understudy fleet set --mlflow-url`) or another model name for one of the two. If the other "
        f"one is not used any more, delete these aliases in MLflow at {mlflow.url}, and run `understudy reconcile "
        f"--model <model>`"
    )


def _tag_run(registry: Registry, bucket: Identity, run: str, tags: Mapping[str, str]) -> None:
    """Tag a run that the records of this bucket name.

    One that was deleted, or belongs to another bucket, is left alone.
    """
    found = registry.run_tags(run)
    if found is not None and _owns_run(bucket, found):
        if changed := with_note(found, tags):
            registry.tag_run(run, changed)
    else:
        log.info("run %s is not tagged: it was deleted in MLflow, or it belongs to another bucket", run)


def _owns_run(bucket: Identity, tags: Mapping[str, str]) -> bool:
    return tags.get(BUCKET_TAG, "") in ("", bucket.id)


def _run_key(history: History, version: int) -> str:
    entry = history.of_version(version, Event.CLAIMED)
    return entry.run_key if entry else ""


@contextmanager
def _opened(mlflow: Mlflow, model: str, owner: Owner) -> Iterator[_Mirror]:
    with open_registry(mlflow, model) as registry:
        yield _Mirror(mlflow, registry, owner)
