"""Prepare the folder of a stack before its processes start: folders, config, database, logs. Steps may be repeated."""

import subprocess
import sys
from importlib.metadata import version

from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings
from pipeline import layout


def create_folders(settings: StackSettings) -> None:
    """Create the folders of the stack that do not exist yet.

    Raises:
        OSError: one cannot be created.
    """
    for folder in (settings.bucket, settings.var / "airflow", settings.var / "mlflow", settings.logs, settings.run):
        folder.mkdir(parents=True, exist_ok=True)


def require_model(settings: StackSettings) -> None:
    """Check that the model has a model file, or releases in the bucket.

    Raises:
        StackError: it has neither; the message lists the models that exist.
    """
    if (settings.models / f"{settings.model}.yaml").exists() or (
        settings.bucket / layout.journal(settings.model)
    ).exists():
        return
    known = ", ".join(sorted(path.stem for path in settings.models.glob("*.yaml"))) or "none"
    raise StackError(
        f"the model {settings.model} does not exist: no file {settings.models / settings.model}.yaml, and no release "
        f"in {settings.bucket}. Models in {settings.models}: {known}. Set UNDERSTUDY_MODEL to one of them, or "
        "UNDERSTUDY_MODELS to the folder that has its file"
    )


def write_first_config(settings: StackSettings) -> None:
    """Write the config that the servers poll, with no versions before the first release, if there is none yet.

    Raises:
        StackError: the pipeline could not write it; the message has the end of its output.
    """
    _run("pipeline", "init", "--model", settings.model, settings=settings)


def migrate_airflow_database(settings: StackSettings) -> bool:
    """Create or migrate the database for the installed version of Airflow; False if that was done before.

    Raises:
        StackError: the migration failed; the next call repeats it.
    """
    stamp = settings.var / "airflow" / f"migrated-{version('apache-airflow-core')}"
    if stamp.exists():
        return False
    _run("airflow", "db", "migrate", settings=settings)
    stamp.touch()
    return True


def rotate_logs(settings: StackSettings) -> None:
    """Rename each `*.log` to `*.log.old`, so that this start of the stack has log files of its own.

    Raises:
        OSError: one cannot be renamed.
    """
    for log in settings.logs.glob("*.log"):
        log.replace(log.with_suffix(".log.old"))


def _run(module: str, *arguments: str, settings: StackSettings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env=stack_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise StackError(f"`{module} {' '.join(arguments)}` ended with {done.returncode}:\n{tail}")
