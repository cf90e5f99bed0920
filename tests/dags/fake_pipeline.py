"""Stands where the Python of the verbs would: notes how it was called and ends with the code the case asks for.

`announce`, which only reads the journal, is carried out, by a process of `tests.processes.fork_server`: most runs have
one, and a fresh interpreter would spend more time on its imports than Airflow does on the task.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from pipeline.result import write
from tests.processes.fork_request import run_in_place

_, _, _, verb, *words = sys.argv
options = dict(zip(words[::2], words[1::2], strict=False))
codes = json.loads(os.environ["FAKE_EXIT_CODES"])
call = {
    "case": os.environ["FAKE_CASE"],
    "verb": verb,
    "words": words,
    "params": json.loads(os.environ["UNDERSTUDY_PARAMS"]),
    "actor": os.environ["UNDERSTUDY_ACTOR"],
    "run_url": os.environ["UNDERSTUDY_RUN_URL"],
    "scheduled": os.environ["UNDERSTUDY_SCHEDULED"],
    "model": options.get("--model") or os.environ.get("UNDERSTUDY_MODEL"),
    "cwd": str(Path.cwd()),
    "secret": os.environ.get("AWS_SECRET_ACCESS_KEY"),
}
calls = Path(os.environ["FAKE_CALLS"])
earlier = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()] if calls.exists() else []
tries = sum((each["case"], each["verb"]) == (call["case"], verb) for each in earlier)
if isinstance(codes.get(verb), list):  # one for each try
    codes[verb] = codes[verb][tries]
if not tries and os.environ.get("FAKE_ENDS_LATE"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with calls.open("a", encoding="utf-8") as stream:
    stream.write(json.dumps(call) + "\n")
if not tries or os.environ.get("FAKE_EVERY_TRY"):
    for line, seconds in json.loads(os.environ.get("FAKE_LINES", "[]")):
        print(line, flush=True)  # noqa: T201 - it is the log of the verb
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not Path(os.environ["FAKE_WAIT_UNTIL"]).exists():
            time.sleep(0.02)
if os.environ["FAKE_CASE"] == "dies with one line of JSON":
    sys.exit('{"level": "error", "event": "no space left on device"}')
if os.environ["FAKE_CASE"] == "announce leaves nothing" and verb == "announce":
    sys.exit()
if verb == "announce" and not codes.get(verb):
    sys.exit(run_in_place(os.environ["FAKE_FORK_SERVER"], [verb, *words]))
moves_traffic = verb == "promote" or (verb == "rollback" and "--plan" not in words)
if moves_traffic and not codes.get(verb):
    from tests.dags.moving import make_serve

    make_serve(str(call["model"]), run_key=options["--run"])
code = codes.get(verb, 0)
if code and os.environ["FAKE_CASE"] != "train fails":  # that one dies without a word
    outcome = {1: "failed", 75: "could not tell", 99: "declined"}[code]
    reason = f"the reason of {verb}" + (" and so on" * 200 if os.environ["FAKE_CASE"] == "promote fails" else "")
    write({"verb": verb, "model": call["model"], "outcome": outcome, "reason": reason, "serving": 3})
# What the verbs say that are done, as in `pipeline.runs.records`.
done: dict[str, dict[str, object]] = {
    "train": {"accuracy": 0.9},
    "gate": {"verdict": "pass: accuracy 0.9 >= 0.8", "serving": 3},
    "publish": {"version": 4, "serving": 3},
    "canary": {"version": 4, "verdict": "pass: 2 replicas", "serving": 3},
    "promote": {"version": 4, "serving": 4},
    "withdraw": {"version": 4, "reason": "fail: golden answers differ", "serving": 3},
    "rollback": {"version": 3, "left": 4, "reason": "confuses\n3 and 8", "serving": 3},
}
if not code and "--plan" not in words:
    write({"verb": verb, "model": call["model"], "outcome": "done", **done.get(verb, {})})
sys.exit(code)
