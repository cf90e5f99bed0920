"""Prepare the folder of a stack before its processes start: folders, config, database, logs. Steps may be repeated."""

import subprocess
import sys
from importlib.metadata import version

from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings


def create_folders(settings: StackSettings) -> None:
    """Create the folders of the stack that do not exist yet.

    Raises:
        OSError: one cannot be created.
    """
    for folder in (settings.bucket, settings.var / "airflow", settings.var / "mlflow", settings.logs, settings.run):
        folder.mkdir(parents=True, exist_ok=True)


def require_models(settings: StackSettings) -> None:
    """Check that there is a model file.

    Raises:
        StackError: the folder of model files has none.
    """
    if not settings.fleets:
        raise StackError(
            f"{settings.models} has no model file, for example digits.yaml, so there is nothing to serve. Put one "
            "there, or set UNDERSTUDY_MODELS to the folder that has model files"
        )


def migrate_airflow_database(settings: StackSettings) -> bool:
    """Create or migrate the database for the installed version of Airflow; False if that was done before.

    Raises:
        StackError: the migration failed; the next call repeats it.
    """
    stamp = settings.var / "airflow" / f"migrated-{version('apache-airflow-core')}"
    if stamp.exists():
        return False
    run("airflow", "db", "migrate", environment=stack_environment(settings))
    stamp.touch()
    return True


def rotate_logs(settings: StackSettings) -> None:
    """Rename each `*.log` to `*.log.old`, so that this start of the stack has log files of its own.

    Raises:
        OSError: one cannot be renamed.
    """
    for log in settings.logs.glob("*.log"):
        log.replace(log.with_suffix(".log.old"))


def run(module: str, *arguments: str, environment: dict[str, str]) -> str:
    """Run `python -m MODULE ARGUMENTS`, and return its output.

    Raises:
        StackError: it failed; the message has the end of its output.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise StackError(f"`{module} {' '.join(arguments)}` ended with {done.returncode}:\n{tail}")
    return done.stdout
