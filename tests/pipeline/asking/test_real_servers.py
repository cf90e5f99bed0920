"""The real gateway and the real embedded server, asked by both askers: they say the same."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from pipeline.asking.answers import Answer, Asker, RefusedImageError
from pipeline.asking.fleet_asker import FleetAsker
from pipeline.asking.gateway_asker import GatewayAsker
from pipeline.errors import FailedError
from serving.fleet.fleet import parse_fleet
from serving.replica import STABLE
from tests.serving.gateway.pictures import MODEL, picture_servers, png
from tests.serving.gateway.running import gateway


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    with picture_servers(tmp_path_factory.mktemp("servers")) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def url(servers: Sequence[str]) -> Iterator[str]:
    with gateway(f"{MODEL}={','.join(servers)}") as running:
        yield running.url


def by_fleet(servers: Sequence[str], *, version: int | None = None) -> FleetAsker:
    return FleetAsker(parse_fleet(",".join(servers)), model=MODEL, label=STABLE, version=version, top=2)


def by_gateway(url: str, *, version: int | None = None) -> GatewayAsker:
    return GatewayAsker(url, key=None, model=MODEL, version=version, top=2, concurrency=1)


def asked(asker: FleetAsker | GatewayAsker, image: bytes) -> Answer:
    async def ask() -> Answer:
        async with asker:
            opened: Asker = asker
            return await opened.ask(image)

    return asyncio.run(ask())


def test_a_gateway_and_its_fleet_answer_alike(servers: Sequence[str], url: str) -> None:
    direct, through = asked(by_fleet(servers), png(255)), asked(by_gateway(url), png(255))

    assert ("3", 2) == (direct.labels[0][0], len(direct.labels))
    assert (direct.labels, direct.version) == (through.labels, through.version)
    assert {direct.replica, through.replica} <= set(servers)


def test_a_version_that_is_not_loaded_ends_it(servers: Sequence[str], url: str) -> None:
    for asker in (by_fleet(servers, version=99), by_gateway(url, version=99)):
        with pytest.raises(FailedError, match="99"):
            asked(asker, png())


def test_an_image_that_is_refused_is_that_of_one_image(servers: Sequence[str], url: str) -> None:
    for asker in (by_fleet(servers), by_gateway(url)):
        with pytest.raises(RefusedImageError, match="was refused"):
            asked(asker, b"no image")
