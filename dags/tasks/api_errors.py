"""What the API of Kubernetes, or the way to it, says when it fails: one sentence for people."""

import json
import re

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import KubernetesApiException
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError, MaxRetryError

# Of requests that are wrong, and not only at this moment.
_REFUSED = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422})
_CONNECTION = re.compile(r"^(?:<.*?>|HTTPS?Connection\(.*?\)): ")
# What clients and Airflow's hook raise: an answer that is an error, no answer, no way to the API.
FAILURES = (ApiException, HTTPError, ConfigException, KubernetesApiException)


def is_refused(error: Exception) -> bool:
    """Whether the same request will fail again."""
    return isinstance(error, ConfigException) or getattr(error, "status", None) in _REFUSED


def sentence(error: Exception) -> str:
    """What the error says; without headers, addresses with queries and tracebacks."""
    if isinstance(error, KubernetesApiException) and isinstance(error.__context__, Exception):
        error = error.__context__
    if isinstance(error, MaxRetryError):
        host = f"{getattr(error.pool, 'host', '')}:{getattr(error.pool, 'port', '')}"
        return f"no answer from {host}: {_innermost(error.reason)}"
    if not isinstance(error, ApiException):
        return str(error)
    try:
        said = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        said = error.reason
    return f"{error.status}: {said}"


def _innermost(reason: object) -> str:
    """Without the connection that errors of connections name first."""
    text = str(reason.args[0]) if isinstance(reason, Exception) and reason.args else str(reason)
    return _CONNECTION.sub("", text)
