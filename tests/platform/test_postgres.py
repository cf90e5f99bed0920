"""docker/postgres/create-databases.sh on a real PostgreSQL: rights, change of passwords, back-up and restoration."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.compose_file import ALL_ADDRESSES, PROJECT, Checkout
from tests.platform.container import Container
from tests.platform.platform_processes import Platform
from tests.platform.using import connect

pytestmark = pytest.mark.platform

DENIED = "permission denied for database"
NAMES = ("airflow", "mlflow")
POWERS = "SELECT rolsuper OR rolcreatedb OR rolcreaterole"


class Server:
    """PostgreSQL as the service starts it, with the passwords of `.env`."""

    def __init__(self, folder: Path, checkout: Checkout) -> None:
        self.platform = Platform(checkout.resolved(COMPOSE_PROFILES=ALL_ADDRESSES), folder)
        self.env = checkout.values()
        self.container: Container = self.platform.start("postgres")

    def ask(self, sql: str, *, user: str, to: str, password: str | None = None) -> str:
        password = password or self.env[f"{user.upper()}_DB_PASSWORD"]
        return connect(self.platform, password, user=user, to=to, sql=sql)

    def execute(self, *command: str, text: str = "", **more: str) -> str:
        """`docker compose exec postgres COMMAND`: its output. Inside the container no password is needed."""
        environment = {**self.container.environment, **more}
        done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def servers(folder: Path, checkout: Checkout) -> Iterator[list[Server]]:
    """Two machines."""
    made: list[Server] = []
    try:
        for _ in range(2):
            own = Path(tempfile.mkdtemp(dir=folder))
            own.chmod(0o755)
            made.append(Server(own, checkout))
        yield made
    finally:
        for server in made:
            server.platform.down()


@pytest.fixture
def server(servers: list[Server]) -> Server:
    return servers[0]


def test_each_user_owns_one_database_and_reaches_no_other(server: Server) -> None:
    for name in NAMES:
        assert "SELECT 1" == server.ask("CREATE TABLE own AS SELECT 1 AS id", user=name, to=name)
        for other in {*NAMES, "postgres"} - {name}:
            assert DENIED in server.ask("SELECT 1", user=name, to=other)
        assert "f" == server.ask(f"{POWERS} FROM pg_roles WHERE rolname = current_user", user=name, to=name)


def test_all_characters_can_be_stored_whatever_the_locale_is(server: Server) -> None:
    assert ["UTF8", "UTF8"] == [server.ask("SHOW server_encoding", user=name, to=name) for name in NAMES]


def test_a_wrong_password_is_refused(server: Server) -> None:
    assert "password authentication failed" in server.ask("SELECT 1", user="airflow", to="airflow", password="guessed")


def test_the_script_run_again_sets_the_new_passwords_and_keeps_the_data(server: Server) -> None:
    """...as docker/compose.md says how to change them."""
    script = str(PROJECT / "docker" / "postgres" / "create-databases.sh")
    server.ask("CREATE TABLE kept (id int)", user="airflow", to="airflow")

    assert "" == server.execute(script, AIRFLOW_DB_PASSWORD='it\'s "new"')

    assert "0" == server.ask("SELECT count(*) FROM kept", user="airflow", to="airflow", password='it\'s "new"')
    assert "password authentication failed" in server.ask("SELECT 1", user="airflow", to="airflow")
    assert "1" == server.ask("SELECT 1", user="mlflow", to="mlflow")
    assert "" == server.execute(script), "and the former one again"
    assert "1" == server.ask("SELECT 1", user="airflow", to="airflow")


def test_it_is_healthy_only_when_both_users_reach_their_databases(server: Server) -> None:
    """A first start that was interrupted leaves neither; then the script makes them, as docker/compose.md says."""
    assert 0 == server.container.check().returncode
    for name in NAMES:
        server.execute("psql", "--username=postgres", f"--command=DROP DATABASE {name}")
        server.execute("psql", "--username=postgres", f"--command=DROP ROLE {name}")

        assert f'role "{name}" does not exist' in server.container.check().stdout
        assert 0 != server.container.check().returncode

        assert "" == server.execute("sh", str(PROJECT / "docker" / "postgres" / "create-databases.sh"))
        assert 0 == server.container.check().returncode


def test_a_missing_password_is_named_and_changes_nothing(server: Server) -> None:
    script = str(PROJECT / "docker" / "postgres" / "create-databases.sh")

    assert "MLFLOW_DB_PASSWORD: is not set" in server.execute(script, MLFLOW_DB_PASSWORD="")
    assert "1" == server.ask("SELECT 1", user="mlflow", to="mlflow")


def test_a_dump_can_be_restored_on_another_machine(servers: list[Server]) -> None:
    """...by the commands of docker/compose.md."""
    first, second = servers
    first.ask("CREATE TABLE runs AS SELECT 'it is “kept”' AS note", user="airflow", to="airflow")

    dump = first.execute("pg_dumpall", "--username", "postgres")
    second.execute("psql", "--username", "postgres", "--quiet", text=dump)

    assert "it is “kept”" == second.ask("SELECT note FROM runs", user="airflow", to="airflow")
    assert DENIED in second.ask("SELECT 1", user="airflow", to="mlflow")
