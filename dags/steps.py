"""One verb of the pipeline as one Airflow task. What it runs is the same everywhere; where it runs is a setting."""

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from airflow.sdk import CronTriggerTimetable

from dags.tasks.local import AnnounceOperator, VerbOperator
from dags.tasks.pod_settings import VERBS, PodSettings, is_secret, load_pods
from dags.tasks.step_settings import StepSettings
from dags.tasks.verb_task import log_last_lines
from pipeline.errors import BadInputError
from pipeline.settings import Settings

log = logging.getLogger(__name__)

# A lost worker is tried once more, and not at once: while Airflow itself starts, its API may be silent for a minute.
RETRY = {"retries": 1, "retry_delay": timedelta(seconds=60)}
# Files that every verb needs that has to do with replicas or manifests, and what only `publish` needs.
_FILES = frozenset({"tls_ca", "tls_certificate", "tls_key", "verifying_key"})
_SIGNING = frozenset({"signing_key"})
# Instead of a file: the authorities that the system trusts.
_SYSTEM = "system"
# What Airflow's environment says of the worker or of one call, and not of the bucket, the replicas and MLflow.
_ONLY_HERE = frozenset(
    _FILES
    | _SIGNING
    | {"var", "models", "code_version"}
    | {"gateway_key"}  # a secret, and no step asks a gateway
    | {"actor", "run_url", "scheduled", "started_by_event", "params"}
)


@cache
def require_steps() -> None:
    """Check what steps need to know before a DAG is made of them.

    Raises:
        BadInputError: steps are to be pods, and it is not known how these look, or where the bucket is.
    """
    if StepSettings().execution == "local":
        return
    pods = load_pods(StepSettings().pods)
    of_pods = [verb for verb in VERBS if pods.of(verb).execution != "local"]
    if of_pods:
        from dags.tasks.pod_manifest import manifest  # noqa: PLC0415 - imports the client of Kubernetes

        for verb in of_pods:
            _require_files(pods, verb)
            manifest(pods.of(verb), verb=verb, deployment=_deployment(pods, verb))


def run_key(kind: str) -> str:
    """The name of one run, as a template that can only become `<kind>-` and digits."""
    return kind + '-{{ dag_run.run_after.strftime("%Y%m%d%H%M%S%f") }}'


def cron(schedule: str | None) -> CronTriggerTimetable | None:
    """When a DAG runs by itself, in UTC. It needs no start_date: with one, a DAG that is unpaused is due at once.

    So it would be in the first tenth of a period, too: Airflow 3.3 takes `run_immediately=False` for "if the last
    moment is not longer ago than that". Only a time is taken as it is.
    """
    return CronTriggerTimetable(schedule, timezone="UTC", run_immediately=timedelta(0)) if schedule else None


def step(
    verb: str,
    *,
    key: str | None,
    form: str,
    words: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    announcing: Mapping[str, Any] | None = None,
    on_call: bool = False,
    **task: Any,
) -> Any:
    """The task that runs `python -m pipeline VERB --run KEY WORDS`, or `VERB WORDS` without a key.

    Args:
        verb: what to run; also the task's id unless `task_id` says otherwise.
        key: the run key, from `run_key`; None for a verb that is not part of a run.
        form: a template that becomes the run's form as one JSON object. It may hold anything a person typed, so it
            travels in the environment and is in no command.
        words: more words of the command line; never a template of something that a person typed.
        env: more variables for the verb; templates.
        announcing: of a task that announces, what `dags.tasks.announcing_task.AnnouncingTask` is made with.
        on_call: whether people on call trigger it. It runs as a local process, then, which waits for nothing, unless
            the file of pods asks for a pod.
        task: what else Airflow is to know.

    Raises:
        BadInputError: see `require_steps`.
    """
    command = ["-m", "pipeline", verb, *(() if key is None else ("--run", key)), *words]
    environment = {
        "UNDERSTUDY_PARAMS": form,
        "UNDERSTUDY_ACTOR": "{{ dag_run.triggering_user_name or 'schedule' }}",
        "UNDERSTUDY_SCHEDULED": "{{ 'false' if dag_run.triggering_user_name else 'true' }}",
        **(env or {}),
    }
    arguments: dict[str, Any] = {
        "verb": verb,
        "words": command,
        "environment": environment,
        "on_failure_callback": log_last_lines,
        "on_retry_callback": log_last_lines,
        "on_skipped_callback": log_last_lines,
        **(announcing or {}),
        "task_id": verb,
        "execution_timeout": timedelta(minutes=30),
        **RETRY,
        **_queue(on_call=on_call),
        **task,
    }
    pods = _pods(verb, on_call=on_call)
    if pods is None:
        return (VerbOperator if announcing is None else AnnounceOperator)(**arguments)
    from dags.tasks.pod_step import pod_step  # noqa: PLC0415 - imports the client of Kubernetes

    return pod_step(pods, announces=announcing is not None, deployment=_deployment(pods, verb), **arguments)


def _pods(verb: str, *, on_call: bool) -> PodSettings | None:
    """How the pod of a step looks; None for a step that is a local process."""
    settings = StepSettings()
    if settings.execution == "local":
        return None
    try:
        require_steps()
        pods = load_pods(settings.pods)
    except BadInputError as error:
        if not on_call:
            raise
        log.warning("`%s` runs as a local process: %s", verb, error)
        return None
    execution = pods.of(verb).execution or ("local" if on_call else "pod")
    return pods if execution == "pod" else None


def _require_files(pods: PodSettings, verb: str) -> None:
    """Check that what is a file for Airflow is one for the pod, too. Without it a step would not sign, or not verify.

    Raises:
        BadInputError: names the variable that the file of pods lacks.
    """
    needed = _FILES | _SIGNING if verb == "publish" else _FILES
    names = sorted(f"UNDERSTUDY_{name.upper()}" for name in needed)
    given = pods.variables(verb)
    missing = [name for name in names if os.environ.get(name, _SYSTEM) != _SYSTEM and name not in given]
    if missing and verb != "announce":  # which only reads the journal
        raise BadInputError(
            f"{missing[0]} names a file of Airflow's machine, and the pod of `{verb}` has none. Mount it from a Secret "
            f"with `volumes` and `volumeMounts`, and set {missing[0]} in `env` of the file of pods: see docs/pods.md"
        )


def _queue(*, on_call: bool) -> dict[str, str]:
    """With CeleryExecutor, what people on call trigger may have workers of its own."""
    queue = StepSettings().on_call_queue
    return {"queue": queue} if on_call and queue else {}


def _deployment(pods: PodSettings, verb: str) -> dict[str, str]:
    """What Airflow's environment says of bucket, replicas and MLflow, so that it holds for pods as for local steps.

    Raises:
        BadInputError: nothing says where the bucket is. A pod has no stack of its own to take it from.
    """
    said = pods.variables(verb)
    found = {}
    for field in Settings.model_fields:
        name = f"UNDERSTUDY_{field.upper()}"
        value = os.environ.get(name)
        # What the system trusts is no file, and holds for pods too: without it they would ask replicas in plain text.
        is_for_pods = field not in _ONLY_HERE or (field in _FILES and value == _SYSTEM)
        if value is not None and name not in said and is_for_pods:
            found[name] = value
    for name, value in found.items():
        if is_secret(name, value):
            raise BadInputError(
                f"{name} contains a secret, and is set for Airflow. Pods would show it: put it into a Secret, and name "
                "that with `valueFrom` in `env` of the file of pods"
            )
    if "UNDERSTUDY_ROOT" not in {*found, *said}:
        raise BadInputError(
            "UNDERSTUDY_ROOT is not set, and steps that are pods must know the bucket. Set it in Airflow's environment"
        )
    return found
