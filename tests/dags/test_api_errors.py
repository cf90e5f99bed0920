"""What a person reads when the API of Kubernetes refuses or gives no answer."""

import json
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import KubernetesApiException
from kubernetes.client.exceptions import ApiException  # noqa: TID253 - what the client raises
from kubernetes.config import ConfigException  # noqa: TID253
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from dags.tasks.api_errors import is_refused, sentence

FORBIDDEN = 'pods is forbidden: User "system:serviceaccount:airflow:worker" cannot create resource "pods"'
FULL = 'pods "retain-x" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=9, limited: pods=9'
NO_ANSWER = "no answer from 10.0.0.1:443: Failed to establish a new connection: refused"


def answered(status: int, reason: str, body: Any) -> ApiException:
    error = ApiException(status=status, reason=reason)
    error.body = body
    return error


def away() -> MaxRetryError:
    refused = NewConnectionError(HTTPSConnection("10.0.0.1", 443), "Failed to establish a new connection: refused")
    return MaxRetryError(HTTPSConnectionPool("10.0.0.1", 443), "/api/v1/pods?labelSelector=a", refused)


def said_by_airflow() -> KubernetesApiException:
    error = KubernetesApiException("There was an error reading the kubernetes API: ...")
    error.__context__ = away()
    return error


@pytest.mark.parametrize(
    ("error", "expected", "final"),
    [
        (answered(403, "Forbidden", json.dumps({"message": FORBIDDEN})), f"403: {FORBIDDEN}", True),
        (answered(403, "Forbidden", json.dumps({"message": FULL})), f"403: {FULL}", False),
        (answered(502, "Bad Gateway", "<html>"), "502: Bad Gateway", False),
        (answered(401, "Unauthorized", None), "401: Unauthorized", True),
        (away(), NO_ANSWER, False),
        (said_by_airflow(), NO_ANSWER, False),
        (ConfigException("Invalid kube-config file."), "Invalid kube-config file.", True),
    ],
)
def test_an_error_is_one_sentence_and_is_final_or_not(error: Exception, expected: str, final: bool) -> None:
    assert expected == sentence(error)
    assert final == is_refused(error)
