"""Which fleet a verb works with: the record counts, and the environment may name the replicas of one call."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.context import Ports, make_model_context, make_run_context
from pipeline.errors import BadInputError, DamagedError, StorageError
from pipeline.fleets.fleet_records import FleetRecord, FleetRecords
from pipeline.fleets.fleet_spec import MAIN, FleetSpec, ReplicaGroup, TlsSpec
from pipeline.fleets.known_fleet import KnownFleet, fleet_of_environment, known_fleet
from pipeline.settings import Settings
from pipeline.storage.memory import MemoryBucket

MODEL = "digits"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def spec(**changes: object) -> FleetSpec:
    return FleetSpec.model_validate({"groups": {MAIN: {"replicas": "a:1,b:1"}}} | changes)


def recorded(bucket: MemoryBucket, number: int, fleet: FleetSpec) -> FleetRecord:
    record = FleetRecord(number=number, at=datetime(2026, 12, 1, tzinfo=UTC), actor="ann", reason="why", fleet=fleet)
    assert FleetRecords(bucket, MODEL).create(record)
    return record


def test_without_a_record_the_environment_counts() -> None:
    settings = Settings(root="/nowhere", replicas="c:1,d:1", expected_replicas=3, rollout="latest", load_seconds=7)

    known = known_fleet(settings, MemoryBucket(), MODEL)

    assert known.record is None
    assert ("latest", 7) == (known.fleet.rollout, known.fleet.load_seconds)
    assert {MAIN: ReplicaGroup(replicas="static://c:1,d:1", minimum=3)} == known.fleet.groups


def test_the_highest_record_counts() -> None:
    bucket = MemoryBucket()
    for number in range(1, 12):
        newest = recorded(bucket, number, spec(load_seconds=float(number)))

    known = known_fleet(Settings(root="/nowhere"), bucket, MODEL)

    assert (newest, newest.fleet, ()) == (known.record, known.fleet, known.remarks)


def test_the_environment_names_the_replicas_of_one_call_and_the_verb_says_so() -> None:
    bucket = MemoryBucket()
    recorded(bucket, 1, spec(rollout="latest"))

    known = known_fleet(Settings(root="/nowhere", replicas="127.0.0.1:9"), bucket, MODEL)

    assert ("latest", "static://127.0.0.1:9 (at least 1)") == (known.fleet.rollout, known.fleet.replicas)
    assert (
        "For this call the replicas are static://127.0.0.1:9 (UNDERSTUDY_REPLICAS), instead of static://a:1,b:1 (at "
        "least 2) of fleet record 1",
    ) == known.remarks


def test_any_other_setting_that_differs_is_ignored_by_name() -> None:
    bucket = MemoryBucket()
    recorded(bucket, 1, spec())

    known = known_fleet(Settings(root="/nowhere", rollout="latest", load_seconds=120.0), bucket, MODEL)

    assert "pinned" == known.fleet.rollout
    assert ("UNDERSTUDY_ROLLOUT=latest is ignored: fleet record 1 says pinned",) == known.remarks


def test_settings_of_replicas_and_tls_are_ignored_by_name_too() -> None:
    bucket = MemoryBucket()
    recorded(bucket, 1, spec())

    alone = known_fleet(Settings(root="/nowhere", expected_replicas=3, tls_ca="system"), bucket, MODEL)
    with_replicas = known_fleet(Settings(root="/nowhere", replicas="c:1,d:1", expected_replicas=1), bucket, MODEL)

    assert (
        "UNDERSTUDY_EXPECTED_REPLICAS is ignored: fleet record 1 counts",
        "UNDERSTUDY_TLS_CA is ignored: fleet record 1 counts",
    ) == alone.remarks
    assert "static://c:1,d:1 (at least 1)" == with_replicas.fleet.replicas
    assert not any("is ignored" in remark for remark in with_replicas.remarks)


def test_a_source_whose_size_is_unknown_needs_a_minimum() -> None:
    with pytest.raises(BadInputError, match=r"UNDERSTUDY_REPLICAS: how many .* Set UNDERSTUDY_EXPECTED_REPLICAS"):
        fleet_of_environment(Settings(root="/nowhere", replicas="dns://digits:8500"))
    with pytest.raises(ValueError, match="Give the minimum"):
        spec(groups={MAIN: {"replicas": "dns://digits:8500"}})


@pytest.mark.parametrize(
    ("problem", "groups"),
    [
        ("String should match pattern", {"First Ring": {"replicas": "a:1"}}),
        ("two groups have the same source", {"one": {"replicas": "a:1"}, "two": {"replicas": "static://a:1"}}),
        ("nfs:// is not a known source", {MAIN: {"replicas": "nfs://a"}}),
        ("greater than or equal to 1", {MAIN: {"replicas": "a:1", "minimum": 0}}),
    ],
)
def test_groups_that_cannot_be_used(problem: str, groups: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=problem):
        spec(groups=groups)


def test_a_record_holds_no_secret() -> None:
    with pytest.raises(ValueError, match="has a private key, which must not be recorded"):
        TlsSpec(ca=PEM + "-----BEGIN EC PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match="no certificate in PEM"):
        TlsSpec(ca="a/path.pem")


def test_the_certificate_of_a_client_comes_from_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(b"certificate")
    (tmp_path / "own.key").write_bytes(b"secret")
    settings = Settings(root="/nowhere", tls_certificate=tmp_path / "own.pem", tls_key=tmp_path / "own.key")

    tls = spec(tls={"ca": PEM, "server_name": "digits"}).connect_with(settings).tls

    assert tls is not None
    assert (PEM.encode(), "digits", b"certificate", b"secret") == (tls.ca, tls.server_name, tls.certificate, tls.key)
    assert "secret" not in repr(tls)
    with pytest.raises(BadInputError, match=r"UNDERSTUDY_TLS_KEY: .*missing cannot be read: No such file"):
        spec(tls={}).connect_with(Settings(root="/nowhere", tls_key=tmp_path / "missing"))


def test_a_verb_that_only_looks_goes_on_without_a_record_that_cannot_be_read() -> None:
    bucket = MemoryBucket()
    bucket.create("fleets/digits/1.json", b"{")
    ports = Ports(bucket, SystemClock())

    context = make_model_context(Settings(root="/nowhere"), model=MODEL, ports=ports)

    assert "fleets/digits/1.json is not a fleet record" in context.known.problem
    assert () == context.replicas.addresses()  # the defaults may be the servers of another model


def test_a_verb_that_changes_something_does_not() -> None:
    bucket = MemoryBucket()
    bucket.create("fleets/digits/1.json", b"{")
    settings = Settings(root="/nowhere", replicas="a:1")

    with pytest.raises(DamagedError, match="is not a fleet record"):
        make_run_context(settings, model=MODEL, run_key="rollback-1", ports=Ports(bucket, SystemClock()))


def test_a_record_under_another_number_is_damage() -> None:
    bucket = MemoryBucket()
    record = recorded(bucket, 1, spec())
    bucket.create("fleets/digits/2.json", record.model_dump_json().encode())

    with pytest.raises(StorageError, match=r"fleets/digits/2\.json holds fleet record 1"):
        FleetRecords(bucket, MODEL).newest()


GROUPS = {"first": {"replicas": "a:1"}, "rest": {"replicas": "b:1,c:1"}}


class TestFirstRing:
    def known(self, replicas: str, **changes: object) -> KnownFleet:
        bucket = MemoryBucket()
        recorded(bucket, 1, spec(**({"groups": GROUPS, "first_ring": "first"} | changes)))
        return known_fleet(Settings(root="/nowhere", replicas=replicas), bucket, MODEL)

    def test_a_list_of_the_very_replicas_changes_nothing(self) -> None:
        known = self.known("c:1,a:1,b:1")

        assert known.record is not None
        assert (known.record.fleet, ()) == (known.fleet, known.remarks)

    def test_a_shorter_list_keeps_its_replicas_in_their_ring(self) -> None:
        known = self.known("b:1,a:1")

        assert "first=static://a:1 (at least 1, first ring) and main=static://b:1 (at least 1)" == known.fleet.replicas
        assert any("UNDERSTUDY_REPLICAS" in remark for remark in known.remarks)

    def test_a_first_ring_with_the_usual_name_stays_the_first_ring(self) -> None:
        groups = {MAIN: {"replicas": "a:1"}, "rest": {"replicas": "b:1,c:1"}}
        known = self.known("b:1,a:1", groups=groups, first_ring=MAIN)

        assert "main=static://a:1 (at least 1, first ring) and others=static://b:1 (at least 1)" == known.fleet.replicas

    @pytest.mark.parametrize("replicas", ["b:1,c:1", "a:1", "d:1"])
    def test_a_list_that_hides_one_of_the_two_has_a_first_ring_without_replicas(self, replicas: str) -> None:
        known = self.known(replicas)
        ring = known.fleet.connect_with(Settings(root="/nowhere")).first_ring

        assert ("first", [MAIN]) == (known.fleet.first_ring, [*known.fleet.groups])
        assert ring is not None
        assert () == ring.addresses()

    def test_a_list_hides_a_first_ring_that_is_found_in_another_way(self) -> None:
        groups = {"first": {"replicas": "dns://canary:8500", "minimum": 1}, "rest": {"replicas": "b:1"}}

        assert [MAIN] == [*self.known("a:1,b:1", groups=groups).fleet.groups]

    def test_a_record_from_before_first_rings_has_none(self) -> None:
        bucket = MemoryBucket()
        content = json.loads(recorded(bucket, 1, spec()).model_dump_json())
        for name in ("first_ring", "ring_config", "soak_seconds", "silent_seconds"):
            del content["fleet"][name]
        bucket.create("fleets/digits/2.json", json.dumps(content | {"number": 2}).encode())

        fleet = known_fleet(Settings(root="/nowhere"), bucket, MODEL).fleet

        assert (None, False, 10, 5) == (fleet.first_ring, fleet.ring_config, fleet.soak_seconds, fleet.silent_seconds)
