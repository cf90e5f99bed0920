"""What the gateway knows of its models' fleets, read when Prometheus asks."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.gateway.models.models import Model
from serving.gateway.observation.metrics import NAME_PREFIX


class FleetMetrics(Collector):
    """For the registry of `Metrics`.

    Args:
        models: the models by name; none before the gateway has started.
    """

    def __init__(self, models: Callable[[], Mapping[str, Model]]) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        retries = CounterMetricFamily(f"{NAME_PREFIX}_retries", "Requests sent to a second replica.", labels=["model"])
        in_flight = GaugeMetricFamily(f"{NAME_PREFIX}_images_in_flight", "Images being asked about.", labels=["model"])
        limit = GaugeMetricFamily(f"{NAME_PREFIX}_images_limit", "How many there may be.", labels=["model"])
        replicas = GaugeMetricFamily(f"{NAME_PREFIX}_replicas", "Replicas that are listed.", labels=["model", "usable"])
        for name, model in self._models().items():
            retries.add_metric([name], model.client.retries)
            in_flight.add_metric([name], model.admission.in_flight)
            limit.add_metric([name], model.admission.limit)
            states = model.client.replicas()
            usable = sum(state.usable for state in states)
            replicas.add_metric([name, "yes"], usable)
            replicas.add_metric([name, "no"], len(states) - usable)
        yield from (retries, in_flight, limit, replicas)
