"""What must lie in `var/` before the first process starts. Every step leaves alone what is there already."""

import subprocess
import sys
from importlib.metadata import version

from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings
from pipeline import layout


def folders(settings: StackSettings) -> None:
    for folder in (settings.bucket, settings.var / "airflow", settings.var / "mlflow", settings.logs, settings.run):
        folder.mkdir(parents=True, exist_ok=True)


def require_model(settings: StackSettings) -> None:
    """Ask whether there is anything to train or to serve under the name of the model.

    Raises:
        StackError: names the models that there are.
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


def first_config(settings: StackSettings) -> None:
    """The config the servers poll: an empty list before the first release, so that they are up and serve nothing.

    Raises:
        StackError: the pipeline could not write it.
    """
    _run("pipeline", "init", "--model", settings.model, settings=settings)


def airflow_database(settings: StackSettings) -> bool:
    """Tables for this version of Airflow; whether there was anything to do.

    Raises:
        StackError: the migration failed; the next attempt starts it again.
    """
    stamp = settings.var / "airflow" / f"migrated-{version('apache-airflow-core')}"
    if stamp.exists():
        return False
    _run("airflow", "db", "migrate", settings=settings)
    stamp.touch()
    return True


def fresh_logs(settings: StackSettings) -> None:
    """Each `make up` begins new log files; those of the stack before are kept beside them."""
    for log in settings.logs.glob("*.log"):
        log.replace(log.with_suffix(".log.old"))


def _run(module: str, *words: str, settings: StackSettings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
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
        raise StackError(f"`{module} {' '.join(words)}` ended with {done.returncode}:\n{tail}")
