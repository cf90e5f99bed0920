"""Predict over gRPC with eight clients: our server, also batching, against the plain approach."""

from contextlib import AbstractContextManager, ExitStack

from bench.serving.compare import Contender, compare, rates
from bench.serving.load import Clients
from bench.serving.processes import BenchError
from bench.serving.report import Row
from bench.serving.servers import Bench, Served, ours, plain

FIGURE = "eight clients, gRPC, throughput"
CLIENTS = 8
GOAL = 1.5
# One batch keeps all cores busy, so a second thread would only make batches smaller; a full one does not wait.
BATCHING = """
max_batch_size { value: 8 }
batch_timeout_micros { value: 500 }
num_batch_threads { value: 1 }
max_enqueued_batches { value: 100 }
"""


def measure(bench: Bench) -> list[Row]:
    refused = ""
    with ExitStack() as stack:
        contenders = [
            Contender("ours", stack.enter_context(ours(bench))),
            Contender("plain server", stack.enter_context(plain(bench))),
        ]
        try:
            contenders.append(Contender("ours, batching", stack.enter_context(batching(bench))))
        except BenchError as error:
            refused = str(error)
        with Clients(CLIENTS) as clients:
            found = compare(contenders, clients, bench)
    rows = [rates(found, "ours", "plain server", figure=FIGURE, goal=GOAL)]
    if refused:
        return [*rows, Row(figure=FIGURE, what="ours, batching : ours", note=refused)]
    return [
        *rows,
        rates(found, "ours, batching", "ours", figure=FIGURE, goal=1.0),
        rates(found, "ours, batching", "plain server", figure=FIGURE, goal=GOAL),
    ]


def batching(bench: Bench) -> AbstractContextManager[Served]:
    parameters = bench.scratch / "batching.txt"
    parameters.write_text(BATCHING, "utf-8")
    return ours(bench, "--enable_batching", f"--batching_parameters_file={parameters}", name="ours-batching")
