"""The whole verb `snapshot`, as a process, of a scheduled run in which nothing has changed.

    python -m bench.data.unchanged MODEL RUN

carries it out and checks that it declines.
"""

import json
import statistics
import sys
from pathlib import Path

from bench.data.files import spec_of, write_images
from bench.scale.measuring import answer, usage
from bench.serving.report import Row
from pipeline.errors import ExitCode
from pipeline.runs.records import GateRecord
from pipeline.runs.run_records import RunRecords
from pipeline.storage.opening import open_bucket
from pipeline.verdicts.verdict import Decision, Verdict
from tests.releases import NO_MLFLOW

_SECONDS = 2.0


def measure(scratch: Path, *, files: int, rounds: int) -> list[Row]:
    """The first run was decided: the gate has refused its model. The next ones find the same."""
    images, root = scratch / "images", scratch / "bucket"
    write_images(images, files)
    root.mkdir()
    spec = spec_of(str(images))
    (scratch / f"{spec.name}.yaml").write_text(json.dumps(spec.model_dump(mode="json")), encoding="utf-8")
    env = {
        "UNDERSTUDY_ROOT": str(root),
        "UNDERSTUDY_MODELS": str(scratch),
        "UNDERSTUDY_REPLICAS": "127.0.0.1:9",
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "UNDERSTUDY_CODE_VERSION": "bench",
    }
    words = ("snapshot", "--model", spec.name, "--run", "retrain-0")
    first = usage("pipeline", *words, env=env, json_expected=False)
    refused = Verdict(decision=Decision.FAIL, reasons=("worse",))
    gate = GateRecord(outcome="declined", reason="worse", verdict=refused, serving_version=None)
    RunRecords(open_bucket(str(root), seconds=30), spec.name, "retrain-0").finish(gate)
    env["UNDERSTUDY_SCHEDULED"] = "true"
    later = [usage("bench.data.unchanged", spec.name, f"retrain-{number}", env=env) for number in range(1, rounds + 1)]
    return [
        Row(
            figure=f"`snapshot` of {files:,} files on a disk, nothing has changed",
            what="CPU of the whole process",
            value=statistics.median(each.cpu_seconds for each in later),
            unit="s",
            baseline=f"{first.cpu_seconds:.3g} s the first time",
            goal=_SECONDS,
        )
    ]


def main() -> None:
    from pipeline.__main__ import main as understudy  # noqa: PLC0415 - what it imports is a part of the figure

    model, run = sys.argv[1:]
    sys.argv = ["understudy", "snapshot", "--model", model, "--run", run]
    code = understudy()
    if code != ExitCode.DECLINED:
        raise SystemExit(f"it was to decline, and ended with {code}")
    answer(found=int(code))


if __name__ == "__main__":
    main()
