"""Questions to one replica about one version, and its answers. No verdict is made here."""

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from serving.errors import ConnectionLostError, NotServedError, ServingError, UnreachableError
from serving.questions import Golden, Labelled, Questions, ReplicaReport
from serving.replica import Answer, Replica
from serving.signature import indices_of, inputs_of, labels_of, probabilities_of
from serving.wire import Array


def question(replica: Replica, questions: Questions) -> ReplicaReport:
    """Ask one replica all questions. Never raises `ServingError`; that becomes `ReplicaReport.problem`."""
    timed = _Timed(replica)
    try:
        return _ask(timed, questions)
    except ServingError as error:
        return ReplicaReport(
            address=replica.address,
            version=questions.version,
            problem=error.message,
            unreachable=isinstance(error, UnreachableError),
            lost=isinstance(error, ConnectionLostError),
            not_served=isinstance(error, NotServedError),
            silent_seconds=time.perf_counter() - timed.asked_at,
        )


class _Timed:
    """A replica, and when the last request was sent to it."""

    def __init__(self, replica: Replica) -> None:
        self.address = replica.address
        self.asked_at = time.perf_counter()
        self._replica = replica

    def predict(self, model: str, inputs: Mapping[str, Array], *, version: int | None) -> Answer:
        self.asked_at = time.perf_counter()
        return self._replica.predict(model, inputs, version=version)


def _ask(replica: _Timed, questions: Questions) -> ReplicaReport:
    model, version, serving = questions.model, questions.version, questions.serving
    golden = [replica.predict(model, inputs_of([each.image]), version=version) for each in questions.golden]
    compared = list(zip(golden, questions.golden, strict=True))
    errors = [_error(answer, each) for answer, each in compared]
    names_right = [labels_of(answer.outputs) == [each.label] for answer, each in compared]
    fresh = [each.image for each in questions.fresh]
    candidate = replica.predict(model, inputs_of(fresh), version=version) if fresh else None
    knows_fresh = bool(fresh) and serving is not None and questions.serving_knows_fresh
    baseline = replica.predict(model, inputs_of(fresh), version=serving) if knows_fresh else None
    answers = [*golden, *([candidate] if candidate else [])]
    known = [baseline] if baseline else []
    latency, latency_serving = _latencies(replica, questions)
    return ReplicaReport(
        address=replica.address,
        version=version,
        answered_by={answer.version for answer in answers},
        label_problems=(
            *(f"v{version} {problem}" for problem in label_problems(answers, questions.labels)),
            *(f"v{serving} {problem}" for problem in label_problems(known, questions.serving_labels)),
        ),
        golden_asked=len(golden),
        golden_wrong=sum(
            error > questions.tolerance or not named for error, named in zip(errors, names_right, strict=True)
        ),
        golden_error=max(errors, default=0.0),
        fresh_asked=len(fresh),
        fresh_right=_right(candidate, questions.fresh) if candidate else 0,
        fresh_right_serving=_right(baseline, questions.fresh) if baseline else None,
        latency_ms=latency,
        latency_ms_serving=latency_serving,
    )


def label_problems(answers: Sequence[Answer], labels: Sequence[str]) -> list[str]:
    """Where answers disagree with a list of labels in the order of their indices; each difference once."""
    widths = {probabilities_of(answer.outputs).shape[-1] for answer in answers} - {len(labels)}
    found = [f"answers {width} probabilities for {len(labels)} labels" for width in sorted(widths)]
    pairs = {
        pair for answer in answers for pair in zip(indices_of(answer.outputs), labels_of(answer.outputs), strict=True)
    }
    return found + index_problems(pairs, labels)


def index_problems(answers: Iterable[tuple[int, str]], labels: Sequence[str]) -> list[str]:
    """Where answers, as class index and label, disagree with a list of labels; each difference once."""
    approved = dict(enumerate(labels))
    return [
        f"answers {label!r} at index {index}, where {repr(approved[index]) if index in approved else 'no label'} was "
        f"approved"
        for index, label in sorted(set(answers))
        if approved.get(index) != label
    ]


def _error(answer: Answer, golden: Golden) -> float:
    """The largest difference of a probability; infinite if the shape differs or a value is not finite."""
    given = probabilities_of(answer.outputs)[0]
    expected = np.asarray(golden.probabilities)
    if given.shape != expected.shape or not np.isfinite(given).all():
        return float("inf")
    return float(np.abs(given - expected).max())


def _right(answer: Answer, fresh: Sequence[Labelled]) -> int:
    return sum(given == each.label for given, each in zip(labels_of(answer.outputs), fresh, strict=True))


def _latencies(replica: _Timed, questions: Questions) -> tuple[float, float | None]:
    """Medians in ms for the version and for the serving one, asked alternately under the same conditions."""
    versions = [questions.version] if questions.serving is None else [questions.version, questions.serving]
    images = [each.image for each in questions.golden] + [each.image for each in questions.fresh]
    taken: dict[int, list[float]] = {version: [] for version in versions}
    for round_number in range(questions.latency_rounds if images else 0):
        inputs = inputs_of([images[round_number % len(images)]])
        for version in versions:
            start = time.perf_counter()
            replica.predict(questions.model, inputs, version=version)
            taken[version].append((time.perf_counter() - start) * 1000)
    medians = [statistics.median(times) if times else 0.0 for times in taken.values()]
    return medians[0], medians[1] if len(medians) > 1 else None
