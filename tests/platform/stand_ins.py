"""Stand-ins for the images that ours are built on, for machines that reach no registry.

Debian 12 from its packages, with Debian's Python 3.11 where the official images have theirs. What our Dockerfiles use
of their bases is as it is there: paths, users, variables, entry points. That the real bases are so is not proven.
"""

import subprocess
from pathlib import Path

from tests.platform.engine import Engine

PYTHON = "localhost/stand-in-python"
AIRFLOW = "localhost/stand-in-airflow"

_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# `leftover` stands for the packages of the base that no lock of ours names.
_AIRFLOW = f"""\
FROM {PYTHON}
RUN useradd --uid 50000 --gid 0 --home-dir /home/airflow --create-home airflow \\
    && mkdir -p /usr/python/bin /opt/airflow/logs \\
    && ln -s /usr/bin/python3.11 /usr/python/bin/python3 && ln -s python3 /usr/python/bin/python \\
    && python3 -m venv --system-site-packages /home/airflow/.local \\
    && mkdir /home/airflow/.local/lib/python3.11/site-packages/leftover-1.0.dist-info \\
    && printf 'Metadata-Version: 2.1\\nName: leftover\\nVersion: 1.0\\n' \\
        > /home/airflow/.local/lib/python3.11/site-packages/leftover-1.0.dist-info/METADATA \\
    && printf 'leftover-1.0.dist-info/METADATA,,\\nleftover-1.0.dist-info/RECORD,,\\n' \\
        > /home/airflow/.local/lib/python3.11/site-packages/leftover-1.0.dist-info/RECORD \\
    && printf '#!/bin/bash\\ncase "$1" in bash|python) exec "$@" ;; *) exec airflow "$@" ;; esac\\n' > /entrypoint \\
    && chmod 755 /entrypoint && chown -R airflow:0 /home/airflow /opt/airflow
ENV PATH=/home/airflow/.local/bin:/usr/python/bin:{_PATH} VIRTUAL_ENV=/home/airflow/.local AIRFLOW_HOME=/opt/airflow
SHELL ["/bin/bash", "-o", "pipefail", "-o", "errexit", "-o", "nounset", "-c"]
WORKDIR /opt/airflow
USER 50000
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
"""


def make_python(engine: Engine) -> None:
    """The stand-in for python:3.11-slim-bookworm."""
    root = engine.folder / "root"
    packages = "ca-certificates,dumb-init,python3,python3-venv"
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3.11")
    engine.import_root(PYTHON, root, environment={"PATH": _PATH, "LANG": "C.UTF-8"})


def make_airflow(engine: Engine) -> None:
    """The stand-in for apache/airflow, which has the packages of none but a leftover."""
    folder = engine.folder / "airflow"
    folder.mkdir()
    (folder / "Dockerfile").write_text(_AIRFLOW)
    engine.build(AIRFLOW, Path(folder / "Dockerfile"), context=folder, arguments={})
