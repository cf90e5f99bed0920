"""What the entry point of PostgreSQL's image does, with the PostgreSQL of this machine.

It makes a database in an empty volume, runs the scripts of /docker-entrypoint-initdb.d on a server that only listens on
its socket, and then starts the server. Authentication by password is asked for on 127.0.0.1 too, as other containers
meet it.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

HOW_TO_GET_IT = "needs PostgreSQL 14 or later: install Debian's package postgresql"


def programs() -> Path:
    """The folder with initdb, pg_ctl and postgres; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else pytest.skip(HOW_TO_GET_IT)


def user() -> str | None:
    """Who runs the server: it refuses root. None for who runs the tests."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return pytest.skip(HOW_TO_GET_IT)


def prepare(folder: Path, scripts: list[Path], environment: Mapping[str, str]) -> None:
    """Make the database in `folder`, unless it has one. `environment` has the variables of the service, and PGHOST."""
    if (folder / "PG_VERSION").exists():
        return
    if name := user():
        shutil.chown(folder, name)
    folder.chmod(0o700)
    password = Path(environment["PGHOST"]) / "password"
    password.write_text(environment["POSTGRES_PASSWORD"])
    if name := user():
        shutil.chown(password, name)
    how = ["--username=postgres", f"--pwfile={password}", "--auth-local=trust", "--auth-host=scram-sha-256"]
    _run(["initdb", "--no-sync", *how, str(folder)], environment)
    only_socket = f"-c listen_addresses='' -k {environment['PGHOST']} -p {environment['PGPORT']}"
    _run(["pg_ctl", "-D", str(folder), "-o", only_socket, "-w", "start"], environment)
    try:
        for script in scripts:
            _run([str(script)], environment)
    finally:
        _run(["pg_ctl", "-D", str(folder), "-m", "fast", "-w", "stop"], environment)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    folder = environment["PGHOST"]
    # Not through a pipe: the server that pg_ctl starts keeps it open.
    with Path(folder, "prepare.log").open("ab") as log:
        done = subprocess.run(
            command, cwd=folder, env=dict(environment), stdout=log, stderr=log, user=user(), check=False
        )
    assert 0 == done.returncode, Path(folder, "prepare.log").read_text()
