"""Judge what a snapshot has found, and write the report about it."""

import tempfile
from pathlib import Path

from pipeline import layout
from pipeline.context import RunContext
from pipeline.data.report.data_report import DataReport, write_report
from pipeline.data.snapshot.examined import Examined
from pipeline.inspection.suspected_labels import suspected_labels
from pipeline.spec import DataChecks
from pipeline.storage.sums import folder_digest, sums_of
from pipeline.verdicts.data_checks import judge_data
from pipeline.verdicts.measurements import LabelErrors
from pipeline.verdicts.verdict import Decision, Verdict


def suspects_of(context: RunContext, data: Examined, checks: DataChecks, serving: int | None) -> LabelErrors | None:
    """What the serving version suspects of the images that are new; None if that cannot be found out.

    It was not trained on them, so it does not remember their labels.
    """
    return suspected_labels(context, serving, data.new_images(), most=checks.examined)


def judge(data: Examined, checks: DataChecks, suspects: LabelErrors | None) -> Verdict:
    """The verdict about a snapshot: its figures, and what a classifier lacks."""
    verdict = judge_data(data.found, data.previous, checks, suspects=suspects)
    shortcomings = data.shortcomings()
    if not shortcomings:
        return verdict
    failures = verdict.reasons if verdict.decision is Decision.FAIL else ()
    return Verdict(decision=Decision.FAIL, reasons=(*shortcomings, *failures))


def report_of(data: Examined, verdict: Verdict, suspects: LabelErrors | None) -> DataReport:
    """The report about a snapshot. It reads from `data` while it is written."""
    return DataReport(
        model=data.model,
        made_at=data.at,
        address=data.address,
        digest=data.digest,
        found=data.found,
        previous=data.previous,
        verdict=verdict,
        problems=data.problems(),
        problem_count=data.found.unusable,
        remarks=data.remarks(),
        suspects=suspects,
    )


def store_report(context: RunContext, report: DataReport) -> str:
    """Write the report, and store it with the run; its folder in the bucket.

    The folder is named by what is in it: a repeated task may find the same data, and fewer files that cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_report(Path(folder), report)
        key = layout.data_report(context.model, context.run_key, folder_digest(sums_of(Path(folder))))
        context.bucket.upload(Path(folder), key)
    return key
