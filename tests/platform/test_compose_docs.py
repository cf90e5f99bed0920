"""What docker/compose.md says about docker-compose.yaml."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from pipeline.cli import app
from tests.platform.compose_file import PROJECT, Checkout

TEXT = (PROJECT / "docker" / "compose.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line.split("  #")[0].strip() for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
SECOND_MODEL = PROJECT / "docker" / "second-model.yaml"


def services(checkout: Checkout) -> set[str]:
    return set(checkout.resolved(COMPOSE_PROFILES="cpu,gpu,gcs,s3")["services"])


def test_every_service_of_a_command_exists(checkout: Checkout) -> None:
    commands = [line for line in LINES if line.startswith("docker compose ")]
    service = r"(?:run|exec|logs|up|stop) (?:-\S+ (?:100 )?)*([a-z][\w-]*)"
    named = {name for line in commands for name in re.findall(service, line)}

    assert len(commands) > 15
    assert {"understudy", "postgres", "mlflow", "serving-1"} <= named
    assert set() == named - services(checkout)


def test_everything_that_uses_the_tables_is_stopped_while_they_are_migrated(checkout: Checkout) -> None:
    upgrade = LINES[LINES.index("git pull") :]
    (stops,) = [line for line in upgrade if line.startswith("docker compose stop ")]

    assert {name for name in services(checkout) if name.startswith("airflow-")} - {"airflow-init"} == {
        *stops.split()[3:],
        "airflow-scheduler-gpu",
    }
    assert upgrade.index("sh docker/make-env") < upgrade.index(stops) < upgrade.index("docker compose up --detach")


def test_what_runs_is_stopped_before_other_profiles_are_chosen() -> None:
    """...by the name of the project: Compose leaves what belongs to profiles that are no longer chosen."""
    for option in ("--storage gcs", "--gpu"):
        (block,) = [block for block in BLOCKS if option in block]
        assert block.startswith("docker compose --project-name understudy down "), option
    assert [] == [line for line in LINES if line.startswith("docker compose down")]


def test_a_second_model_on_gpus_is_what_the_page_says(tmp_path: Path) -> None:
    (override,) = re.findall(r"`(networks: !override [^`]+)`", TEXT)
    gpu = SECOND_MODEL.read_text().replace("serving-2}", f"serving-2-gpu}}\n    {override}")
    (tmp_path / "gpu.yaml").write_text(gpu.replace("file: docker-compose.yaml", f"file: {PROJECT}/docker-compose.yaml"))
    made = Checkout(tmp_path)
    made.make_env("--gpu")

    found = made.resolved("--file", str(tmp_path / "gpu.yaml"))["services"]

    for name in ("small-1", "small-2"):
        assert found[name]["image"].endswith("-gpu")
        assert not found[name]["networks"]["platform"], "it has no other name"
        assert "build" not in found[name]


def test_every_service_that_up_starts_is_in_the_table(checkout: Checkout) -> None:
    table = TEXT.split("| service | what it does |")[1].split("\n\n")[0]
    listed = {name for row in table.splitlines()[2:] for name in row.split("|")[1].strip().split(", ")}

    assert listed == {name for name in services(checkout) if not name.endswith("-gpu")} - {"understudy"}


def test_every_port_is_in_the_table(checkout: Checkout) -> None:
    table = TEXT.split("| port on 127.0.0.1 |")[1].split("\n\n")[0]
    listed = set(re.findall(r"\d{4}", " ".join(row.split("|")[1] for row in table.splitlines()[2:])))
    resolved = checkout.resolved(COMPOSE_PROFILES="cpu,s3")["services"]

    assert {port["published"] for service in resolved.values() for port in service.get("ports", ())} == listed


@pytest.mark.parametrize("line", sorted({line for line in LINES if line.startswith("sh docker/make-env")}))
def test_make_env_has_every_option_of_a_command(tmp_path: Path, line: str) -> None:
    made = Checkout(tmp_path)
    (tmp_path / "key.json").touch()
    options = [str(tmp_path) if word == "/srv/pets" else word for word in shlex.split(line)[2:]]

    assert "" == made.make_env(*options).stderr


def test_the_command_that_revokes_a_key_leaves_the_others_in_the_same_file(checkout: Checkout) -> None:
    """A container that has mounted the file never sees another one of its name."""
    checkout.make_env()
    before, file = checkout.keys.read_text(), checkout.keys.stat().st_ino
    checkout.keys.write_text(f"{before}shop sha256:{'0f' * 32}\nshop-2 sha256:{'1e' * 32}\n")
    (command,) = [line for line in LINES if line.startswith("kept=")]
    subprocess.run(["sh", "-c", command.replace("NAME", "shop")], cwd=checkout.folder, check=True)

    assert f"{before}shop-2 sha256:{'1e' * 32}\n" == checkout.keys.read_text()
    assert file == checkout.keys.stat().st_ino


def test_every_verb_of_a_command_exists() -> None:
    verbs = set(re.findall(r"run --rm understudy ([a-z]+)", TEXT))

    assert len(verbs) >= 4
    assert verbs <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_every_link_leads_somewhere() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\((?!https://)([^)]+)\)", TEXT)]

    assert links
    assert [] == [link for link in links if not (PROJECT / "docker" / link).exists()]


def test_a_second_model_has_servers_a_fleet_and_a_sync_of_its_own(tmp_path: Path) -> None:
    made = Checkout(tmp_path)
    made.make_env("--storage", "s3")

    found = made.resolved("--file", str(SECOND_MODEL))["services"]

    for name, config in (("small-1", "first_ring"), ("small-2", "serve")):
        assert f"/bucket/{config}/digits_small.config" == found[name]["environment"]["MODEL_CONFIG"]
        assert "digits_small" == found[name]["environment"]["MODEL_NAME"]
    fleets = found["airflow-init"]["environment"]["FLEETS"].split()
    assert ["digits=serving-1:8500,serving-2:8500,serving-3:8500", "digits_small=small-1:8500,small-2:8500"] == fleets
    assert "digits_small" in found["sync-small"]["command"]
    gateway = set(found["gateway"]["command"])
    assert {"--model=digits_small=small-1:8500,small-2:8500"} == gateway - set(made.gateway_command())
    assert set() == set(made.gateway_command()) - gateway
    ports = [port["published"] for service in found.values() for port in service.get("ports", ())]
    assert len(ports) == len(set(ports))
