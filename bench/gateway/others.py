"""The same SavedModel behind LitServe, BentoML, MLflow and KServe, each in its own environment and asked as it is used.

They decode, compute and answer in one process with TensorFlow. Ours are two, the gateway and the model server, and the
image travels once more; both are counted in its CPU time.
"""

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

from bench.gateway.pets import NAME
from bench.gateway.servers import Pets, answers, gateway, model_server, pets
from bench.serving.compare import Contender, Turn, busy_words, compare, rates, tails
from bench.serving.environments import environment
from bench.serving.load import Clients, Target
from bench.serving.made import made
from bench.serving.processes import BenchError, free_port, run
from bench.serving.report import Row
from bench.serving.servers import KSERVE_SERVER, Bench, Served, running

FIGURE = "eight clients, HTTP, the same SavedModel"
CLIENTS = 8
BATCH = 8
OURS = "ours"
OURS_BATCHING = "ours, batching"
_PROGRAMS = Path(__file__).parent / "baselines"
_BOUNDARY = "a-photograph-begins-or-ends-here"

Start = Callable[[Bench, Pets], AbstractContextManager[Served]]


def measure(bench: Bench) -> list[Row]:
    model = pets(bench)
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        contenders = []
        for name, batching in ((OURS, False), (OURS_BATCHING, True)):
            server = stack.enter_context(model_server(bench, model, batching=batching))
            contenders.append(Contender(name, stack.enter_context(gateway(bench, model, server))))
        for name, start in STARTS.items():
            try:
                contenders.append(Contender(name, stack.enter_context(start(bench, model))))
            except BenchError as error:
                refused[name] = str(error)
        found = compare(contenders, stack.enter_context(Clients(CLIENTS)), bench)
    rows = [rates(found, OURS_BATCHING, OURS, figure=FIGURE)]
    for name in STARTS:
        mine = COUNTERPARTS.get(name, OURS)
        if name in refused:
            rows.append(Row(figure=FIGURE, what=f"{mine} : {name}", note=refused[name]))
        else:
            # The note on ours is in one row only.
            rows.append(replace(rates(found, mine, name, figure=FIGURE, goal=1.0), note=_once(rows, found, mine)))
            rows.append(tails(found, mine, name, figure=FIGURE, goal=1.0))
    return rows


def _once(rows: Sequence[Row], found: Mapping[str, Sequence[Turn]], mine: str) -> str:
    note = busy_words(found[mine])
    return "" if note in [row.note for row in rows] else note


def _litserve(bench: Bench, model: Pets, *, batch: int) -> AbstractContextManager[Served]:
    port, python = free_port(), environment("litserve", cache=bench.cache) / "python"
    command = [str(python), "-P", str(_PROGRAMS / "litserve_server.py"), str(model.saved_model), str(port), str(batch)]
    target = _multipart(port, "/predict", model, field="content")
    return running(bench, command, bench.scratch / f"litserve-{batch}.log", target, right=answers(model, _flat))


def _bentoml(bench: Bench, model: Pets) -> AbstractContextManager[Served]:
    port, tools = free_port(), environment("bentoml", cache=bench.cache)
    own = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PETS_MODEL": str(model.saved_model),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(bench.scratch / "bentoml"),
    }
    command = [str(tools / "bentoml"), "serve", "bentoml_service:Pets", "--working-dir", str(_PROGRAMS)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    target = _multipart(port, "/classify", model, field="image")
    log = bench.scratch / "bentoml.log"
    return running(bench, command, log, target, right=answers(model, _flat), environment=own)


def _mlflow(bench: Bench, model: Pets) -> AbstractContextManager[Served]:
    port, tools, program = free_port(), environment("mlflow", cache=bench.cache), _PROGRAMS / "mlflow_model.py"
    own = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    make = [str(tools / "python"), "-P", str(program), str(model.saved_model)]
    saved = made(
        bench.cache / "models" / "pets-mlflow",
        lambda root: run([*make, str(root / "pyfunc")], environment=own),
        sources=[program, model.saved_model / "fingerprint.pb"],
    )
    command = [str(tools / "mlflow"), "models", "serve", "--model-uri", str(saved / "pyfunc")]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    target = _json(port, "/invocations", model, lambda content: {"dataframe_records": [{"image": content}]})
    log = bench.scratch / "mlflow.log"
    return running(bench, command, log, target, right=answers(model, _predictions), environment=own)


def _kserve(bench: Bench, model: Pets) -> AbstractContextManager[Served]:
    port, python = free_port(), environment("kserve", cache=bench.cache) / "python"
    command = [str(python), "-P", str(KSERVE_SERVER), NAME, str(model.saved_model)]
    command += [f"--http_port={port}", "--enable_grpc=false"]
    path = f"/v1/models/{NAME}:predict"
    target = _json(port, path, model, lambda content: {"instances": [{"image": {"b64": content}}]})
    return running(bench, command, bench.scratch / "kserve.log", target, right=answers(model, _predictions))


def _multipart(port: int, path: str, model: Pets, *, field: str) -> Target:
    head = (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="photograph.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    bodies = [head + image + f"\r\n--{_BOUNDARY}--\r\n".encode() for image in model.images]
    return _target(port, path, bodies, f"multipart/form-data; boundary={_BOUNDARY}")


def _json(port: int, path: str, model: Pets, request: Callable[[str], object]) -> Target:
    bodies = [json.dumps(request(base64.b64encode(image).decode())).encode() for image in model.images]
    return _target(port, path, bodies, "application/json")


def _target(port: int, path: str, bodies: list[bytes], content_type: str) -> Target:
    first, *others = bodies
    return Target(port=port, path=path, body=first, others=tuple(others), rest=True, content_type=content_type)


def _flat(answer: bytes) -> Mapping[str, float]:
    found = json.loads(answer)
    return {found["label"]: found["probability"]}


def _predictions(answer: bytes) -> Mapping[str, float]:
    (found,) = json.loads(answer)["predictions"]
    return {found["label"]: found["probability"]}


STARTS: Mapping[str, Start] = {
    "LitServe": lambda bench, model: _litserve(bench, model, batch=1),
    "LitServe, batching": lambda bench, model: _litserve(bench, model, batch=BATCH),
    "BentoML": _bentoml,
    "mlflow models serve": _mlflow,
    "KServe": _kserve,
}
# One that puts requests together is compared with ours that does so too.
COUNTERPARTS = {"LitServe, batching": OURS_BATCHING}
