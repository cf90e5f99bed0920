"""Stored data of this version, of a newer one, and damaged data: the three are told apart."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import DamagedError, NewerVersionError, StorageError
from pipeline.journal.entries import Entry, Event
from pipeline.journal.manifests import Manifest
from pipeline.journal.state import State
from pipeline.stored import UNKNOWN_VALUE, stored
from pipeline.version import project_version

KEY = "journal/digits/00000012.json"

ENTRY: dict[str, Any] = {
    "seq": 12,
    "at": "2026-11-29T06:00:00Z",
    "event": "promoted",
    "version": 3,
    "run_key": "retrain-1",
    "actor": "ann",
    "reason": "good",
    "verdict": {"decision": "pass", "reasons": ["good"]},
    "state": {"serving": 3, "next_version": 4, "held_until": "lifted"},
}


class _Addressed(BaseModel):
    """A value that is text for pydantic, and whose validator knows the schemes of this version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str

    @field_validator("address")
    @classmethod
    def _known(cls, address: str) -> str:
        if not address.startswith("static://"):
            raise PydanticCustomError(UNKNOWN_VALUE, "is not an address")
        return address


def read(changed: dict[str, Any]) -> Entry:
    return stored(Entry, json.dumps(ENTRY | changed).encode(), key=KEY, what="a journal entry")


def test_what_this_version_has_written_is_read() -> None:
    assert Event.PROMOTED is read({}).event
    assert "lifted" == read({}).state.held_until


def test_the_sentence_names_the_object_the_field_this_version_and_the_way_out() -> None:
    with pytest.raises(NewerVersionError) as caught:
        read({"ring": 1})

    assert (
        f"{KEY} was written by a newer version of Understudy: it has the field 'ring', which this version "
        f"({project_version()}) does not know. Nothing was decided on it. Use the newer version, for example that of "
        f"the DAGs" == str(caught.value)
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"state": ENTRY["state"] | {"ring": 2}}, "it has the field 'state.ring',"),
        ({"verdict": ENTRY["verdict"] | {"score": 2}}, "it has the field 'verdict.score',"),
        ({"event": "ringed"}, "its 'event' is 'ringed',"),
        ({"verdict": {"decision": "perhaps", "reasons": []}}, "its 'verdict.decision' is 'perhaps',"),
        ({"state": ENTRY["state"] | {"held_until": "sunset"}}, "its 'state.held_until' is 'sunset',"),
        ({"event": "ringed", "ring": 1}, "its 'event' is 'ringed', it has the field 'ring',"),
        ({f"field{n}": n for n in range(5)}, "it has the field 'field2' and 2 more,"),
    ],
)
def test_unknown_fields_and_named_values_are_of_a_newer_version(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(NewerVersionError) as caught:
        read(changed)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"seq": "twelve"},
        {"event": 3},
        {"event": ""},
        {"event": "prom\x00ted"},
        {"state": ENTRY["state"] | {"held_until": 3.5e300}},
        {"state": {"serving": "none"}, "ring": 1},
        {"event": "ringed", "at": "yesterday"},
    ],
)
def test_anything_else_is_damaged_also_beside_an_unknown_field(changed: dict[str, Any]) -> None:
    with pytest.raises(DamagedError, match="is not a journal entry: "):
        read(changed)


def test_a_cut_text_and_a_record_in_anothers_place_are_damaged() -> None:
    with pytest.raises(DamagedError):
        stored(Entry, json.dumps(ENTRY).encode()[:-20], key=KEY, what="a journal entry")
    with pytest.raises(DamagedError):
        stored(Manifest, json.dumps(ENTRY).encode(), key=KEY, what="a manifest")


def test_a_validator_can_say_that_it_does_not_know_a_value() -> None:
    with pytest.raises(NewerVersionError, match="its 'address' is 'nomad://serving',"):
        stored(_Addressed, b'{"address": "nomad://serving"}', key="fleets/digits/1.json", what="a fleet record")


def test_the_caller_may_name_the_error_for_damaged_content() -> None:
    with pytest.raises(StorageError) as caught:
        stored(State, b"{", key=KEY, what="a state", damaged=StorageError)

    assert StorageError is type(caught.value)
