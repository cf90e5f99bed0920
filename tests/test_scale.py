"""`docs/scale.md` multiplies. Here the factors are taken from the code, and the products are computed again."""

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.scale import __main__ as bench
from bench.scale.calls import class_of
from bench.scale.fleets import released
from pipeline.journal.entries import NO_VERSION, Change, Event
from pipeline.journal.journal import EVERY, Journal, JournalWriter
from pipeline.settings import Settings
from pipeline.spec import CanaryPolicy, RetentionPolicy
from pipeline.storage import objects
from pipeline.storage.memory import MemoryBucket
from pipeline.verbs.sync import sync
from serving.canary import question
from serving.fleet import kubernetes_api
from serving.model_server.flags import Flags
from serving.questions import Golden, Labelled, Questions
from serving.replica import Answer
from serving.server_flags import ConfigSource
from tests.fleet import LABELS, Classifier, outputs_for
from tests.protocol.clock import VirtualClock
from tests.protocol.world import MODEL, World

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs" / "scale.md").read_text(encoding="utf-8")
# Without the ends of lines.
TEXT = re.sub(r"\s+", " ", PAGE)
DAY = 24 * 60 * 60
# What 1,000 calls of a class cost, in dollars.
PRICE = {"A": 0.005, "B": 0.0004}
RELEASES = 24 * 365 * 5
# In milliseconds: to read a journal entry in gs://, if all are read.
ENTRY_MS = 10
# So many entries a verb reads where there are checkpoints, at least and at most.
FEWEST, MOST = EVERY + 1, 2 * EVERY
# The calls of class B of `announce` in gs://.
ANNOUNCE_READS = 5 + 2 * (FEWEST + MOST) / 2


def dollars(**calls: float) -> float:
    return sum(count * PRICE[name] / 1000 for name, count in calls.items())


def table(heading: str) -> list[list[str]]:
    """The rows of the first table whose first line holds a text, without its head."""
    lines = PAGE[PAGE.index(heading) :].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines[2:] if line.startswith("|")]
    end = next((number for number, line in enumerate(lines[2:]) if not line.startswith("|")), len(rows))
    return rows[:end]


@pytest.fixture(scope="module")
def world() -> World:
    return released(3)


def test_a_release_has_as_many_entries_as_the_page_says(world: World) -> None:
    """...and five years of hourly releases the product."""
    entries = len([each for each in world.history().all() if each.run_key == "retrain-2"])

    assert f"A release has {('no', 'one', 'two', 'three', 'four', 'five')[entries]} entries" in TEXT
    assert {f"{entries}"} == {row[3] for row in table("| replicas | canary: questions")}
    years = table("| one release an hour, for |")[-1]
    assert [f"{RELEASES:,}", f"{RELEASES * entries:,}", f"{2 * RELEASES * entries:,}"] == [years[1], years[2], years[5]]
    assert f"{RELEASES * entries:,} entries |" in TEXT


def test_the_bytes_of_a_release_are_roughly_those_of_the_page(world: World) -> None:
    entries = [each for each in world.history().all() if each.run_key == "retrain-2"]

    assert 3.3 == pytest.approx(sum(len(each.model_dump_json(indent=1)) for each in entries) / 1000, rel=0.2)
    assert "3.3 kB" == table("| replicas | canary: questions")[0][4]


def test_the_servers_look_as_often_as_the_page_says() -> None:
    assert 1 == ConfigSource(uri="any").poll_seconds
    assert 1 == Flags().file_system_poll_wait_seconds
    assert "`--model_config_file_poll_wait_seconds`, 1 s" in TEXT
    assert "`--file_system_poll_wait_seconds`, 1 s" in TEXT


def test_one_look_of_sync_reads_the_config_and_asks_for_that_of_a_first_ring(world: World, tmp_path: Path) -> None:
    """What exists takes two calls, what does not takes one."""
    read = world.bucket.read
    found: list[int] = []

    class Counting:
        """The bucket of the world, which counts the calls that a read takes in gs://."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.bucket, name)

        def read(self, key: str) -> bytes:
            found.append(1)
            content = read(key)
            found[-1] = 2
            return content

    sync(world.bucket, MODEL, tmp_path)
    assert [] == sync(Counting(), MODEL, tmp_path)
    assert f"the server reads its disk | 0 | {sum(found)} |" in TEXT


def test_the_prices_of_the_polls_are_the_products() -> None:
    rows = table("| replicas | class A a day |")

    assert ["3", "50", "1,000"] == [row[0] for row in rows]
    for row in rows:
        looks = int(row[0].replace(",", "")) * DAY
        bills = dollars(A=3 * looks, B=2 * looks), dollars(A=2 * looks), dollars(B=3 * looks)
        counts = [f"{count:,}" for count in (3 * looks, 2 * looks, 5 * looks // DAY)]
        assert [*counts, *(f"{each:,.2f}" for each in bills)] == row[1:]
    assert f"a tenth of the price, ${bills[0] / 10:,.2f} a day for {rows[-1][0]} replicas" in TEXT


def test_the_classes_of_calls_are_google_s() -> None:
    requests = (
        "GET /storage/v1/b/m/o?prefix=a",
        "POST /upload/storage/v1/b/m/o",
        "POST /storage/v1/b/m/o/a/rewriteTo/b",
    )
    assert {"A"} == set(map(class_of, requests))
    assert "B" == class_of("GET /storage/v1/b/m/o/serve%2Fdigits.config?alt=media")
    assert "free" == class_of("DELETE /storage/v1/b/m/o/a")


@dataclass
class CountedReplica:
    """Answers as the classifier of `tests.fleet`, and counts."""

    address: str = "127.0.0.1:8500"
    asked: list[int | None] = field(default_factory=list)

    def predict(self, model: str, inputs: Mapping[str, Any], *, version: int | None) -> Answer:
        self.asked.append(version)
        (images,) = inputs.values()
        outputs = outputs_for([Classifier().answer(image) for image in images.tolist()])
        return Answer(address=self.address, version=version or 0, outputs=outputs)


def test_a_canary_asks_each_replica_as_often_as_the_page_says() -> None:
    policy, replica = CanaryPolicy(), CountedReplica()
    probabilities, label = Classifier().answer(b"0")
    questions = Questions(
        model=MODEL,
        version=2,
        serving=1,
        golden=[Golden(b"0", label.decode(), tuple(probabilities))] * policy.golden,
        fresh=[Labelled(b"0", label.decode())] * policy.fresh,
        labels=LABELS,
        serving_labels=LABELS,
        tolerance=policy.tolerance,
        latency_rounds=policy.latency_rounds,
    )
    report = question(replica, questions)  # type: ignore[arg-type]
    each, threads = len(replica.asked), Settings().canary_threads

    assert "" == report.problem
    assert f"= {each} for each replica" in TEXT
    for row in table("| replicas | canary: questions"):
        count = int(row[0].replace(",", ""))
        seconds = 0.02 * each * math.ceil(count / threads)
        assert [f"{each * count:,}", f"{seconds:.0f} s" if seconds > 10 else f"{seconds:.1f} s"] == row[1:3]


def test_the_limits_that_the_page_names_are_those_of_the_code() -> None:
    policy = RetentionPolicy()
    assert f"replicas / {Settings().canary_threads} threads" in TEXT
    assert f"2 x 30 / {objects.THREADS} threads" in TEXT
    assert f"in pages of {kubernetes_api._PAGE}" in TEXT
    assert f"One look may take {kubernetes_api._TOTAL_SECONDS:.0f} s" in TEXT
    assert f"{policy.days} days x 24" in TEXT
    assert f"{policy.run_days} days x 24" in TEXT


def _names(source: str, function: str) -> Iterator[list[str]]:
    """The names given to each call of a function, in a file of DAGs; Airflow takes seconds to import."""
    for node in ast.walk(ast.parse((PROJECT / "dags" / source).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
            yield [each.id for each in node.args if isinstance(each, ast.Name)]


def test_a_retrain_takes_as_many_pods_as_it_has_steps_without_withdraw() -> None:
    steps = len(max(_names("retrain.py", "chain"), key=len))

    assert f"the tasks of the DAG without `withdraw` | {steps}; one a day: {1000 * steps:,} pods a day" in TEXT
    assert f"| pods | {steps} | {RELEASES * steps:,} |" in TEXT
    assert f"| rows of `task_instance` | {steps + 1} | {RELEASES * (steps + 1):,}," in TEXT


def test_the_cost_of_the_dag_announce_is_the_product() -> None:
    (minutes,) = re.findall(r'cron\("\*/(\d+) ', (PROJECT / "dags" / "announce.py").read_text(encoding="utf-8"))
    runs = DAY // 60 // int(minutes)
    rows = table("| models | tasks a day |")

    assert f"{runs} runs a day" in TEXT
    assert ["10", "100", "1,000"] == [row[0] for row in rows]
    for row in rows:
        count = int(row[0].replace(",", ""))
        calls = {"A": 3 * runs * count, "B": int(runs * count * ANNOUNCE_READS)}
        assert [f"{runs * count:,}", f"{count * 1.05 / (60 * int(minutes)):.1f}"] == row[1:3]
        assert [f"{calls['A']:,}", f"{calls['B']:,}", f"{dollars(**calls):.2f}"] == row[3:6]
        assert f"{runs * count / DAY:.1f} a second" == row[6]


def test_a_verb_reads_as_many_entries_as_the_page_says() -> None:
    """...whatever the length of the journal is, once it has a checkpoint."""
    bucket, clock = MemoryBucket(), VirtualClock()
    found = set()
    for number in range(1, 8 * EVERY + 1):
        writer = JournalWriter(bucket, MODEL, run_key=f"freeze-{number}", actor="ann", clock=clock)
        writer.decide(lambda history: Change(Event.UNFROZEN, NO_VERSION, "as asked", history.state))
        writer.write_checkpoint()
        history = Journal(bucket, MODEL).read()
        if history.past.is_stored:
            found.add(history.seq - history.past.seq + 1)

    assert set(range(FEWEST, MOST + 1)) == found
    assert f"reads {FEWEST} to {MOST} entries, {(FEWEST + MOST) / 2} on average" in TEXT
    assert f"a checkpoint of each {EVERY}th entry, once {EVERY} more follow it, so that is {FEWEST} to {MOST}" in TEXT


def test_the_time_of_a_decision_is_the_sum() -> None:
    least, most = (0.03 * (6 + 2 * entries / objects.THREADS) for entries in (FEWEST, MOST))

    assert f"{FEWEST} to {MOST} x 2 x 30 ms / {objects.THREADS} threads = {least:.2f} to {most:.2f} s" in TEXT
    assert f"{MOST} / 5 x 309 kB = {MOST / 5 * 0.309:.0f} MB" in TEXT


def test_the_time_of_a_read_of_the_whole_journal_is_the_product() -> None:
    for row in table("| one release an hour, for |"):
        releases, entries = (int(each.replace(",", "")) for each in row[1:3])
        seconds = entries * ENTRY_MS / 1000
        assert 5 * releases == entries
        assert (f"{seconds / 60:.1f} min" if seconds > 60 else f"{seconds:.2g} s") == row[3]
        assert [f"{2 * entries:,}", f"{float(f'{3.3 * releases / 1000:.2g}'):g} MB"] == row[5:]
    for row in table("| in `gs://` and without a checkpoint"):
        number, unit = row[1].split()
        entries = int(number) * {"s": 1, "min": 60}[unit] * 1000 // ENTRY_MS
        days = entries / 5 / 24
        assert [f"{entries:,}", f"{days:.0f} days" if days < 1000 else f"{days / 365:.1f} years"] == row[2:]


def test_the_calls_of_a_release_are_the_sum() -> None:
    *verbs, checkpoint = table("| verb | class A | class B |")
    share, entries = 5 / EVERY, 2 * (FEWEST + MOST) / 2
    puts = sum(int(row[1]) for row in verbs) + share * int(checkpoint[1])
    reads = sum(int(row[2].split()[0]) + entries for row in verbs) + share * int(checkpoint[2])
    bill = dollars(A=puts, B=reads)

    assert f"{puts:.0f} of class A and {reads:.0f} of class B for a release: ${bill:.4f}" in TEXT
    assert f"${bill * RELEASES:.0f} in five years of hourly releases" in TEXT
    announced = dollars(A=3, B=ANNOUNCE_READS) * 720 * 365 * 5
    assert f"is ${announced:.0f} for a model in five years" in TEXT


def test_the_cache_and_the_price_of_images_are_the_products() -> None:
    kept, rows = 224 * 224 * 3, table("| images | first `snapshot`:")

    assert f"= {round(kept / 1000)} kB" in TEXT
    assert 5 == len(rows)
    for power, row in enumerate(rows, 4):
        count = 10**power
        assert f"10<sup>{power}</sup>" == row[0]
        assert _bytes(0.75 * count * kept) == row[5]
        assert [dollars(A=count), dollars(B=2 * count)] == pytest.approx(
            [float(each.strip(" $")) for each in row[6].split(",")], rel=0.3
        )


def test_so_many_images_as_the_first_table_says_are_read_within_the_limit_of_snapshot() -> None:
    """The first `snapshot` of an image takes CPU, and in gs:// it waits for two calls too."""
    (minutes,) = re.findall(
        r'"execution_timeout": timedelta\(minutes=(\d+)\)', (PROJECT / "dags" / "steps.py").read_text(encoding="utf-8")
    )
    (cpu,) = re.findall(r"the first `snapshot` that sees it \| ([\d.]+) ms", PAGE)
    calls = 2 * 30 / objects.THREADS
    in_bucket, on_disk = ((float(cpu) + calls) / 1000, float(cpu) / 1000)
    (row,) = (each for each in table("| what grows |") if each[0] == "[images, any size](#images)")

    assert f"{objects.THREADS} at once: 2 x 30 ms / {objects.THREADS} = {calls} ms more" in TEXT
    assert f"takes {round(10**6 * in_bucket / 60)} minutes in `gs://`, and its limit is {minutes}," in TEXT
    assert f"on a disk it takes {round(10**6 * on_disk / 60)} minutes" in TEXT
    fits = int(int(minutes) * 60 / in_bucket / 1e5) * 100_000
    assert f"{fits:,} in `gs://`, 10<sup>6</sup> on a disk" == row[1]
    assert f"which is enough for {fits:,}" in TEXT
    assert 10**6 * on_disk < int(minutes) * 60


def test_the_times_of_later_snapshots_and_the_sizes_of_manifests_are_the_products() -> None:
    (unchanged,) = re.findall(r"that finds nothing new \| ([\d.]+) ms", PAGE)
    (row,) = re.findall(r"the manifest of a run \| \| (\d+) bytes", PAGE)
    units = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "MB": 1e6, "kB": 1e3, "GB": 1e9}

    def value(text: str) -> float:
        number, unit = text.split()
        return float(number) * units[unit]

    for power, cells in enumerate(table("| images | first `snapshot`:"), 4):
        count = 10**power
        on_disk, in_bucket = map(value, cells[2].split(", "))
        assert [count * float(unchanged) / 1e3, count * int(row)] == pytest.approx([on_disk, value(cells[3])], rel=0.1)
        assert count * (float(unchanged) / 1e3 + 0.03 / 1000) == pytest.approx(in_bucket, rel=0.1)
    assert f"at 10<sup>6</sup> images {720 * int(row) / 1000:.0f} to {890 * int(row) / 1000:.0f} GB" in TEXT


def _bytes(size: float) -> str:
    return f"{size / 1e12:.0f} TB" if size > 1e12 else f"{float(f'{size / 1e9:.2g}'):g} GB"


def test_every_part_of_the_bench_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`--only (\w+)`", PAGE))
    benches = set(re.findall(r"python -m bench\.(\w+)", PAGE))

    assert set(bench.PARTS) == named
    assert set() == {each for each in benches if not list((PROJECT / "bench").glob(f"{each}*"))}
