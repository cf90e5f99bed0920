"""What the images bring that docker-compose.yaml does not say: programs, variables and files.

Apache Airflow's entry point is not here, because it is in no package: it waits for the database, and then runs the
command. The entry points `dumb-init --` of our other images pass signals on, which `tests.platform.container` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.platform.compose_file import PROJECT

SERVING = PROJECT / "docker" / "serving"


@dataclass(frozen=True)
class Image:
    """An image as far as its containers need it.

    Attributes:
        entrypoint: what runs the command.
        variables: of the environment, with paths of the container.
        files: what stands for paths of the container; of every image, `/opt/understudy` is the checkout.
        folders: paths that each container has for itself.
        work_folder: where commands are run.
    """

    entrypoint: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    folders: Sequence[str] = ()
    work_folder: str = "/tmp"


_CODE = {"/opt/understudy": PROJECT}

IMAGES: Mapping[str, Image] = {
    "understudy-airflow": Image(
        variables={"AIRFLOW_HOME": "/opt/airflow", "PYTHONPATH": "/opt/understudy"},
        files=_CODE,
        folders=("/opt/airflow", "/tmp"),
        work_folder="/opt/airflow",
    ),
    # The image has a file with the path of the code instead of a variable.
    "understudy-pipeline": Image(
        variables={"PYTHONPATH": "/opt/understudy"}, files=_CODE, work_folder="/opt/understudy"
    ),
    "understudy-gateway": Image(
        variables={"PYTHONPATH": "/opt/understudy"}, files=_CODE, work_folder="/opt/understudy"
    ),
    "understudy-mlflow": Image(work_folder="/mlflow"),
    "understudy-serving": Image(
        entrypoint=["/opt/understudy/entrypoint.sh"],
        variables={"PYTHONPATH": "/opt/server"},
        files={
            "/opt/understudy": SERVING,
            # Of the stand-in for tensorflow_model_server.
            "/opt/server": PROJECT,
        },
    ),
    "docker.io/prom/prometheus": Image(entrypoint=["prometheus"], folders=("/tmp",)),
    "docker.io/library/postgres": Image(),
}
