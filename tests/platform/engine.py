"""A container engine in a folder of its own: buildah builds, podman runs, and both store everything in that folder.

Nothing is pulled. Both need root, and neither needs a service that runs.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = ("buildah", "podman", "runc", "debootstrap")
# Large, so not in a folder that may be memory. Layers of TensorFlow and Airflow take 12 GB.
_PLACE = Path("/var/tmp")
_BUILD_SECONDS = 900.0
_RUN_SECONDS = 240.0
_HOW = ("--isolation=chroot", "--pull-never")
# What a build reads where the machine has it, see docker/README.md.
_INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")


def skip_without_tools() -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: on Debian `apt-get install {' '.join(TOOLS)}`")
    if os.geteuid() != 0:
        pytest.skip("needs root, for debootstrap and buildah: run `sudo make platform`")


class Engine:
    """Images in a folder.

    Attributes:
        folder: everything is in here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = ["--root", str(folder / "store"), "--runroot", str(folder / "run")]
        self._secrets = [f"--secret=id={name},src={path}" for name, path in self._files_of_secrets().items()]

    def build(self, name: str, *, version: str, bases: Mapping[str, str]) -> str:
        """Build one of our images as `make images` does, on bases that are here already; its name."""
        arguments = [f"--build-arg={argument}={image}" for argument, image in bases.items()]
        variables = {"BUILD_ARGS": " ".join([*_HOW, *self._secrets, *arguments]), "CODE_VERSION": version, "GPU": ""}
        self._run(["docker/images", "build", name], {"ENGINE": " ".join(["buildah", *self._store]), **variables})
        return f"localhost/understudy-{name}:local"

    def build_stand_in(self, image: str, folder: Path) -> None:
        """Build an image from a folder with a Dockerfile."""
        self._buildah("build", *_HOW, "--format", "docker", "--tag", image, str(folder))

    def import_root(self, image: str, root: Path, *, environment: Mapping[str, str]) -> None:
        """Make an image of a folder that holds a whole system."""
        container = self._buildah("from", "scratch").strip()
        self._buildah("copy", "--quiet", container, str(root), "/")
        for name, value in environment.items():
            self._buildah("config", "--env", f"{name}={value}", container)
        self._buildah("commit", "--rm", container, image)

    def config(self, image: str) -> Any:
        """The configuration of an image, as Docker shows it."""
        return json.loads(self._buildah("inspect", "--type", "image", image))["Docker"]["config"]

    def size(self, image: str) -> int:
        """The bytes of all layers of an image, as they are on the disk, together."""
        return int(self._run([*self._podman, "image", "inspect", "--format", "{{.Size}}", image], {}))

    def command(self, image: str, *words: str, options: Sequence[str] = ()) -> list[str]:
        """The command that runs words in a new container: as the image's user, with a root that nobody can write."""
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
        how = ["--rm", "--network", "host", "--no-healthcheck", "--read-only", "--tmpfs", "/tmp", *limits, *options]
        return [*self._podman, "run", *how, image, *words]

    def run(
        self, image: str, *words: str, options: Sequence[str] = (), expected: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run words in a new container, and check the exit code."""
        command = self.command(image, *words, options=options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False)
        assert expected == done.returncode, f"{' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done

    def stop(self, container: str) -> None:
        """Send SIGTERM to a container, and after ten seconds SIGKILL."""
        subprocess.run([*self._podman, "stop", "--time", "10", container], capture_output=True, check=True, timeout=60)

    @property
    def _podman(self) -> list[str]:
        return ["podman", *self._store, "--cgroup-manager", "cgroupfs", "--log-level", "fatal"]

    def _buildah(self, *words: str) -> str:
        return self._run(["buildah", *self._store, *words], {})

    def _run(self, command: Sequence[str], variables: Mapping[str, str]) -> str:
        # The cache mounts of a build are in the folder for temporary files.
        environment = os.environ | {"TMPDIR": str(self.folder), **variables}
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=PROJECT, env=environment, timeout=_BUILD_SECONDS, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def _files_of_secrets(self) -> dict[str, Path]:
        found = {}
        if certificates := os.environ.get("SSL_CERT_FILE"):
            found["ca"] = Path(certificates)
        if lines := [f"{name}='{os.environ[name]}'\n" for name in _INDEX_VARIABLES if name in os.environ]:
            found["index"] = self.folder / "index"
            found["index"].write_text("".join(lines))
        return found


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine without images. Its folder is deleted."""
    skip_without_tools()
    folder = Path(tempfile.mkdtemp(prefix="understudy-images-", dir=_PLACE))
    try:
        yield Engine(folder)
    finally:
        subprocess.run(["rm", "-rf", folder], check=True, timeout=300)
