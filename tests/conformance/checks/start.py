"""How a server starts and ends, and what its flags mean."""

import re
import signal
from dataclasses import fields

from serving.model_server.flags import UNSUPPORTED, Flags
from tests.certificates import Authority
from tests.conformance.facts import Needs, fact
from tests.conformance.launcher import Launcher
from tests.conformance.models import warm_up_record
from tests.conformance.server import config

# The first two are no flags of upstream's; its defaults of the others depend on the number of CPUs.
_NOT_COMPARED = {"host", "ignored", "rest_api_num_threads", "grpc_max_threads"}
# Within this time after its first line of log, a server that reads all files before it loads has ended.
_UNTIL_FILES_ARE_READ = 8.0
_LABELS = "--allow_version_labels_for_unavailable_models"


def _broken(own: Launcher, name: str) -> str:
    """A base path whose highest version fails to load."""
    own.folder.add(name, 1)
    own.folder.add(name, 2, change=lambda folder: (folder / "saved_model.pb").unlink())
    return own.folder.base(name)


@fact(
    "start-empty-list",
    "`model_config_list {}` opens the ports at once, before any model exists",
    relied="set-up before the first release; containers",
    needs=Needs.OWN,
)
def _empty_list(own: Launcher) -> None:
    with own.started(f"--model_config_file={own.folder.write('empty.config', 'model_config_list {}')}") as at:
        at.eventually(True, at.answers)
        at.eventually(404, lambda: at.http_status("/v1/models/any"))


@fact(
    "start-missing-config",
    "a config file that is missing, or does not parse, ends the process with 255",
    relied="`init` writes the config before servers start",
    needs=Needs.OWN,
)
def _missing_config(own: Launcher) -> None:
    own.expect(255, own.outcome(f"--model_config_file={own.folder.there}/nothing.config")[0], "a missing file")
    bad = own.folder.write("bad.config", "model_config_list {\n  confg {}\n}\n")
    code, log = own.outcome(f"--model_config_file={bad}")
    own.expect(255, code, "a file that does not parse")
    own.expect_in(f"Invalid protobuf file: '{bad}'", log)
    own.expect_in("Error parsing text-format tensorflow.serving.ModelServerConfig: 2:", log)


@fact(
    "start-without-model",
    "without a config file and without a base path the process ends with 255",
    relied="embedded server",
    needs=Needs.OWN,
)
def _without_model(own: Launcher) -> None:
    own.expect(255, own.outcome()[0])


@fact(
    "start-waits-for-a-version",
    "a server whose base path is missing or has no version answers nothing and does not end; it starts when a version "
    "appears",
    relied="readiness probes; containers of the latest roll-out",
    needs=Needs.OWN,
)
def _waits(own: Launcher) -> None:
    with own.started(f"--model_base_path={own.folder.base('later')}") as at:
        at.expect("waits", at.state_of_start())
        own.folder.add("later", 1)
        at.eventually(1, lambda: at.answering("default"))


@fact(
    "start-broken-highest",
    "a server whose highest version fails to load ends with 255, although an older one is good",
    relied="latest roll-out: a broken version is removed at once",
    needs=Needs.OWN,
)
def _broken_highest(own: Launcher) -> None:
    code, log = own.outcome(
        *(f"--model_base_path={_broken(own, 'broken')}", "--max_num_load_retries=0", "--num_load_threads=1")
    )
    own.expect(255, code)
    own.expect_in("1 servable(s) did not become available: ", log)
    own.expect_in("{name: default version: 2} due to error: ", log)


@fact(
    "start-any-version",
    "a server opens when any version of a model is loaded: it may answer before the labelled version is there, and the "
    "label is NOT_FOUND until then",
    relied="readiness probes ask for the label",
    needs=Needs.OWN,
)
def _any_version(own: Launcher) -> None:
    own.folder.add("partial", 1)
    with own.standard(models=[own.folder.model("partial", versions=[1, 2], stable=2)]) as at:
        at.expect((1, "NOT_FOUND"), (at.answering("partial"), at.answering("partial", label="stable")))
        own.folder.add("partial", 2)
        at.eventually(2, lambda: at.answering("partial", label="stable"))


@fact(
    "start-labels-need-a-flag",
    f"a config with labels ends the process at its start, unless {_LABELS} is given",
    relied="required flag",
    needs=Needs.OWN,
)
def _labels(own: Launcher) -> None:
    own.folder.add("labelled", 1)
    text = str(config(own.folder.model("labelled", versions=[1], stable=1)))
    file = own.folder.write("labelled.config", text)
    own.expect(255, own.outcome(f"--model_config_file={file}")[0], "without the flag")
    with own.started(f"--model_config_file={file}", _LABELS) as at:
        at.eventually(1, lambda: at.answering("labelled", label="stable"))


@fact(
    "start-forgets",
    "a restart forgets versions that have ended and every requested config",
    relied="a replica that restarts reads its config; crash detection",
    needs=Needs.OWN,
)
def _forgets(own: Launcher) -> None:
    own.folder.add("restarted", 1, 2)
    both = own.folder.model("restarted", versions=[1, 2], stable=2)
    with own.standard("--model_config_file_poll_wait_seconds=0", models=[both]) as at:
        at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("restarted"))
        at.request_config(config(own.folder.model("restarted", versions=[1])))
        at.eventually([(2, "END"), (1, "AVAILABLE")], lambda: at.states("restarted"))
    with own.standard(models=[both]) as at:
        at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("restarted"))
        at.expect(2, at.answering("restarted", label="stable"))
    with own.standard(models=[own.folder.model("restarted", versions=[2])]) as at:
        at.stays([(2, "AVAILABLE")], lambda: at.states("restarted"))


@fact(
    "start-polls-once-by-default",
    "without --model_config_file_poll_wait_seconds the config file is read once",
    relied="required flag",
    needs=Needs.OWN,
)
def _polls_once(own: Launcher) -> None:
    file = own.folder.write("once.config", "model_config_list {}")
    own.folder.add("once", 1)
    with own.started(f"--model_config_file={file}") as at:
        at.wait_until_it_answers()
        own.folder.write("once.config", str(config(own.folder.model("once"))))
        at.stays([], lambda: at.states("once"))


@fact(
    "flags-defaults",
    "the flags have the defaults that `--help` of the embedded server shows",
    relied="required flags: what is not given has its default",
    needs=Needs.OWN,
)
def _defaults(own: Launcher) -> None:
    _, text = own.outcome("--help", ports=False)
    shown = dict(re.findall(r"^\s+--(\w+)=(\S+)", text, re.MULTILINE))
    known = {each.name: each.default for each in fields(Flags) if each.name not in _NOT_COMPARED} | UNSUPPORTED
    spelled = {name: _spelled(value) for name, value in known.items()}
    other = {name: shown.get(name, "no such flag") for name in spelled if _number(shown.get(name, "")) != spelled[name]}
    own.expect({name: spelled[name] for name in other}, other)


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _number(f'"{value}"' if isinstance(value, str) else str(value))


def _number(text: str) -> str:
    return str(float(text)) if re.fullmatch(r"-?[0-9.]+", text) else text


@fact("flags-help", "`--help` ends with 255", relied="embedded server", needs=Needs.OWN)
def _help(own: Launcher) -> None:
    own.expect(255, own.outcome("--help", ports=False)[0])


@fact(
    "flags-version",
    "`--version` prints `TensorFlow ModelServer: ...` and ends with 0",
    relied="reports of this suite",
    needs=Needs.OWN,
)
def _version(own: Launcher) -> None:
    code, text = own.outcome("--version", ports=False)
    own.expect(0, code)
    own.expect_in("TensorFlow ModelServer: ", text)
    own.expect_in("TensorFlow Library: ", text)


@fact(
    "flags-unknown",
    "an unknown flag, and a flag without `=`, are reported, and the server starts with the others",
    relied="embedded server",
    needs=Needs.OWN,
)
def _unknown(own: Launcher) -> None:
    own.folder.add("unknown", 1)
    with own.started(f"--model_base_path={own.folder.base('unknown')}", "--no_such_flag=1") as at:
        at.expect("answers", at.state_of_start(seconds=30))
        at.expect_in("unknown argument", at.log)


@fact(
    "flags-batching-file",
    "a batching parameters file without --enable_batching ends the process with 255",
    relied="batching",
    needs=Needs.OWN,
)
def _batching_file(own: Launcher) -> None:
    file = own.folder.write("batching-alone.config", "max_batch_size { value: 8 }")
    empty = own.folder.write("empty.config", "model_config_list {}")
    code, log = own.outcome(f"--model_config_file={empty}", f"--batching_parameters_file={file}")
    own.expect(255, code)
    own.expect_in("batching_parameters_file is set without setting", log)


@fact(
    "flags-same-port-twice",
    "if --rest_api_port is the gRPC port, the server says so and starts without REST",
    relied="embedded server",
    needs=Needs.OWN,
)
def _same_port(own: Launcher) -> None:
    empty = own.folder.write("empty.config", "model_config_list {}")
    with own.started(f"--model_config_file={empty}") as first:
        port = first.address.rpartition(":")[2]
        first.process.kill()
        first.process.wait()
    with own.started(f"--model_config_file={empty}", f"--port={port}", f"--rest_api_port={port}") as at:
        at.eventually(True, lambda: "cannot be same as grpc_port" in at.log)
        at.expect(None, at.process.poll())


@fact(
    "start-bad-tls-file",
    "a bad SSL file is found after the models are loaded",
    relied="embedded server",
    needs=Needs.OWN,
)
def _bad_tls(own: Launcher) -> None:
    bad = own.folder.write("tls.config", "server_key: ")
    with own.started(f"--model_base_path={own.folder.base('never-there')}", f"--ssl_config_file={bad}") as at:
        at.expect("waits", at.state_of_start(seconds=_UNTIL_FILES_ARE_READ))


@fact(
    "start-bad-monitoring-file",
    "a bad monitoring file is found after the models are loaded",
    relied="embedded server",
    needs=Needs.OWN,
)
def _bad_monitoring(own: Launcher) -> None:
    bad = own.folder.write("bad-monitoring.config", "nothing: ")
    with own.started(f"--model_base_path={own.folder.base('never-there')}", f"--monitoring_config_file={bad}") as at:
        at.expect("waits", at.state_of_start(seconds=_UNTIL_FILES_ARE_READ))


@fact(
    "start-client-verify-without-ca",
    "with `client_verify` and without `custom_ca` the server starts, and refuses every client",
    relied="embedded server",
    needs=Needs.OWN,
)
def _client_verify(own: Launcher) -> None:
    file = own.folder.write("verify.config", ssl_config(Authority()) + "\nclient_verify: true\n")
    empty = own.folder.write("empty.config", "model_config_list {}")
    with own.started(f"--model_config_file={empty}", f"--ssl_config_file={file}") as at:
        at.expect(
            "waits", at.state_of_start(seconds=_UNTIL_FILES_ARE_READ), "it runs, and plain text is refused as well"
        )
        at.expect_in("Running gRPC ModelServer", at.log)


def ssl_config(authority: Authority, *, ca: bytes = b"") -> str:
    """The text of an SSLConfig with a new certificate of this authority."""
    key, certificate = authority.issue("server")
    texts = {"server_key": key, "server_cert": certificate, "custom_ca": ca}
    return "\n".join(f"{name}: {_quoted(pem)}" for name, pem in texts.items() if pem)


def _quoted(pem: bytes) -> str:
    return '"' + pem.decode().replace("\n", "\\n") + '"'


@fact(
    "end-sigterm",
    "SIGTERM ends the process at once, with the requests that it runs",
    relied="embedded server; containers need an init process",
    needs=Needs.OWN,
)
def _sigterm(own: Launcher) -> None:
    own.folder.add("ended", 1)
    with own.standard(models=[own.folder.model("ended")]) as at, own.folder.gate("ended.gate") as gate:
        at.eventually(1, lambda: at.answering("ended"))
        request = at.request("ended", signature="gate", inputs={"path": gate.path})
        pending = at.prediction.Predict.future(request, timeout=60)
        gate.wait_until_reached()
        at.process.send_signal(signal.SIGTERM)
        at.expect(128 + signal.SIGTERM, at.exit_code())
        at.expect("UNAVAILABLE", pending.code().name)


@fact(
    "start-custom-config",
    "a custom model config aborts the process",
    relied="embedded server",
    needs=Needs.OWN,
)
def _custom_config(own: Launcher) -> None:
    text = 'custom_model_config { type_url: "type.googleapis.com/google.protobuf.Empty" }'
    code, _ = own.outcome(f"--model_config_file={own.folder.write('custom.config', text)}")
    own.expect(128 + signal.SIGABRT, code)


@fact(
    "start-s3",
    "the stock image does not read s3://: `File system scheme 's3' not implemented`",
    relied="`sync` for buckets on S3",
    needs=Needs.OWN,
)
def _s3(own: Launcher) -> None:
    with own.started("--model_base_path=s3://bucket/models") as at:
        at.eventually(True, lambda: "File system scheme 's3' not implemented" in at.log)


@fact(
    "log-repeats-warnings",
    "a poll that fails is logged each time",
    relied="embedded server",
    needs=Needs.OWN,
)
def _repeats(own: Launcher) -> None:
    with own.started(f"--model_base_path={own.folder.base('never-there')}") as at:
        at.expect("waits", at.state_of_start())
        at.expect(True, at.log.count("Could not find base path") > 1, "logged more than once")


@fact(
    "start-loads-in-parallel",
    "the versions of a model that a server starts with are loaded in parallel, whatever --num_load_threads says",
    relied="a restart takes one load",
    needs=Needs.OWN,
)
def _parallel(own: Launcher) -> None:
    with own.folder.gate("parallel.gate") as gate:
        own.folder.add("parallel", 1, 2, warm_up=[warm_up_record("gate", path=gate.path)])
        file = own.folder.write("parallel.config", str(config(own.folder.model("parallel", versions=[1, 2]))))
        with own.started(f"--model_config_file={file}", "--num_load_threads=1") as at:
            gate.wait_until_reached(2)
            gate.open()
            at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.answers() and at.states("parallel"))
