"""How the channels of a client behave. Each one leads to a single replica."""

import json
from collections.abc import Mapping, Sequence

# With this, requests to a replica that says by gRPC's health protocol that it does not serve fail at once, with
# UNAVAILABLE. gRPC checks health only with `round_robin`, which has one address here. The empty name asks about the
# server as a whole. gRPC ignores a service config that it cannot read.
_SERVICE_CONFIG: Mapping[str, object] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}
_HEALTH_CHECK = ("grpc.service_config", json.dumps(_SERVICE_CONFIG))

_OPTIONS: tuple[tuple[str, object], ...] = (
    # A proxy from the environment might send a request to another replica.
    ("grpc.enable_http_proxy", 0),
    # After a failure, a new channel must make a new connection. It would share one with a channel that is still open.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # If a host vanishes without closing the connection, what is sent to it is not acknowledged, and the operating
    # system closes the connection after this time (TCP_USER_TIMEOUT on Linux). gRPC asks for that with keepalive only.
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC's servers close a connection with "too_many_pings" if a client pings more often than every five minutes, and
    # the stream of a health check counts as a call, so that an idle connection pings as well.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_permit_without_calls", 0),
)


def channel_options(*, health_check: bool) -> Sequence[tuple[str, object]]:
    """The options of a channel.

    Args:
        health_check: whether the server has a health service, or may have one. gRPC writes a line to stderr for each
            connection to a server without.
    """
    return (_HEALTH_CHECK, *_OPTIONS) if health_check else _OPTIONS
