"""--monitoring_config_file: whether Prometheus may read metrics from the REST port, and at what path."""

from serving.model_server.storage import text_proto

DEFAULT_PATH = "/monitoring/prometheus/metrics"

MonitoringConfig = text_proto.declare(
    """
    name: "monitoring_config.proto" package: "tensorflow.serving" syntax: "proto3"
    message_type {
      name: "PrometheusConfig"
      field { name: "enable" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL }
      field { name: "path" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
    }
    message_type {
      name: "MonitoringConfig"
      field {
        name: "prometheus_config" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
        type_name: ".tensorflow.serving.PrometheusConfig"
      }
    }
    """,
    "tensorflow.serving.MonitoringConfig",
)


def metrics_path(uri: str) -> str | None:
    """The path of the metrics page, None when it is not enabled.

    Raises NOT_FOUND for a missing file, INVALID_ARGUMENT for one that is no text MonitoringConfig.
    """
    prometheus = text_proto.read(uri, MonitoringConfig()).prometheus_config
    return str(prometheus.path or DEFAULT_PATH) if prometheus.enable else None
