"""Metrics for Prometheus.

No client can make new time series: labels are names of models that the gateway has, templates of routes, statuses and
the versions that answered, of which the ones that answered last are kept.
"""

from collections import OrderedDict
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from serving.gateway.observation.facts import Facts

# What the name of each metric begins with.
NAME_PREFIX = "understudy_gateway"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Answers of a classifier take milliseconds; beyond ten seconds every deadline is over.
SECONDS = (0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.35, 0.6, 1, 2, 5, 10)
# admission: too many requests in flight; breaker: the fleet of a model rests; rate: of a key, or of attempts without
# one; queue: that of the model servers is full; address: too many refused attempts from there; conversion: too many
# images are being converted; memory: the bodies of requests take too much.
SHED_REASONS = frozenset({"admission", "breaker", "rate", "queue", "address", "conversion", "memory"})
LARGEST_VERSIONS = 50
NO_MODEL, NO_ROUTE, OTHER = "", "none", "other"


class Metrics:
    """The gateway's metrics, in a registry of their own.

    Args:
        models: the names of the gateway's models; any other `Facts.model` is counted as "other".
    """

    def __init__(self, models: Collection[str]) -> None:
        self._models = frozenset(models)
        self._versions: OrderedDict[tuple[str, str], set[tuple[str, str]]] = OrderedDict()
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        name = NAME_PREFIX
        self._requests = Counter(
            f"{name}_requests", "Requests that ended.", ("model", "route", "version", "code"), registry=registry
        )
        self._seconds = Histogram(
            f"{name}_request_seconds",
            "From the head of a request to the end of its answer.",
            ("model", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(f"{name}_requests_in_flight", "Requests that have not ended.", registry=registry)
        self._shed = Counter(f"{name}_shed", "Requests refused to protect the fleet.", ("reason",), registry=registry)
        self._images = Counter(f"{name}_images", "Images received.", ("model",), registry=registry)
        self._image_bytes = Counter(f"{name}_image_bytes", "Sizes of these.", ("model",), registry=registry)
        for reason in sorted(SHED_REASONS):
            self._shed.labels(reason)

    def begin(self) -> None:
        self._in_flight.inc()

    def end(self, facts: Facts, *, route: str | None, status: int, seconds: float) -> None:
        self._in_flight.dec()
        model, route = self._known(facts.model), route or NO_ROUTE
        version, code = "", str(status)
        if facts.version is not None and model in self._models:
            version = str(facts.version)
            self._remember(model, version, route, code)
        self._requests.labels(model, route, version, code).inc()
        self._seconds.labels(model, route).observe(seconds)
        if facts.shed is not None:
            self._shed.labels(facts.shed if facts.shed in SHED_REASONS else OTHER).inc()
        if facts.images:
            self._images.labels(model).inc(facts.images)
            self._image_bytes.labels(model).inc(facts.image_bytes)

    def page(self) -> bytes:
        """In the text format of Prometheus, CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _known(self, model: str | None) -> str:
        if model is None:
            return NO_MODEL
        return model if model in self._models else OTHER

    def _remember(self, model: str, version: str, route: str, code: str) -> None:
        """Forget the version that answered longest ago when there are too many: a gateway may run for years."""
        self._versions.setdefault((model, version), set()).add((route, code))
        self._versions.move_to_end((model, version))
        if len(self._versions) > LARGEST_VERSIONS:
            (old_model, old_version), series = self._versions.popitem(last=False)
            for old_route, old_code in series:
                self._requests.remove(old_model, old_route, old_version, old_code)
