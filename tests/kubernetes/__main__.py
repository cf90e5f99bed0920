"""Answers as a Kubernetes API does, on 127.0.0.1, and runs pods as local processes, until it is stopped.

.venv/bin/python -m tests.kubernetes --port 8444 --kubeconfig var/kubeconfig half=127.0.0.1,127.0.0.2
"""

import argparse
import json
import shlex
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.faults import Faults, parse_pod_fault
from tests.kubernetes.images import Image
from tests.kubernetes.objects import secret, serve, service_account
from tests.kubernetes.resources import SECRETS, SERVICE_ACCOUNTS


def main() -> None:
    words = _parser().parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    faults = Faults(pods=[parse_pod_fault(each) for each in words.fault])
    with KubernetesApi(_cluster(words), images=_images(words), faults=faults, port=words.port) as api:
        words.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        words.kubeconfig.write_text(api.kubeconfig(namespace=words.namespace), encoding="utf-8")
        stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kubernetes", description=__doc__)
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write a kubeconfig for it")
    parser.add_argument("--namespace", default="default", help="of pods, Secrets and service accounts that follow")
    parser.add_argument("--image", action="append", default=[], metavar="NAME=ENTRYPOINT", help="what a pod would run")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of all images")
    parser.add_argument("--directory", default=str(Path.cwd()), help="the working directory of all images")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME=JSON", help="its keys and values")
    parser.add_argument("--service-account", action="append", default=[], metavar="NAME")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:verb=VERB", help=parse_pod_fault.__doc__)
    parser.add_argument("entries", nargs="*", metavar="service=address,address", help="Services of model servers")
    return parser


def _cluster(words: argparse.Namespace) -> Cluster:
    cluster = Cluster()
    cluster.namespaces.add(words.namespace)
    for entry in words.entries:
        serve(cluster, entry)
    for name, text in _pairs(words.secret).items():
        cluster.put(SECRETS, secret(name, **json.loads(text)), namespace=words.namespace)
    for name in words.service_account:
        cluster.put(SERVICE_ACCOUNTS, service_account(name), namespace=words.namespace)
    return cluster


def _images(words: argparse.Namespace) -> dict[str, Image]:
    env = _pairs(words.env)
    return {
        name: Image(entrypoint=shlex.split(text), env=env, directory=words.directory)
        for name, text in _pairs(words.image).items()
    }


def _pairs(texts: list[str]) -> Mapping[str, str]:
    return dict(each.partition("=")[::2] for each in texts)


if __name__ == "__main__":
    main()
