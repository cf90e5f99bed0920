"""What docker-compose.yaml promises, read as Compose resolves it. tests/platform/test_compose.py runs its services."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import layout
from tests.platform.compose_file import FILE, PROJECT, TEXT, Checkout, started, words_of
from tests.platform.test_make_env import SECRETS

STORAGES = {
    "disk": (),
    "s3": ("--storage", "s3"),
    "gcs": ("--storage", "gcs", "--bucket", "gs://models/understudy"),
}
PROFILES = ("cpu", "gpu", "gcs", "s3")
# They end when they have done their work.
ONE_SHOT = {"airflow-init", "minio-bucket", "understudy"}
SERVERS = ("serving-1", "serving-2", "serving-3")
SECOND_MODEL = PROJECT / "docker" / "second-model.yaml"
Services = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    assert 0 == made.make_env().returncode
    return made


@pytest.fixture(scope="module")
def everything(checkout: Checkout) -> Services:
    """All services of all profiles."""
    services: Services = checkout.resolved(COMPOSE_PROFILES=",".join(PROFILES))["services"]
    return services


def references() -> Iterator[tuple[str, str]]:
    """Each variable of the file, with what follows its name: `:-default`, `:?message`, nothing."""
    without_comments = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    yield from re.findall(r"\$\{([A-Z0-9_]+)((?::?[-?+])?)", without_comments)


def test_the_file_follows_the_specification_of_compose() -> None:
    command = [
        str(Path(sys.executable).with_name("check-jsonschema")),
        "--builtin-schema",
        "vendor.compose-spec",
        str(FILE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


each_combination = pytest.mark.parametrize(("storage", "hardware"), [*itertools.product(STORAGES, ("--cpu", "--gpu"))])


@each_combination
def test_every_combination_that_make_env_writes_is_valid(tmp_path: Path, storage: str, hardware: str) -> None:
    made = Checkout(tmp_path)
    assert 0 == made.make_env(*STORAGES[storage], hardware).returncode

    resolved = made.resolved()["services"]

    suffix = "-gpu" if hardware == "--gpu" else ""
    assert {f"{name}{suffix}" for name in (*SERVERS, "airflow-scheduler")} <= set(resolved)
    assert ("sync" in resolved) == (storage != "disk")
    assert ("minio" in resolved) == (storage == "s3")


def test_make_env_writes_every_variable_or_the_file_has_a_default(checkout: Checkout) -> None:
    written = set(checkout.values())
    named = dict(references())

    assert len(named) > 30
    assert {"USER"} == {name for name in named if name not in written}
    # Compose itself reads the profiles, and people the key.
    assert {"COMPOSE_PROFILES", "GATEWAY_KEY"} == written - set(named), "nothing is written that nothing reads"


def test_no_secret_has_a_default_and_each_says_what_to_run() -> None:
    found: dict[str, set[str]] = {}
    for name, operator in references():
        found.setdefault(name, set()).add(operator)

    assert {name: {":?"} for name in SECRETS} == {name: found[name] for name in SECRETS}
    assert TEXT.count(":?") == TEXT.count(":?run sh docker/make-env}")


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_a_missing_secret_is_named_with_the_command_that_makes_it(checkout: Checkout, secret: str) -> None:
    done = checkout.compose("config", "--quiet", **{secret: ""})

    assert 0 != done.returncode
    assert f"{secret} is missing a value: run sh docker/make-env" in done.stderr


def test_without_an_env_the_first_message_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()

    assert "run sh docker/make-env" in Checkout(tmp_path).compose("config", "--quiet").stderr


def published(services: Services) -> list[Mapping[str, Any]]:
    return [port for service in services.values() for port in service.get("ports", ())]


def test_every_port_is_open_to_this_machine_alone(everything: Services) -> None:
    assert {"127.0.0.1"} == {port["host_ip"] for port in published(everything)}


def test_one_variable_opens_all_ports(checkout: Checkout) -> None:
    services = checkout.resolved(COMPOSE_PROFILES="cpu,s3", BIND_ADDRESS="0.0.0.0")["services"]  # noqa: S104

    assert {"0.0.0.0"} == {port["host_ip"] for port in published(services)}  # noqa: S104


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_no_port_is_published_twice(checkout: Checkout, hardware: str) -> None:
    ports = [port["published"] for port in published(checkout.resolved(COMPOSE_PROFILES=f"{hardware},s3")["services"])]

    assert {"8080", "5000", "9090", "3000", "8500", "8501", "8510", "8511", "8520", "8521", "8090", "9001"} == set(
        ports
    )
    assert len(ports) == len(set(ports))


def test_every_service_is_restricted(everything: Services) -> None:
    """...in memory, processors, rights and size of its log."""
    for name, service in everything.items():
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) > 0, name
        assert 0 < float(limits["cpus"]) <= 2, f"{name}: Docker refuses more processors than a machine has"
        assert ["ALL"] == service["cap_drop"], name
        assert "cap_add" not in service, name
        assert ["no-new-privileges:true"] == service["security_opt"], name
        assert service["init"] is True, name
        assert {"max-size": "10m", "max-file": "3"} == service["logging"]["options"], name
        assert not service.get("privileged"), name


def test_no_service_but_minio_runs_as_root(everything: Services) -> None:
    assert {"minio"} == {name for name, service in everything.items() if service["user"].split(":")[0] in ("0", "root")}


def test_our_images_have_one_user_so_that_they_share_volumes(everything: Services) -> None:
    ours = [service for service in everything.values() if "understudy-" in service["image"]]

    assert {"50000:0"} == {service["user"] for service in ours}


def test_only_airflow_may_write_outside_of_its_volumes(everything: Services) -> None:
    """It writes its configuration beside its logs, and trainings write as much as their data is large."""
    writable = {name for name, service in everything.items() if not service.get("read_only")}

    assert writable == {name for name in everything if name.startswith("airflow-")}


def test_every_service_that_stays_has_a_health_check_and_is_restarted(everything: Services) -> None:
    staying = {name: service for name, service in everything.items() if name not in ONE_SHOT}

    assert [] == [name for name, service in staying.items() if not service.get("healthcheck", {}).get("test")]
    assert {"unless-stopped"} == {service["restart"] for service in staying.values()}
    assert {"no"} == {everything[name]["restart"] for name in ONE_SHOT}


def test_a_service_waits_for_what_it_needs(everything: Services) -> None:
    """...until that is healthy, or has ended well: never only until its process runs."""
    waits = {
        (name, needed): wait["condition"]
        for name, service in everything.items()
        for needed, wait in service.get("depends_on", {}).items()
    }

    assert len(waits) > 12
    for (_, needed), condition in waits.items():
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert expected == condition
    assert ("airflow-scheduler", "airflow-api-server") in waits, "a task that starts earlier fails with an empty log"
    assert {(server, "airflow-init") for server in SERVERS} <= set(waits), "the config must exist"


def test_only_airflow_and_mlflow_reach_the_database(checkout: Checkout) -> None:
    resolved = checkout.resolved(COMPOSE_PROFILES=",".join(PROFILES))
    services: Services = resolved["services"]
    on_it = {name for name, service in services.items() if "database" in service["networks"]}

    assert resolved["networks"]["database"]["internal"] is True
    assert on_it == {"postgres", "mlflow", *(name for name in services if name.startswith("airflow-"))}
    assert {"database"} == set(services["postgres"]["networks"])
    assert not services["postgres"].get("ports")


def test_all_data_is_in_named_volumes(checkout: Checkout) -> None:
    resolved = checkout.resolved(COMPOSE_PROFILES=",".join(PROFILES))
    named = {"postgres", "bucket", "airflow-logs", "cache", "mlflow", "prometheus", "grafana", "minio", "data"}

    assert named == set(resolved["volumes"])
    for name, service in resolved["services"].items():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind":
                assert volume["read_only"] is True, name
            else:
                assert volume["source"] in named, name


def test_trainings_keep_their_cache_in_a_volume_that_their_user_may_write(everything: Services) -> None:
    """A volume that is empty gets the owner of the folder of the image."""
    for name, image in (
        ("airflow-scheduler", "airflow"),
        ("airflow-scheduler-gpu", "airflow"),
        ("understudy", "pipeline"),
    ):
        service = everything[name]
        (volume,) = [each for each in service["volumes"] if each["source"] == "cache"]
        (made,) = re.findall(r"install --directory (.*)", (PROJECT / "docker" / image / "Dockerfile").read_text())
        user, group = service["user"].split(":")

        assert service["environment"]["UNDERSTUDY_CACHE"] == volume["target"], name
        assert not volume.get("read_only"), name
        assert {f"--owner={user}", f"--group={group}", volume["target"]} <= set(made.split()), name


def test_a_mounted_file_or_folder_is_in_the_checkout(everything: Services) -> None:
    sources = {
        volume["source"]
        for service in everything.values()
        for volume in service.get("volumes", ())
        if volume["type"] == "bind"
    }

    assert len(sources) >= 6
    assert [] == [source for source in sources if not Path(source).exists()], "Docker would create an empty folder"


def test_images_of_others_are_written_with_registry_and_tag() -> None:
    """...without variables, because docker/pin replaces them by digests."""
    images = re.findall(r"^ +image: (\S+)$", TEXT, re.MULTILINE)
    others = [image for image in images if "understudy-" not in image]

    assert 4 == len(others)
    assert [] == [
        image for image in others if not re.fullmatch(r"docker\.io/[a-z/]+:[\w.-]+(@sha256:[0-9a-f]{64})?", image)
    ]
    assert "latest" not in {image.partition("@")[0].rsplit(":", 1)[1] for image in others}


@each_combination
@pytest.mark.parametrize("more", [(), ("--file", str(SECOND_MODEL))], ids=["one_model", "two_models"])
def test_every_image_of_ours_is_built_once(tmp_path: Path, storage: str, hardware: str, more: tuple[str, ...]) -> None:
    """Two builds of one tag at the same time fail where Docker keeps images in containerd."""
    made = Checkout(tmp_path)
    made.make_env(*STORAGES[storage], hardware)
    services: Services = made.resolved(*more)["services"]

    ours = {each["image"] for each in services.values() if "understudy-" in each["image"]}
    built = [each["image"] for each in services.values() if "build" in each]

    names = ("airflow", "gateway", "mlflow", "pipeline", "serving")
    assert {f"understudy-{name}" for name in names} == {image.split(":")[0] for image in ours}
    assert sorted(ours) == sorted(built)


def test_an_image_is_built_from_the_dockerfile_of_its_name(everything: Services) -> None:
    built = {name: each for name, each in everything.items() if "build" in each}

    for name, service in built.items():
        part = service["image"].split(":")[0].removeprefix("understudy-")
        assert f"docker/{part}/Dockerfile" == service["build"]["dockerfile"], name
        assert (service["image"].endswith("-gpu")) == ("-gpu" in name), name


def test_the_command_is_built_by_up_which_starts_none(checkout: Checkout) -> None:
    assert 0 == checkout.resolved()["services"]["understudy"]["scale"]
    assert "understudy" not in started(checkout.resolved())


def test_tensorflow_serving_is_asked_for_on_the_platform_that_it_is_made_for(everything: Services) -> None:
    found = {name: each.get("platform") for name, each in everything.items()}

    assert {f"{name}{suffix}" for name in SERVERS for suffix in ("", "-gpu")} == {n for n in found if found[n]}
    assert {None, "linux/amd64"} == set(found.values())


def test_no_service_asks_another_one_through_a_proxy(checkout: Checkout) -> None:
    """Docker gives each container the proxies of ~/.docker/config.json."""
    variables = {"COMPOSE_PROFILES": ",".join(PROFILES), "DIRECT_HOSTS": "pypi.example.com"}
    resolved = checkout.resolved("--file", str(SECOND_MODEL), **variables)["services"]
    opened = {name for name, each in resolved.items() if each.get("ports") or each.get("expose")}
    asked = {name for name in opened if not name.endswith("-gpu")} - {"grafana", "airflow-scheduler"}

    assert len(asked) == 11
    for name, service in resolved.items():
        for variable in ("NO_PROXY", "no_proxy"):
            direct = service["environment"][variable].split(",")
            assert {*asked, "localhost", "127.0.0.1", "pypi.example.com"} == set(direct), name


def test_the_servers_poll_what_the_fleet_record_tells_them(everything: Services) -> None:
    configs = {server: everything[server]["environment"]["MODEL_CONFIG"] for server in SERVERS}

    rest = f"/bucket/{layout.config('digits')}"
    assert {
        "serving-1": f"/bucket/{layout.first_ring_config('digits')}",
        "serving-2": rest,
        "serving-3": rest,
    } == configs
    assert (
        f"digits={','.join(f'{server}:8500' for server in SERVERS)}"
        == everything["airflow-init"]["environment"]["FLEETS"]
    )


@pytest.mark.parametrize("storage", STORAGES)
def test_servers_get_no_credentials_and_cannot_write(tmp_path: Path, storage: str) -> None:
    made = Checkout(tmp_path)
    made.make_env(*STORAGES[storage])
    services: Services = made.resolved()["services"]

    for server in SERVERS:
        variables = services[server]["environment"]
        assert [] == [name for name in variables if name.startswith(("AWS", "GOOGLE", "AIRFLOW"))]
        assert not services[server].get("secrets")
        assert [True] == [volume["read_only"] for volume in services[server]["volumes"]]


def test_the_gateway_gets_the_hashes_of_its_keys_and_asks_all_servers(checkout: Checkout) -> None:
    resolved = checkout.resolved()
    gateway = resolved["services"]["gateway"]

    assert f"--model=digits={','.join(f'{server}:8500' for server in SERVERS)}" in gateway["command"]
    assert ["gateway-keys"] == [each["source"] for each in gateway["secrets"]]
    assert str(checkout.keys) == resolved["secrets"]["gateway-keys"]["file"]
    assert checkout.values()["GATEWAY_KEY"] not in json.dumps(resolved)
    assert {"airflow-init"} == set(gateway["depends_on"]), "it is not ended with a replica"


def test_a_change_of_the_storage_leaves_the_former_bucket_alone(tmp_path: Path) -> None:
    """`sync` removes what the new bucket does not have, so it must not work in the volume that is a bucket itself."""
    made = Checkout(tmp_path)
    made.make_env()
    volumes: dict[str, set[str]] = {}
    for options in STORAGES.values():
        made.make_env(*(options or ("--storage", "disk")))
        mounted = {
            volume["source"]
            for service in made.resolved()["services"].values()
            for volume in service.get("volumes", ())
            if volume["target"] == "/bucket"
        }
        volumes[made.values()["BUCKET_ROOT"]] = mounted

    assert {
        "/bucket": {"bucket"},
        "s3://understudy/platform": {"synced"},
        "gs://models/understudy": {"synced"},
    } == volumes


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_prometheus_asks_every_server_and_nothing_else(checkout: Checkout, hardware: str) -> None:
    prometheus = yaml.safe_load((PROJECT / "docker" / "prometheus" / "prometheus.yaml").read_text())
    (job,) = [each for each in prometheus["scrape_configs"] if each["job_name"] == "serving"]
    targets = [target for group in job["static_configs"] for target in group["targets"]]
    services: Services = checkout.resolved(COMPOSE_PROFILES=hardware)["services"]

    servers = [
        name
        for service, each in services.items()
        if "understudy-serving" in each["image"]
        for name in (each["networks"]["platform"] or {}).get("aliases", [service])
    ]
    assert sorted(f"{name}:8501" for name in servers) == sorted(targets)


def test_grafana_has_the_version_whose_types_the_dashboard_is_checked_against(everything: Services) -> None:
    package = PROJECT / "tests" / "monitoring" / "grafana_schema" / "package.json"
    schema = json.loads(package.read_text())["devDependencies"]["@grafana/schema"]

    assert f"docker.io/grafana/grafana:{schema}" == everything["grafana"]["image"].partition("@")[0]


def test_grafana_opens_the_dashboard_of_the_servers(everything: Services) -> None:
    grafana = everything["grafana"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    (folder,) = [each for each in grafana["volumes"] if each["target"] == str(Path(home).parent)]

    assert (Path(folder["source"]) / Path(home).name).is_file()


def test_the_gpu_variants_are_the_same_services_on_other_images(everything: Services) -> None:
    for name in (*SERVERS, "airflow-scheduler"):
        plain, gpu = everything[name], everything[f"{name}-gpu"]
        differ = {key for key in plain if plain[key] != gpu.get(key)}
        assert {"profiles", "image", "deploy", "environment"} == differ - {"networks", "build"}, name
        assert plain["deploy"]["resources"]["limits"] == gpu["deploy"]["resources"]["limits"]
        assert {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} == {
            key: value for key, value in gpu["environment"].items() if plain["environment"].get(key) != value
        }
    for server in SERVERS:
        assert [server] == everything[f"{server}-gpu"]["networks"]["platform"]["aliases"]


def test_servers_have_the_same_tensorflow_serving_on_both(everything: Services) -> None:
    (base,) = re.findall(
        r"^ARG SERVING_BASE=([^@\s]+)", (PROJECT / "docker/serving/Dockerfile").read_text(), re.MULTILINE
    )

    gpu = everything["serving-1-gpu"]["build"]["args"]["SERVING_BASE"]
    assert f"{base}-gpu" == gpu.partition("@")[0]
    assert "SERVING_BASE" not in everything["serving-1"]["build"]["args"]


def test_a_key_of_google_is_mounted_where_the_verbs_look(tmp_path: Path) -> None:
    made = Checkout(tmp_path)
    (tmp_path / "key.json").write_text("{}")
    made.make_env("--storage", "gcs", "--bucket", "gs://models", "--credentials", "key.json")
    resolved = made.resolved()

    assert str(tmp_path / "key.json") == resolved["secrets"]["gcs-credentials"]["file"]
    users = {
        name
        for name, service in resolved["services"].items()
        if service.get("environment", {}).get("GOOGLE_APPLICATION_CREDENTIALS") == "/run/secrets/gcs-credentials"
    }
    assert {"airflow-init", "airflow-scheduler", "sync", "understudy"} == users
    assert all("gcs-credentials" == each["source"] for name in users for each in resolved["services"][name]["secrets"])


def test_a_folder_of_images_is_mounted_where_one_is_named(tmp_path: Path, checkout: Checkout) -> None:
    def mounted(made: Checkout) -> Mapping[str, Any]:
        volumes = made.resolved()["services"]["airflow-scheduler"]["volumes"]
        (found,) = [volume for volume in volumes if volume["target"] == "/data"]
        return dict(found)

    made = Checkout(tmp_path)
    made.make_env("--data", ".")

    assert ("bind", str(tmp_path)) == (mounted(made)["type"], mounted(made)["source"])
    assert ("volume", "data") == (mounted(checkout)["type"], mounted(checkout)["source"])


def test_env_is_in_no_commit_and_in_no_image() -> None:
    assert "/.env" in (PROJECT / ".gitignore").read_text().splitlines()
    assert "*" in (PROJECT / ".dockerignore").read_text().splitlines(), "only what is listed is sent to the engine"


def test_every_key_of_the_file_is_written_once() -> None:
    """YAML keeps the last of two keys with the same name, and says nothing."""

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"line {node.start_mark.line + 1}: {keys}"
        loader.flatten_mapping(node)
        return loader.construct_mapping(node)

    Strict.add_constructor("tag:yaml.org,2002:map", mapping)
    assert words_of(yaml.load(TEXT, Strict)["services"]["sync"], "command")  # noqa: S506 - it is a safe loader
