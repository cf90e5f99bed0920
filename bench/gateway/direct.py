"""What the gateway costs over gRPC to its model server: time of one client, and answers for eight."""

import statistics

from bench.gateway.servers import gateway, instant_server, model_server, pets
from bench.serving.compare import Contender, compare, rates
from bench.serving.load import Clients
from bench.serving.report import Row
from bench.serving.servers import Bench, Served

LATENCY = "one client, p50"
THROUGHPUT = "eight clients, throughput"
CLIENTS = 8
GOAL_MILLISECONDS = 1.5
GOAL_THROUGHPUT = 0.7
_WARM_UP = 0.3


def measure_latency(bench: Bench) -> list[Row]:
    model = pets(bench)
    with Clients(1) as clients:
        with model_server(bench, model) as server, gateway(bench, model, server) as front:
            rows = [_latency(bench, clients, server, front, what="a network of the pets example")]
        with instant_server(bench, model) as server, gateway(bench, model, server, proved=False) as front:
            return [*rows, _latency(bench, clients, server, front, what="a model that takes no time", goal=None)]


def _latency(
    bench: Bench,
    clients: Clients,
    server: Served,
    front: Served,
    *,
    what: str,
    goal: float | None = GOAL_MILLISECONDS,
) -> Row:
    targets = [front.target, server.target]
    clients.alternate(targets, bench.seconds * _WARM_UP)
    rounds = [clients.alternate(targets, bench.seconds) for _ in range(bench.rounds)]
    ours, direct = ([1000 * statistics.median(each) for each in column] for column in zip(*rounds, strict=True))
    return Row(
        figure=LATENCY,
        what=f"{what}: gateway over direct gRPC",
        value=statistics.median(mine - other for mine, other in zip(ours, direct, strict=True)),
        unit="ms",
        ours=f"{statistics.median(ours):.2f} ms",
        baseline=f"{statistics.median(direct):.2f} ms",
        goal=goal,
    )


def measure_throughput(bench: Bench) -> list[Row]:
    model = pets(bench)
    with Clients(CLIENTS) as clients, model_server(bench, model) as server, gateway(bench, model, server) as front:
        found = compare([Contender("gateway", front), Contender("direct gRPC", server)], clients, bench)
    return [rates(found, "gateway", "direct gRPC", figure=THROUGHPUT, goal=GOAL_THROUGHPUT)]
