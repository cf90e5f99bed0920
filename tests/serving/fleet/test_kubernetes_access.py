"""Where the Kubernetes API is, and who asks: a pod's service account, or a kubeconfig; against a server with TLS."""

import base64
import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from serving.errors import DiscoveryError
from serving.fleet import kubernetes_access, kubernetes_api
from serving.fleet.sources import parse_source
from tests.certificates import Authority
from tests.kubernetes.api import TOKEN, KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.objects import serve
from tests.kubernetes.resources import ALL_RIGHTS
from tests.ports import free_port

FOUND = ("10.0.0.9:8500",)


@pytest.fixture(autouse=True)
def _no_access(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    cluster = Cluster()
    serve(cluster, "digits=10.0.0.9")
    with KubernetesApi(cluster) as running:
        yield running


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


@pytest.fixture
def account(api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service account of a pod, in a folder of the test."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "ca.crt").write_bytes(api.authority.pem)
    monkeypatch.setattr(kubernetes_access, "SERVICE_ACCOUNT", folder)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.address.rpartition(":")[2])
    return folder


def addresses() -> tuple[str, ...]:
    return tuple(parse_source("kubernetes://serving/digits:8500").addresses())


def refused(problem: str) -> AbstractContextManager[pytest.ExceptionInfo[DiscoveryError]]:
    return pytest.raises(DiscoveryError, match=re.escape(problem))


def plugin(folder: Path, code: str, **more: Any) -> dict[str, Any]:
    """A user of a kubeconfig whose credential comes from a program."""
    (folder / "plugin.py").write_text(code)
    arguments = [str(folder / "plugin.py"), *more.pop("args", [])]
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": arguments, **more}}


def test_nothing_is_known_of_an_api() -> None:
    with refused("no access to a Kubernetes API: this is no pod with a service account, and there is no ~/.kube/confi"):
        addresses()


@pytest.mark.usefixtures("account")
def test_in_a_pod_its_service_account_asks() -> None:
    assert FOUND == addresses()


def test_the_token_of_a_pod_is_read_at_every_call(api: KubernetesApi, account: Path) -> None:
    """Kubernetes replaces the file within the hour, and the old token expires."""
    assert FOUND == addresses()
    api.rights = {"the-next-token": ALL_RIGHTS}
    with refused("answered 401. The token or the certificate of the service account of this pod is missing"):
        addresses()

    (account / "token").write_text("the-next-token")
    assert FOUND == addresses()


def test_without_a_kubeconfig_variable_the_usual_file_is_read(api: KubernetesApi, tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(api.kubeconfig())

    assert FOUND == addresses()


def test_kubeconfig_comes_before_the_service_account(api: KubernetesApi, account: Path, kubeconfig: Path) -> None:
    (account / "token").write_text("wrong")
    kubeconfig.write_text(api.kubeconfig())

    assert FOUND == addresses()


def test_several_kubeconfigs_are_read_as_one(
    api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that has an entry counts, and one that is missing has none."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("users: [{name: me, user: {token: the-first-counts}}]")
    second.write_text(api.kubeconfig())
    api.rights = {"the-first-counts": ALL_RIGHTS}
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/absent:{first}:{second}")

    assert FOUND == addresses()


def test_files_are_found_beside_the_kubeconfig(api: KubernetesApi, kubeconfig: Path) -> None:
    (kubeconfig.parent / "ca.pem").write_bytes(api.authority.pem)
    (kubeconfig.parent / "token").write_text(TOKEN)
    cluster = {"server": api.address + "/", "certificate-authority": "ca.pem"}
    kubeconfig.write_text(api.kubeconfig(user={"tokenFile": "token"}, cluster=cluster))

    assert FOUND == addresses()


def test_the_certificate_of_a_client_asks(api: KubernetesApi, kubeconfig: Path) -> None:
    """As kubeadm, kind and minikube write them."""
    key, certificate = api.authority.issue("admin")
    data = [base64.b64encode(each).decode() for each in (certificate, key)]
    kubeconfig.write_text(api.kubeconfig(user={"client-certificate-data": data[0], "client-key-data": data[1]}))
    api.rights = {"admin": ALL_RIGHTS}

    assert FOUND == addresses()


def test_a_certificate_and_a_key_that_do_not_fit(api: KubernetesApi, kubeconfig: Path) -> None:
    data = [base64.b64encode(api.authority.issue("admin")[part]).decode() for part in (1, 0)]
    kubeconfig.write_text(api.kubeconfig(user={"client-certificate-data": data[0], "client-key-data": data[1]}))

    with refused("the client certificate of the context test of "):
        addresses()


def test_a_server_of_another_authority_is_not_asked(api: KubernetesApi, kubeconfig: Path) -> None:
    """Its certificate is checked before the token is sent."""
    api_text, other = api.kubeconfig(), base64.b64encode(Authority().pem).decode()
    kubeconfig.write_text(api_text.replace(base64.b64encode(api.authority.pem).decode(), other))

    with refused("CERTIFICATE_VERIFY_FAILED"):
        addresses()
    assert [] == api.asked


def test_the_name_in_the_certificate_may_be_given(api: KubernetesApi, kubeconfig: Path) -> None:
    """The server's certificate is for 127.0.0.1, so another name is refused."""
    content = json.loads(api.kubeconfig())
    for name in ("127.0.0.1", "kubernetes.default"):
        content["clusters"][0]["cluster"]["tls-server-name"] = name
        kubeconfig.write_text(json.dumps(content))
        if name == "127.0.0.1":
            assert FOUND == addresses()

    with refused("kubernetes.default"):
        addresses()


def test_a_plugin_gives_the_token(api: KubernetesApi, kubeconfig: Path) -> None:
    """It gets its arguments and its environment, and the request that Kubernetes defines."""
    code = (
        "import json, os, sys\n"
        "request = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert request['kind'] == 'ExecCredential' and not request['spec']['interactive'] and os.environ['HOME']\n"
        "print(json.dumps({'kind': 'ExecCredential', 'status': {'token': sys.argv[1] + os.environ['REST']}}))\n"
    )
    user = plugin(kubeconfig.parent, code, args=[TOKEN[:6]], env=[{"name": "REST", "value": TOKEN[6:]}])
    kubeconfig.write_text(api.kubeconfig(user=user))

    assert FOUND == addresses()


@pytest.mark.parametrize(("expires", "runs"), [("2099-01-01T00:00:00Z", 1), ("2001-01-01T00:00:00Z", 2)])
def test_what_a_plugin_gives_is_kept_until_it_expires(
    api: KubernetesApi, kubeconfig: Path, expires: str, runs: int
) -> None:
    status = {"token": TOKEN, "expirationTimestamp": expires}
    code = (
        "import pathlib, sys\n"
        "pathlib.Path(sys.argv[0] + '.log').open('a').write('run\\n')\n"
        f"print({json.dumps({'status': status})!r})\n"
    )
    kubeconfig.write_text(api.kubeconfig(user=plugin(kubeconfig.parent, code)))
    for _ in range(2):
        assert FOUND == addresses()

    assert runs == len((kubeconfig.parent / "plugin.py.log").read_text().splitlines())


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise SystemExit('log in first')", "of the kubeconfig ended with 1: log in first"),
        ("print('secret')", "of the kubeconfig gave no ExecCredential"),
        ("print('[]')", "of the kubeconfig gave no ExecCredential"),
    ],
)
def test_a_plugin_that_fails(api: KubernetesApi, kubeconfig: Path, code: str, problem: str) -> None:
    kubeconfig.write_text(api.kubeconfig(user=plugin(kubeconfig.parent, code)))

    with refused(problem) as refusal:
        addresses()
    assert "secret" not in str(refusal.value)


def test_a_plugin_that_is_not_installed(api: KubernetesApi, kubeconfig: Path) -> None:
    user = {"exec": {"command": "gke-gcloud-auth-plugin-absent", "installHint": "Install it with gcloud."}}
    kubeconfig.write_text(api.kubeconfig(user=user))

    with refused("the plug-in gke-gcloud-auth-plugin-absent of the kubeconfig cannot be started"):
        addresses()


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("user", "auth-provider", {"name": "gcp"}),
        ("user", "username", "admin"),
        ("user", "as", "root"),
        ("cluster", "insecure-skip-tls-verify", True),
        ("cluster", "proxy-url", "http://127.0.0.1:3128"),
    ],
)
def test_what_is_not_supported_is_refused_with_what_is(
    api: KubernetesApi, kubeconfig: Path, part: str, name: str, value: object
) -> None:
    content = json.loads(api.kubeconfig())
    content[f"{part}s"][0][part][name] = value
    kubeconfig.write_text(json.dumps(content))

    with refused(f"{kubeconfig} has {name} in its {part}, which is not supported. "):
        addresses()
    assert [] == api.asked


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not YAML"),
        ("- 1", "is not a kubeconfig"),
        ("{current-context: a, contexts: [1]}", "is not a kubeconfig"),
        ("{}", "has no current-context. Choose one with `kubectl config use-context`"),
        ("{current-context: a}", "has no context 'a'"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}", "has no cluster 'b'"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}], clusters: [{name: b}], "
            "users: [{name: c, user: {token: t}}]}",
            "has the server '', which is no address",
        ),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}], clusters: [{name: b, cluster: "
            "{server: 'https://a', certificate-authority-data: '!'}}], users: [{name: c, user: {token: t}}]}",
            "certificate-authority-data of the kubeconfig is not base64",
        ),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}], clusters: [{name: b, cluster: "
            "{server: 'https://a', certificate-authority-data: bm9uZQ==}}], users: [{name: c, user: {token: t}}]}",
            "the certificate of the API's authority is not a certificate in PEM",
        ),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}], clusters: [{name: b, cluster: "
            "{server: 'https://a'}}], users: [{name: c, user: {token: \"a\\nb\"}}]}",
            "has characters that no token has",
        ),
    ],
)
def test_a_kubeconfig_with_a_mistake(kubeconfig: Path, content: str, problem: str) -> None:
    kubeconfig.write_text(content)

    with refused(problem):
        addresses()


def test_a_kubeconfig_that_is_missing(kubeconfig: Path) -> None:
    with refused(f"No such file or directory: '{kubeconfig}'"):
        addresses()


def test_an_api_that_does_not_run(api: KubernetesApi, kubeconfig: Path) -> None:
    kubeconfig.write_text(api.kubeconfig().replace(api.address, f"https://127.0.0.1:{free_port()}"))

    with pytest.raises(DiscoveryError, match=r"gave no answer \(.*Connection refused\). Check the context test of"):
        addresses()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used(
    api: KubernetesApi, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    kubeconfig.write_text(api.kubeconfig())
    monkeypatch.setenv("ALL_PROXY", proxy)

    with refused("Check HTTPS_PROXY, ALL_PROXY and NO_PROXY"):
        addresses()


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_api_that_is_too_slow(
    api: KubernetesApi, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    """It says nothing, or goes on for ever."""
    monkeypatch.setattr(kubernetes_api, "_TOTAL_SECONDS", 0.3)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(begins)
                for _ in range(200):  # ten seconds, so that a test that fails ends
                    connection.sendall(b" " if begins else b"")
                    if ended.wait(0.05):
                        break

        thread = threading.Thread(target=answer)
        thread.start()
        cluster = {"server": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        kubeconfig.write_text(api.kubeconfig(cluster=cluster))
        try:
            with refused("gave no answer ("):
                addresses()
        finally:
            ended.set()
            thread.join()
