"""Stand-ins for the images that ours are built on, for machines that reach no registry.

Debian 12 from its packages, with the Python 3.11 of the tests where the official images have theirs. What our
Dockerfiles use of their bases is as it is there: paths, users, variables, entry points. That the real bases are so is
not proven.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.platform.engine import Engine

PYTHON = "localhost/stand-in-python"
AIRFLOW = "localhost/stand-in-airflow"

# What Python is linked with, besides what every Debian has.
_PACKAGES = (
    "ca-certificates,dumb-init,libbz2-1.0,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1"
)
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# `leftover` stands for the packages of the base that no lock of ours names.
_AIRFLOW = f"""\
FROM {PYTHON}
RUN useradd --uid 50000 --gid 0 --home-dir /home/airflow --create-home airflow \\
    && mkdir -p /usr/python/bin /opt/airflow/logs \\
    && ln -s /usr/local/lib /usr/python/lib \\
    && ln -s /usr/local/bin/python3.11 /usr/python/bin/python3 && ln -s python3 /usr/python/bin/python \\
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


def skip_without_python() -> None:
    """Some packages of the locks need Python 3.11.3. Debian's is older, and is not in a folder of its own."""
    if not (3, 11, 3) <= sys.version_info < (3, 12) or sys.base_prefix == "/usr":
        pytest.skip("needs an environment of Python 3.11, as the images have: make setup-dev PYTHON=<a 3.11 of pyenv>")


def make_python(engine: Engine) -> None:
    """The stand-in for python:3.11-slim-bookworm."""
    root = engine.folder / "root"
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    _copy_python(Path(sys.base_prefix), root / "usr/local")
    subprocess.run(["chroot", str(root), "/sbin/ldconfig"], check=True, timeout=60)
    engine.import_root(PYTHON, root, environment={"PATH": _PATH, "LANG": "C.UTF-8"})


def _copy_python(prefix: Path, to: Path) -> None:
    """The interpreter and its standard library, without the packages that are installed beside it."""
    others = shutil.ignore_patterns("site-packages", "test", "*.a")
    shutil.copytree(prefix / "lib/python3.11", to / "lib/python3.11", ignore=others, symlinks=True)
    (to / "lib/python3.11/site-packages").mkdir()
    for library in prefix.glob("lib/libpython3*.so*"):
        shutil.copy2(library, to / "lib", follow_symlinks=False)
    shutil.copy2(prefix / "bin/python3.11", to / "bin")
    for name in ("python", "python3"):
        (to / "bin" / name).symlink_to("python3.11")


def make_airflow(engine: Engine) -> None:
    """The stand-in for apache/airflow, which has the packages of none but a leftover."""
    folder = engine.folder / "airflow"
    folder.mkdir()
    (folder / "Dockerfile").write_text(_AIRFLOW)
    engine.build_stand_in(AIRFLOW, folder)
