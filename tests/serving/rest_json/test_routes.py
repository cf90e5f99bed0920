import pytest

from serving.rest_json.routes import Route, find_route, is_api, is_target
from serving.status import InvalidArgumentError

RESERVED = "%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"
DECODED = "!#$%&'()*+,/:;=?@[]"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/models/m", Route(found=True, model="m")),
        ("GET", "/v1/models/m/versions/99", Route(found=True, model="m", version="99")),
        ("GET", "/v1/models/m/labels/stable", Route(found=True, model="m", label="stable")),
        ("GET", "/v1/models/m/metadata", Route(found=True, model="m", topic="metadata")),
        ("GET", "/v1/models/m/versions/7/metadata", Route(found=True, model="m", version="7", topic="metadata")),
        ("GET", "/v1/models/m/labels/stable/metadata", Route(found=True, model="m", label="stable", topic="metadata")),
        ("POST", "/v1/models/m:predict", Route(found=True, model="m", verb="predict")),
        ("POST", "/v1/models/m/versions/99:classify", Route(found=True, model="m", version="99", verb="classify")),
        ("POST", "/v1/models/m/labels/a:regress", Route(found=True, model="m", label="a", verb="regress")),
    ],
)
def test_what_upstream_documents_is_found(method: str, path: str, expected: Route) -> None:
    assert find_route(method, path) == expected


def test_names_and_labels_are_decoded_once() -> None:
    get = find_route("GET", f"/v1/models/m{RESERVED}/labels/l{RESERVED}/metadata")
    post = find_route("POST", f"/v1/models/m{RESERVED}/labels/l{RESERVED}:predict")

    assert (get.model, get.label, get.topic) == (f"m{DECODED}", f"l{DECODED}", "metadata")
    assert (post.model, post.label, post.verb) == (f"m{DECODED}", f"l{DECODED}", "predict")
    assert find_route("GET", "/v1/models/a+b%2520c").model == "a+b%20c"


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert find_route("GET", "/v1/models/%ff%C3%A4").model == "\ufffdä"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("POST", "/v1/models"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m/metadata"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models/m:predict/"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m/version/50:regress"),
        ("POST", "/v1/models/m/versions/HELLO:regress"),
        ("POST", "/v1/models/m/versions/-1:regress"),
        ("POST", "/v1/models/m/versions/٣:regress"),
        ("POST", "/v1/models/m/label/l:regress"),
        ("POST", "/v1/models/m/versions/50/labels/l:regress"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/models/m:predict"),
        ("GET", "/v1/models/debug/m"),
        ("GET", "/v1/models/m/metadata/versions/1"),
        ("PUT", "/v1/models/m"),
        ("HEAD", "/v1/models/m"),
        ("DELETE", "/v1/models/m:predict"),
    ],
)
def test_everything_else_is_malformed_and_about_no_model(method: str, path: str) -> None:
    assert find_route(method, path) == Route()


def test_a_model_may_be_called_metadata_and_need_not_be_named_where_a_version_is() -> None:
    assert find_route("GET", "/v1/models/metadata") == Route(found=True, model="metadata")
    assert find_route("GET", "/v1/models") == Route(found=True)
    assert find_route("GET", "/v1/models/versions/5") == Route(found=True, version="5")


def test_paths_are_matched_whatever_their_case_but_a_verb_counts_in_lower_case_only() -> None:
    """...and metadata in upper case is a question for the status: upstream compares it exactly."""
    assert find_route("GET", "/V1/MODELS/M/Versions/3") == Route(found=True, model="M", version="3")
    assert find_route("POST", "/v1/Models/m:Predict") == Route(found=False, model="m", verb="Predict")
    assert find_route("GET", "/v1/models/m/METADATA") == Route(found=True, model="m", topic="METADATA")


def test_a_query_is_part_of_the_name() -> None:
    assert find_route("GET", "/v1/models/m?x=1").model == "m?x=1"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/", "/v1/whatever?x", "/V1/x"])
def test_the_api_answers_below_v1(path: str) -> None:
    assert is_api(path)


@pytest.mark.parametrize("path", ["/", "", "/v1", "/v1?x", "/v2/models", "/statuspage", "/api/v1/models", "*"])
def test_nobody_answers_elsewhere(path: str) -> None:
    assert not is_api(path)


def test_a_spec_names_the_version_or_the_label_or_neither() -> None:
    version, label, neither = (
        Route(model="m", version="007").spec(),
        Route(model="m", label="stable").spec(),
        Route(model="m").spec(),
    )

    assert (version.name, version.version.value) == ("m", 7)
    assert (label.name, label.version_label) == ("m", "stable")
    assert neither.WhichOneof("version_choice") is None


def test_the_largest_version_is_the_largest_int64() -> None:
    assert Route(model="m", version="000" + str(2**63 - 1)).spec().version.value == 2**63 - 1


@pytest.mark.parametrize("version", [str(2**63), str(2**64 - 1), "9" * 5000])
def test_a_version_beyond_int64_is_refused(version: str) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        Route(model="m", version=version).spec()

    assert refusal.value.message == f"Failed to convert version: {version} to numeric."


@pytest.mark.parametrize("target", ["/v1/models/m", "/v1/models/%41?a=b&c=/?", "/a;b,c@d:e!$&'()*+=-._~", "/"])
def test_targets_hold_what_uris_may(target: str) -> None:
    assert is_target(target)


@pytest.mark.parametrize("target", ["/v1/models/%zz", "/v1/models/%4", "/a[b]", '/a"b', "/a b", "/ä", "/a\n", "/a<b>"])
def test_other_characters_make_no_target(target: str) -> None:
    assert not is_target(target)
