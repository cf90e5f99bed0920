"""What a client pays to start: our client's imports against TensorFlow Serving's own messages.

    python -m bench.imports

Each import runs in a fresh process, in turn with the other; the figures are medians of wall time and of peak memory.
"""

import statistics
import subprocess
import sys

ROUNDS = 5
OURS = "import serving.client, serving.canary"
BASELINE = "from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc"
MEASURE = """
import resource, time
start = time.perf_counter()
{}
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measure(statement: str) -> tuple[float, float]:
    """Seconds, and MiB of the process afterwards (on Linux)."""
    command = [sys.executable, "-c", MEASURE.format(statement)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, mebibytes = done.stdout.split()
    return float(seconds), float(mebibytes)


def main() -> None:
    ours, baseline = [], []
    for _ in range(ROUNDS):
        ours.append(measure(OURS))
        baseline.append(measure(BASELINE))
    for index, (what, unit) in enumerate((("time", "s"), ("memory", "MiB"))):
        mine = statistics.median(each[index] for each in ours)
        other = statistics.median(each[index] for each in baseline)
        print(f"{what}: {mine:.2f} {unit} against {other:.2f} {unit}, ratio {mine / other:.3f}")  # noqa: T201


if __name__ == "__main__":
    main()
