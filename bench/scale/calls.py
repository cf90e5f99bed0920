"""Which calls of Google Cloud Storage a verb makes, a poll of a server, and a look of `sync`: counted by a proxy.

The proxy stands before an object store on this machine. Servers and verbs are those of a real release.
"""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.scale.measuring import show, usage
from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.storage.opening import open_bucket
from pipeline.verbs.sync import sync
from tests.object_storage import VARIABLE, ObjectStore, forget_client, in_use
from tests.pipeline.storage.fault_proxy import FaultProxy
from tests.releases import MODEL, NO_MLFLOW, World

# Of Google's price list, "operations by class". What deletes is free.
CLASSES = ("A", "B", "free")
_POLLS = 20
_CONFIG = layout.config(MODEL).replace("/", "%2F")


def class_of(request: str) -> str:
    """The class of a request, given as "METHOD path?query"."""
    method, _, path = request.partition(" ")
    if method == "DELETE":
        return "free"
    listing = urlsplit(path).path.endswith("/o")
    return "A" if method in ("POST", "PUT", "PATCH") or listing else "B"


def classes(requests: list[str]) -> Counter[str]:
    return Counter(map(class_of, requests))


@contextmanager
def proxied(store: ObjectStore) -> Iterator[FaultProxy]:
    proxy = FaultProxy(store)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


def environment(world: World, proxy: FaultProxy) -> Mapping[str, str]:
    """For verbs in processes of their own, so that their requests are not mixed with those of the servers."""
    assert world.cloud is not None
    return {
        VARIABLE: proxy.endpoint,
        "UNDERSTUDY_ROOT": world.cloud,
        "UNDERSTUDY_REPLICAS": ",".join(each.address for each in world.replicas),
        "UNDERSTUDY_MODELS": str(world.folder),
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "UNDERSTUDY_ACTOR": "ann",
        "UNDERSTUDY_CODE_VERSION": "test",
        "UNDERSTUDY_PARAMS": '{"announced": [], "grace_seconds": 0}',
    }


def report_release(releases: int) -> None:
    """The calls of each verb of a release, and of `announce`, in a journal of some length."""
    with tempfile.TemporaryDirectory() as folder, in_use(ObjectStore()) as store, proxied(store) as proxy:
        made = store.bucket()
        world = World(Path(folder), cloud=made.uri(), follow_seconds=60.0)
        world.start(2)
        try:
            for number in range(1, releases + 1):
                _release(world, proxy, f"retrain-{number}", shown=number in (2, releases))
        finally:
            world.stop()
            made.close()


def _release(world: World, proxy: FaultProxy, key: str, *, shown: bool) -> None:
    world.approve(key)
    for verb in ("publish", "canary", "promote", "announce"):
        before = world.history().seq
        proxy.seen.clear()
        words = (verb, "--model", MODEL, *(() if verb == "announce" else ("--run", key)))
        used = usage("pipeline", *words, env=environment(world, proxy), json_expected=False)
        if shown:
            found = classes(proxy.seen)
            calls = ", ".join(f"{each} {found[each]}" for each in CLASSES)
            show(f"`{verb}` with {before} entries before it: CPU ({calls} calls)", used.cpu_seconds, "s")


def report_polls() -> None:
    """The calls of one poll of a server that reads gs://, and of one look of `sync`."""
    with tempfile.TemporaryDirectory() as folder, in_use(ObjectStore()) as store:
        for rollout in ("pinned", "latest"):
            _report_rollout(Path(folder) / rollout, store, rollout)


def _report_rollout(folder: Path, store: ObjectStore, rollout: RolloutName) -> None:
    made = store.bucket()
    world = World(folder, cloud=made.uri(), follow_seconds=60.0, rollout=rollout)
    with proxied(store) as proxy:
        world.start(1)
        try:
            for number in (1, 2):
                world.release(f"retrain-{number}")
            with asking(proxy):
                _report_server(proxy, world)
                _report_sync(proxy, made.uri(), folder / "servers", rollout)
        finally:
            world.stop()
            made.close()


@contextmanager
def asking(proxy: FaultProxy) -> Iterator[None]:
    """Let servers and buckets that are made in the block ask the proxy."""
    before = os.environ[VARIABLE]
    os.environ[VARIABLE] = proxy.endpoint
    forget_client()
    try:
        yield
    finally:
        os.environ[VARIABLE] = before
        forget_client()


def _report_server(proxy: FaultProxy, world: World) -> None:
    """Of polls that find nothing new. The servers of the tests poll ten times as often as others."""
    (replica,) = world.replicas
    replica.stop()
    replica.start()
    _wait_for(lambda: len(_looks(proxy.seen)) >= _POLLS)
    proxy.seen.clear()
    _wait_for(lambda: len(_looks(proxy.seen)) >= _POLLS)
    of_config = [each for each in proxy.seen if _CONFIG in each]
    of_storage = [each for each in proxy.seen if _CONFIG not in each]
    replica.stop()
    for name, requests, first in (("config", of_config, _is_read), ("storage", of_storage, _is_look)):
        for each in ("A", "B") if requests else ():
            calls = _per_look(requests, first)[each]
            show(f"{world.rollout}: calls of class {each} in one look of a server at its {name}", calls, "calls")


def _per_look(requests: list[str], first: Callable[[str], bool]) -> Mapping[str, float]:
    """The calls of one look, by class, from the first whole look to the last; `first`: whether a request begins one."""
    begins = [position for position, each in enumerate(requests) if first(each)]
    found = classes(requests[begins[0] : begins[-1]])
    return {each: found[each] / (len(begins) - 1) for each in CLASSES}


def _report_sync(proxy: FaultProxy, uri: str, root: Path, rollout: str) -> None:
    bucket = open_bucket(uri, seconds=30)
    root.mkdir(exist_ok=True)
    sync(bucket, MODEL, root)
    proxy.seen.clear()
    sync(bucket, MODEL, root)
    found = classes(proxy.seen)
    for each in ("A", "B"):
        show(f"{rollout}: calls of class {each} in one look of `sync`", found[each], "calls")


def _looks(seen: list[str]) -> list[str]:
    return [each for each in list(seen) if _is_look(each)]


def _is_look(request: str) -> bool:
    """Whether a look at the storage begins with this request, which asks if the base path exists."""
    return "maxResults=1" in request and _prefix(request) == f"{layout.versions(MODEL)}/"


def _is_read(request: str) -> bool:
    return "alt=media" in request


def _prefix(request: str) -> str:
    return parse_qs(urlsplit(request.partition(" ")[2]).query).get("prefix", [""])[0]


def _wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.05)
