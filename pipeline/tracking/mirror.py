"""MLflow follows the journal: a registered version for each published model, its state, and the aliases of the roles.

No verb asks MLflow what is in production. A failure here is reported and changes nothing; the next release verb does
what is missing.

A mirror looks only at the versions with a role, at those that may have changed since the last one that was complete,
and at some that MLflow has refused: see `pipeline.tracking.progress`. Where that is not known, and where `understudy
reconcile` asks for it, it looks at all versions; but not again at those whose files are deleted, once MLflow says so.

Several buckets may share an MLflow and a model name. A run or a registered version belongs to the bucket whose id is in
its tags. One without an id was written by an earlier release: it belongs to this bucket only if the records of this
bucket name its run. Nothing else is changed. The three aliases of a registered model belong to one bucket: while one of
them points to a version of another bucket, this bucket changes none of them.
"""

import logging
from collections.abc import Callable, Container, Iterable, Mapping

from pipeline.commands import with_model
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.storage.identity import Identity
from pipeline.tracking.aliases import collision_of, others_of, versions_behind, wanted_aliases
from pipeline.tracking.ownership import Owner, owns_run
from pipeline.tracking.progress import Progress, changed_since, next_progress, progress_tag, read_progress
from pipeline.tracking.registry import (
    ALIASES,
    BUCKET_TAG,
    NO_MODEL,
    Mlflow,
    RefusedError,
    Registered,
    Registry,
    Trained,
    bucket_tags,
    open_registry,
)
from pipeline.tracking.tags import run_tags, says_deleted, status_of, version_tags, with_note

log = logging.getLogger(__name__)


def mirror(
    mlflow: Mlflow, *, model: str, history: History, owner: Callable[[], Owner], everything: bool = False
) -> str | None:
    """Make MLflow's registered versions, their tags and descriptions, and the aliases agree with the journal.

    Never raises.

    Args:
        mlflow: where it is.
        model: the name of the registered model.
        history: the journal.
        owner: the bucket of that journal; called first, and it may fail.
        everything: look at all versions that are not retired, also at those about which nothing was written.

    Returns:
        Why it could not be done, and what to do; None if it was done.
    """
    try:
        ours = owner()
        with open_registry(mlflow, model) as registry:
            problems = _Mirror(mlflow, registry, ours, history).follow(everything=everything)
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


class _Mirror:
    """The registered model, with the changes that one bucket may make."""

    def __init__(self, mlflow: Mlflow, registry: Registry, owner: Owner, history: History) -> None:
        self._mlflow = mlflow
        self._registry = registry
        self._owner = owner
        self._history = history
        self._tags = bucket_tags(owner.bucket)
        self._wanted = wanted_aliases(history)
        self._model_exists = False
        # MLflow's own number of the versions with a role, by the number they are served under.
        self._numbers: dict[int, str] = {}
        self._refused = set[int]()

    def follow(self, *, everything: bool) -> list[str]:
        """Do everything; a sentence for each version with a role, and for the aliases, where that was not possible."""
        if not self._history.seq:
            return self._point()
        found = self._registry.registered_model()
        self._model_exists = found is not None
        progress = read_progress((found or NO_MODEL).tags, self._owner.bucket, self._history)
        changed = None if everything else changed_since(self._history, progress.seq)
        if changed is None:
            changed = self._unregistered(self._describe_all())
        changed |= {version for version in progress.refused if not self._history.is_retired(version)}
        problems = self._register_and_describe(changed | set(self._wanted.values()))
        problems += self._point()
        self._end(progress)
        return problems

    def _end(self, began: Progress) -> None:
        """Say how far MLflow has followed. Last: if this process dies before it, the next one does this again."""
        found = self._registry.registered_model()
        if found is not None:
            tag = progress_tag(self._owner.bucket)
            value = next_progress(self._history, began=began, found=found.tags.get(tag, ""), refused=self._refused)
            if value is not None:
                self._registry.tag_model(tag, value)

    def _describe_all(self) -> set[int]:
        """Describe every registered version of this bucket; the numbers they are served under.

        A version that was retired and is described as such needs no look into the journal.
        """
        seen, unretired = set[int](), set(self._history.unretired())
        for each in self._registry.versions():
            if each.served is None or each.served in seen or not self._owner.owns(each):
                continue
            seen.add(each.served)
            if each.served in unretired or not says_deleted(each.tags):
                self._describe(each.served, each)
        return seen

    def _unregistered(self, registered: Container[int]) -> set[int]:
        """The published versions that are neither registered nor retired."""
        history = self._history
        unpublished = set(history.unpublished())
        return {each for each in history.unretired() if each not in unpublished and each not in registered}

    def _register_and_describe(self, versions: Iterable[int]) -> list[str]:
        """Register each that is published, unless it is, and describe it; a sentence for each that could not be."""
        problems = []
        for version in sorted(versions):
            if not self._history.has(version, Event.PUBLISHED):
                continue
            found = self._find(version)
            if found is None and (trained := self._owner.trained(version)):
                problems += self._try_to_register(version, trained)
                found = self._find(version)
            if found is not None:
                self._describe(version, found)
        return problems

    def _find(self, version: int) -> Registered | None:
        """The registered version. Two verbs that mirror at once may register one twice; then the first one counts."""
        found = next((each for each in self._registry.served_as(version) if self._owner.owns(each)), None)
        if found is not None and version in self._wanted.values():
            self._numbers[version] = found.number
        return found

    def _try_to_register(self, version: int, trained: Trained) -> list[str]:
        try:
            self._register(version, trained)
        except RefusedError as error:
            problem = (
                f"MLflow at {self._mlflow.url} does not register v{version}: {error}. If its run or its logged "
                f"model was deleted there, restore it and run `understudy reconcile --model <model>`. "
                f"Serving does not depend on it"
            )
            self._refused.add(version)
            # If MLflow was replaced by an empty one, it knows no earlier run.
            if version in self._wanted.values():
                return [problem]
            log.info("%s", problem)
        return []

    def _register(self, version: int, trained: Trained) -> None:
        if not self._model_exists:
            self._registry.create_model()
            self._model_exists = True
        found = self._registry.run_tags(trained.run)
        if found is not None and not owns_run(self._owner.bucket, found):
            raise RefusedError(f"its run {trained.run} belongs to another bucket (id {found[BUCKET_TAG]})")
        tags = {"served_version": str(version)}
        if found is not None:
            self._registry.tag_run(trained.run, tags | self._tags)
        run_key = {"run_key": _run_key(self._history, version)}
        # Without the tags of `_describe`: if this process dies before that, the next one describes the version.
        description = status_of(self._history, version)
        self._registry.create_version(trained, tags | run_key | self._tags, description=description)

    def _describe(self, version: int, each: Registered) -> None:
        """Update the tags and the description of a version and of its run, if they have changed."""
        wanted = version_tags(self._history, version) | (self._tags if not each.bucket else {})
        changed = {key: value for key, value in wanted.items() if each.tags.get(key) != value}
        if not changed:
            return
        _tag_run(self._registry, self._owner.bucket, each.run, run_tags(self._history, version) | wanted)
        # A description that a person wrote stays. Earlier releases wrote the last of these texts.
        if each.description in ("", each.tags.get("status"), wanted["status"], f"served as version {version}"):
            self._registry.describe_version(each.number, wanted["status"])
        # Last: if this process dies before it, the next one does all of this again.
        self._registry.tag_version(each.number, changed)

    def _point(self) -> list[str]:
        """Set the alias of every taken role and delete the others; a sentence if another bucket has them."""
        roles = self._wanted.items()
        wanted = {alias: self._numbers[version] for alias, version in roles if version in self._numbers}
        found = (self._registry.registered_model() or NO_MODEL).aliases
        known = self._numbers.values()
        behind = versions_behind(
            self._registry, {alias: number for alias, number in found.items() if number not in known}
        )
        ours = {alias for alias, each in behind.items() if self._owner.owns(each)}
        collision = collision_of(others_of(behind, ours), self._mlflow, self._owner)
        if collision:
            return [collision] if wanted else []
        for alias in ALIASES:
            if alias in found and alias not in wanted:
                self._registry.delete_alias(alias)
            elif alias in wanted and found.get(alias) != wanted[alias]:
                self._registry.set_alias(alias, wanted[alias])
        return []


def _tag_run(registry: Registry, bucket: Identity, run: str, tags: Mapping[str, str]) -> None:
    """Tag a run that the records of this bucket name.

    One that was deleted, or belongs to another bucket, is left alone.
    """
    found = registry.run_tags(run)
    if found is not None and owns_run(bucket, found):
        if changed := with_note(found, tags):
            registry.tag_run(run, changed)
    else:
        log.info("run %s is not tagged: it was deleted in MLflow, or it belongs to another bucket", run)


def _run_key(history: History, version: int) -> str:
    entry = history.of_version(version, Event.CLAIMED)
    return entry.run_key if entry else ""
