"""The profiles `s3` and `gcs`: the bucket is in an object store, and servers read what `sync` copies.

MinIO is in no package, so moto stands for it here; fake-gcs-server stands for Google, and its variable is the only one
that docker-compose.yaml does not set. Of `airflow-init` the part is run that writes to the bucket.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.object_storage import VARIABLE, Bucket, ObjectStore, in_use
from tests.pipeline.storage.s3_store import S3Store
from tests.platform.compose_file import ALL_ADDRESSES, PROJECT, Checkout
from tests.platform.container import Container
from tests.platform.platform_processes import Platform
from tests.platform.using import as_json

pytestmark = [pytest.mark.platform, pytest.mark.timeout(300)]

SERVERS = ("serving-1", "serving-2")
INIT_FLEETS = PROJECT / "docker" / "airflow" / "init-fleets.sh"


def platform_of(folder: Path, *options: str) -> Platform:
    checkout = Checkout(folder / options[1])
    checkout.folder.mkdir()
    assert 0 == checkout.make_env(*options).returncode
    return Platform(checkout.resolved(COMPOSE_PROFILES=f"{ALL_ADDRESSES},gcs"), checkout.folder / "platform")


def init_fleets(platform: Platform, **more: str) -> str:
    container = platform.container("airflow-init")
    container.log.unlink(missing_ok=True)
    container.command = ["sh", str(INIT_FLEETS)]
    container.environment = {**container.environment, **more}
    return container.run()


@pytest.fixture(scope="module", params=["s3", "gcs"])
def seen(request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    """What the services of the profile have done, before the first release."""
    yield from (on_minio if request.param == "s3" else on_google)(folder)


def on_minio(folder: Path) -> Iterator[Any]:
    platform = platform_of(folder, "--storage", "s3")
    store = S3Store()
    store.port = platform.port("minio", 9000)
    store.start()
    try:
        for _ in range(2):
            platform.run("minio-bucket")
        yield look(platform)
    finally:
        platform.kill()
        store.stop()


def on_google(folder: Path) -> Iterator[Any]:
    platform = platform_of(folder, "--storage", "gcs", "--bucket", "gs://models/understudy")
    with in_use(ObjectStore()) as store:
        Bucket("models").close()
        try:
            yield look(platform, **{VARIABLE: store.endpoint})
        finally:
            platform.kill()


def look(platform: Platform, **more: str) -> dict[str, Any]:
    output = [init_fleets(platform, **more) for _ in range(2)]
    for name in ("sync", *SERVERS):
        start(platform, name, **(more if name == "sync" else {}))
    shown = platform.container("understudy", ["fleet", "show", "--model", "digits", "--json"])
    shown.environment = {**shown.environment, **more}
    return {"platform": platform, "fleet": as_json(shown.run()), "output": output}


def start(platform: Platform, name: str, **more: str) -> Container:
    container = platform.container(name)
    container.environment = {**container.environment, **more}
    return platform.launch(container)


def test_the_fleet_names_the_folder_of_the_servers(seen: Any) -> None:
    """...and waits for two polls: one of `sync`, and one of the server."""
    fleet = seen["fleet"]["fleet"]

    assert str(seen["platform"].volume("synced")) == fleet["server_root"]
    assert 2 == fleet["config_poll_seconds"]
    assert "first" == fleet["first_ring"]


def test_servers_are_healthy_with_what_sync_has_copied(seen: Any) -> None:
    synced = seen["platform"].volume("synced")

    for name in ("first_ring/digits.config", "serve/digits.config"):
        assert "model_config_list" in (synced / name).read_text(encoding="utf-8")
    assert [] == [*seen["platform"].volume("bucket").iterdir()], "the volume of the disk is left alone"


def test_a_second_up_changes_nothing(seen: Any) -> None:
    assert 1 == seen["fleet"]["record"]
    assert ["nothing served yet; fleet record 1" in output for output in seen["output"]] == [True, True]
    assert json.dumps(seen["fleet"]["records"]).count("the first record") == 1
