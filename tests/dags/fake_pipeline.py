"""Stands where the Python of the verbs would: notes how it was called and ends with the code the case asks for."""

import json
import os
import sys
from pathlib import Path

_, _, module, verb, *words = sys.argv
options = dict(zip(words[::2], words[1::2], strict=False))
codes = json.loads(os.environ["FAKE_EXIT_CODES"])
call = {
    "case": os.environ["FAKE_CASE"],
    "verb": verb,
    "words": words,
    "params": json.loads(os.environ["UNDERSTUDY_PARAMS"]),
    "actor": os.environ["UNDERSTUDY_ACTOR"],
    "model": options.get("--model") or os.environ.get("UNDERSTUDY_MODEL"),
    "cwd": str(Path.cwd()),
}
with Path(os.environ["FAKE_CALLS"]).open("a", encoding="utf-8") as stream:
    stream.write(json.dumps(call) + "\n")
if verb == "promote" and not codes.get(verb):
    from pipeline.records import PromoteRecord
    from pipeline.run_records import RunRecords
    from pipeline.storage.opening import open_bucket

    bucket = open_bucket(os.environ["UNDERSTUDY_ROOT"], seconds=1.0)
    RunRecords(bucket, options["--model"], options["--run"]).finish(PromoteRecord(version=7))
sys.exit(codes.get(verb, 0))
