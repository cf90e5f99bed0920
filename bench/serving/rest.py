"""REST predict with eight keep-alive clients: our server against MLflow's and KServe's, each in its own environment."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack

from bench.serving.compare import Contender, compare, rates
from bench.serving.load import Clients
from bench.serving.processes import BenchError
from bench.serving.report import Row
from bench.serving.servers import Bench, Served, kserve, mlflow, ours

FIGURE = "eight clients, REST, throughput"
CLIENTS = 8
MLFLOW, MLFLOW_FAST, KSERVE = "mlflow models serve, Keras", "mlflow models serve, tf.Module", "KServe"
GOALS = {MLFLOW: 2.0, MLFLOW_FAST: 2.0, KSERVE: 1.0}


def measure(bench: Bench) -> list[Row]:
    starts: Mapping[str, Callable[[], AbstractContextManager[Served]]] = {
        MLFLOW: lambda: mlflow(bench, "keras"),
        MLFLOW_FAST: lambda: mlflow(bench, "module"),
        KSERVE: lambda: kserve(bench),
    }
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        contenders = [Contender("ours", stack.enter_context(ours(bench, name="ours-rest", rest=True)))]
        for name, start in starts.items():
            try:
                contenders.append(Contender(name, stack.enter_context(start())))
            except BenchError as error:
                refused[name] = str(error)
        with Clients(CLIENTS) as clients:
            found = compare(contenders, clients, bench)
    return [
        Row(figure=FIGURE, what=f"ours : {name}", note=refused[name])
        if name in refused
        else rates(found, "ours", name, figure=FIGURE, goal=goal)
        for name, goal in GOALS.items()
    ]
