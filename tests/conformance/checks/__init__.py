"""The checks, one module for each part of the server; importing this package registers all facts."""

from tests.conformance.checks import (
    answers,
    batching,
    configs,
    examples,
    grpc_server,
    labels,
    loads,
    metrics,
    refusals,
    rest,
    rest_errors,
    start,
    status,
    versions,
    warm_up,
)

__all__ = [
    "answers",
    "batching",
    "configs",
    "examples",
    "grpc_server",
    "labels",
    "loads",
    "metrics",
    "refusals",
    "rest",
    "rest_errors",
    "start",
    "status",
    "versions",
    "warm_up",
]
