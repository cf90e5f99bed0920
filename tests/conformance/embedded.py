"""The embedded server as a server under test: how it is started, and the facts on which it differs on purpose."""

import shlex
import sys

COMMAND = shlex.join([sys.executable, "-m", "serving.model_server"])

# By fact: the row of the table in docs/model-server.md.
DIFFERENCES = {
    "batching-zero-rows": "Batch of 0 rows",
    "classify-labels-as-bytes": "Class labels that are not UTF-8",
    "end-sigterm": "SIGTERM",
    "flags-help": "`--help`",
    "flags-unknown": "Unknown flag; `--port 8500` without `=`",
    "grpc-max-threads": "More slow requests than `--grpc_max_threads`",
    "grpc-profiler": "Not supported",
    "log-repeats-warnings": "Repeated warnings of a poll",
    "metrics-of-tensorflow": "Metrics",
    "predict-many-dimensions": (
        "A tensor whose few values are repeated over more than 256 MiB (2 million strings), one of more than 64 "
        "dimensions"
    ),
    "predict-rare-types": "qint8, int4, float8 and other rare types",
    "predict-repeated-values": (
        "A tensor whose few values are repeated over more than 256 MiB (2 million strings), one of more than 64 "
        "dimensions"
    ),
    "rest-large-head": "REST bodies",
    "rest-unknown-method": "REST, unknown method",
    "start-bad-monitoring-file": "A bad SSL or monitoring file",
    "start-bad-tls-file": "A bad SSL or monitoring file",
    "start-client-verify-without-ca": "`client_verify` without `custom_ca`",
    "start-custom-config": "Custom model config",
}
