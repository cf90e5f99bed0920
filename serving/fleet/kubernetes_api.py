"""Lists of the Kubernetes API, each page by page, within a limit of time for all of them together."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from serving.errors import DiscoveryError
from serving.fleet.kubernetes_access import Access

# Of one look-up, with all its lists and pages.
_TOTAL_SECONDS = 4.0
_PAGE = 500
_ROLE = "a Role, bound to it, with `get` and `list` on `endpointslices` of the group discovery.k8s.io, and on `pods`"
_BUSY = "The API server is overloaded, or is being restarted. Try again"
_ADVICE = {
    404: "The API has no discovery.k8s.io/v1, which Kubernetes has since 1.21; or something else answers there",
    410: "The list took too long, and its next page does not exist any more. Try again",
    429: _BUSY,
}


class KubernetesApi:
    """A connection for one look-up. Use it as a context.

    Args:
        uri: the source that asks, for messages.
        access: where the API is, and who asks.
    """

    def __init__(self, uri: str, access: Access) -> None:
        self._uri = uri
        self._access = access
        self._ends = time.monotonic() + _TOTAL_SECONDS
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        # Imported here: most fleets have another source, and a client is to start quickly.
        import httpx  # noqa: PLC0415

        # Redirects are not followed: the token is for this server alone.
        verify, headers = self._access.tls or True, self._access.headers
        try:
            client = httpx.Client(verify=verify, headers=headers, follow_redirects=False)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise DiscoveryError(
                f"{self._uri}: the proxy for {self._access.server} cannot be used ({error}). Check HTTPS_PROXY, "
                "ALL_PROXY and NO_PROXY"
            ) from error
        self._client = self._stack.enter_context(client)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def endpoint_slices(self, namespace: str, service: str) -> Sequence[Mapping[str, Any]]:
        """The EndpointSlices of a Service.

        Raises:
            DiscoveryError: the API gave no answer, or another one.
        """
        selector = f"kubernetes.io/service-name={service}"
        return self._list(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", labelSelector=selector)

    def pods(self, namespace: str) -> Sequence[Mapping[str, Any]]:
        """Every pod of a namespace: the selector of a Service is not known without a further right.

        Raises:
            DiscoveryError: the API gave no answer, or another one.
        """
        return self._list(f"/api/v1/namespaces/{namespace}/pods")

    def _list(self, path: str, **query: str) -> Sequence[Mapping[str, Any]]:
        items: list[Mapping[str, Any]] = []
        query["limit"] = str(_PAGE)
        while True:
            content = self._get(path, query)
            try:
                page = json.loads(content)
                items.extend(page["items"] or ())
                query["continue"] = page["metadata"].get("continue") or ""
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DiscoveryError(
                    f"{self._uri}: {self._access.server} did not answer as a Kubernetes API does. Check "
                    f"{self._access.origin}"
                ) from error
            if not query["continue"]:
                return items

    def _get(self, path: str, query: Mapping[str, str]) -> bytes:
        import httpx  # noqa: PLC0415

        try:
            status, content = self._answer(path, query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DiscoveryError(
                f"{self._uri}: {self._access.server} gave no answer ({error or 'too slow'}). Check "
                f"{self._access.origin}, and that this machine can reach it"
            ) from error
        if status != 200:
            raise DiscoveryError(f"{self._uri}: {self._access.server} answered {status}. {self._advice(status, path)}")
        return content

    def _answer(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and content. Reads piece by piece, because the limit of httpx is for each piece."""
        request = self._client.build_request(
            "GET",
            f"{self._access.server}{path}",
            params=dict(query),
            timeout=self._left(),
            extensions=self._access.extensions,
        )
        answer = self._client.send(request, stream=True)
        pieces = []
        try:
            for piece in answer.iter_bytes():
                pieces.append(piece)
                self._left()
        finally:
            answer.close()
        return answer.status_code, b"".join(pieces)

    def _left(self) -> float:
        import httpx  # noqa: PLC0415

        left = self._ends - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout(f"not within {_TOTAL_SECONDS:.0f} s")
        return left

    def _advice(self, status: int, path: str) -> str:
        if status == 401:
            return f"The token or the certificate of {self._access.origin} is missing, wrong or expired"
        if status == 403:
            resource = path.rpartition("/")[2]
            return f"{self._access.origin} may not list {resource} in this namespace. It needs {_ROLE}"
        return _ADVICE.get(status, _BUSY if status >= 500 else f"Check {self._access.origin}")
