"""The config: the file that is polled, and requests that replace it."""

from functools import partial

from serving.apis import model_management_pb2
from tests.conformance.facts import Needs, fact
from tests.conformance.launcher import Launcher
from tests.conformance.server import CONFIG, ServerUnderTest, config, refusal


@fact(
    "config-replaces-everything",
    "a config replaces the one before: models that it leaves out are unloaded, and an empty list unloads everything",
    relied="no verb sends a config to a server of other models",
    needs=Needs.FILES,
)
def _replaces(at: ServerUnderTest) -> None:
    at.serve("first", 1)
    at.serve("second", 1)
    at.eventually([(1, "END")], lambda: at.states("first"))
    at.expect("NOT_FOUND", at.answering("first"))
    at.deploy()
    at.eventually([(1, "END")], lambda: at.states("second"))


@fact(
    "config-requested-lasts-one-poll",
    "a requested config lasts until the next poll, which applies the file again, changed or not",
    relied="`rollback --without-bucket`; repair of a stuck replica",
    needs=Needs.FILES,
)
def _lasts_one_poll(at: ServerUnderTest) -> None:
    at.serve("asked-for", 1, 2, stable=2)

    def after_a_request() -> object:
        at.request_config(config(at.folder.model("asked-for", versions=[1, 2], stable=1)))
        return at.answering("asked-for", label="stable")

    # A poll may come in between, but not always.
    at.eventually(1, after_a_request)
    at.eventually(2, lambda: at.answering("asked-for", label="stable"))


@fact(
    "config-refused-is-forgotten",
    "a refused request leaves versions and labels as they were",
    relied="repair of a stuck replica",
    needs=Needs.FILES,
)
def _forgotten(at: ServerUnderTest) -> None:
    at.serve("kept", 1, 2, stable=2)
    at.folder.add("kept", 3)
    answer = refusal(lambda: at.request_config(config(at.folder.model("kept", versions=[1, 3], stable=3))))
    at.expect_in("FAILED_PRECONDITION", answer)
    at.stays([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("kept"))


@fact(
    "config-unreadable-changes-nothing",
    "a config file that does not parse, is empty or is missing changes nothing; the next good one is applied",
    relied="replicas serve on without the bucket",
    needs=Needs.FILES,
)
def _unreadable(at: ServerUnderTest) -> None:
    at.serve("steady", 1, 2, stable=2)
    for text in ("model_config_list {", "nothing: 1", ""):
        at.folder.write(CONFIG, text)
        at.stays(
            (2, [(2, "AVAILABLE"), (1, "AVAILABLE")]),
            lambda: (at.answering("steady", label="stable"), at.states("steady")),
            repr(text),
        )
    (at.folder.here / CONFIG).unlink()
    at.stays(2, lambda: at.answering("steady", label="stable"), "without the file")
    at.write_config(at.folder.model("steady", versions=[1, 2], stable=1))
    at.eventually(1, lambda: at.answering("steady", label="stable"))


@fact(
    "config-rules",
    "a config is refused that has a name twice, a base path that is not absolute, or another platform than before",
    relied="embedded server",
    needs=Needs.FILES,
)
def _rules(at: ServerUnderTest) -> None:
    at.serve("ruled", 1)
    model = at.folder.model("ruled", versions=[1])
    other = at.folder.model("ruled")
    other.model_platform = "other"
    relative = at.folder.model("relative", base="relative/path")
    for models, words in (
        ((model, model), "Illegal to list model ruled multiple times in config list"),
        ((model, relative), "Expected model relative to have an absolute path or URI"),
        ((other,), "Illegal to change a model's platform. For model ruled platform was tensorflow"),
    ):
        answer = refusal(partial(at.request_config, config(*models)))
        at.expect_in("INVALID_ARGUMENT: ", answer)
        at.expect_in(words, answer)
    at.expect(1, at.answering("ruled"))


@fact(
    "config-without-platform-blocks",
    "a model without a platform is refused, and so is every config after it until a restart",
    relied="configs are rendered in one place",
    needs=Needs.OWN,
)
def _without_platform(own: Launcher) -> None:
    own.folder.add("good", 1)
    with own.standard("--model_config_file_poll_wait_seconds=0") as at:
        bare = at.folder.model("bare")
        bare.model_platform = ""
        words = "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type"
        at.expect_in(words, refusal(lambda: at.request_config(config(bare))))
        at.expect_in(words, refusal(lambda: at.request_config(config(at.folder.model("good")))))


@fact(
    "config-known-model-returns-at-once",
    "a request that adds versions to a known model returns before they are loaded",
    relied="every wait asks for the exact version",
    needs=Needs.FILES,
)
def _known_model(at: ServerUnderTest) -> None:
    at.serve("known", 1)
    at.write_config(at.folder.model("known", versions=[1, 2]))
    at.request_config(config(at.folder.model("known", versions=[1, 2])))
    at.expect("unseen", at.state("known", 2))
    at.folder.add("known", 2)
    at.eventually("AVAILABLE", lambda: at.state("known", 2))


@fact(
    "config-new-model-waits",
    "a request with a new model returns when a version of it is loaded; if that fails, it says why",
    relied="first release; repair of a stuck replica",
    needs=Needs.FILES,
)
def _new_model(at: ServerUnderTest) -> None:
    at.folder.add("new", 1)
    new = at.folder.model("new", versions=[1])
    at.write_config(new)
    at.request_config(config(new))
    at.expect([(1, "AVAILABLE")], at.states("new"))
    at.folder.add("broken-new", 1, change=lambda folder: (folder / "saved_model.pb").unlink())
    broken = at.folder.model("broken-new", versions=[1])
    at.write_config(new)
    answer = refusal(lambda: at.request_config(config(new, broken)))
    at.expect_in("1 model(s) did not become available: ", answer)
    at.expect_in("{name: broken-new version: 1} due to error: ", answer)


@fact(
    "config-new-model-without-versions-blocks",
    "a request with a new model that has no version on storage is not answered, and no other config is applied until "
    "a version of it has loaded",
    relied="verbs write a config after its versions are complete",
    needs=Needs.FILES,
)
def _new_model_blocks(at: ServerUnderTest) -> None:
    at.serve("before", 1, stable=1)
    absent = at.folder.model("absent", versions=[1])
    at.folder.add("absent", 7)
    try:
        answer = refusal(lambda: at.request_config(config(absent), timeout=1))
        at.expect_in("DEADLINE_EXCEEDED", answer)
        at.write_config(at.folder.model("before", versions=[1], stable=1))
        at.stays("NOT_FOUND", lambda: at.answering("before"), "the next config is not applied")
    finally:
        at.folder.add("absent", 1)
    at.eventually(1, lambda: at.answering("before", label="stable"))


@fact(
    "config-model-comes-back",
    "a model that was unloaded and is named again is loaded again, with its label",
    relied="pinned roll-out",
    needs=Needs.FILES,
)
def _comes_back(at: ServerUnderTest) -> None:
    at.serve("back", 1, stable=1)
    at.deploy()
    at.eventually([(1, "END")], lambda: at.states("back"))
    at.deploy(at.folder.model("back", versions=[1], stable=1))
    at.eventually(1, lambda: at.answering("back", label="stable"))


@fact(
    "config-metric-deltas",
    "a reload request may name counters, and the answer has an entry for each: how much it grew meanwhile",
    relied="embedded server",
    needs=Needs.FILES,
)
def _metric_deltas(at: ServerUnderTest) -> None:
    at.folder.add("counted", 1)
    whole = config(at.folder.model("counted", versions=[1]))
    at.write_config(*whole.model_config_list.config)
    name = "/tensorflow/cc/saved_model/load_attempt_count"
    request = model_management_pb2.ReloadConfigRequest(config=whole, metric_names=[name])
    answer = at.models.HandleReloadConfigRequest(request, timeout=20)
    at.expect([name], [each.name for each in answer.metric])
    at.expect(0, answer.status.error_code)
