"""Fires events of a model's asset into Airflow's database, and lets Airflow's scheduler create the runs.

Answers with the number of runs after each step.
"""

from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import DagModel, DagRun
from airflow.models.trigger import Trigger
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from sqlalchemy import select

from tests.google_cloud.running import answer

DAG = "retrain_digits"


def runs() -> list[DagRun]:
    with create_session() as session:
        return list(session.scalars(select(DagRun).where(DagRun.dag_id == DAG).order_by(DagRun.id)))


def fire(count: int) -> None:
    """So many events, one after the other, as the triggerer hands them in."""
    for number in range(count):
        with create_session() as session:
            trigger = session.scalars(select(Trigger)).one()
            Trigger.submit_event(trigger.id, TriggerEvent({"message": [{"number": number}]}), session=session)


def schedule() -> int:
    """The number of runs after the scheduler has looked three times."""
    for _ in range(3):
        with create_session() as session, prohibit_commit(session) as guard:
            runner._create_dagruns_for_dags(guard, session)
    return len(runs())


def end_run() -> None:
    with create_session() as session:
        for run in session.scalars(select(DagRun).where(DagRun.dag_id == DAG)):
            run.state = "success"


def store_dags() -> None:
    sync_bag_to_db(bag, bundle.name, None)


manager = DagBundlesManager()
manager.sync_bundles_to_db()
(bundle,) = manager.get_all_dag_bundles()
bundle.initialize()
bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
store_dags()
with create_session() as session:
    paused = len(session.scalars(select(Trigger)).all())
    for model in session.scalars(select(DagModel)):
        model.is_paused = model.dag_id != DAG
    job = Job()
    session.add(job)
# As the DAG processor does some seconds later.
store_dags()
runner: Any = SchedulerJobRunner(job)
counts = [schedule()]
fire(10)
counts.append(schedule())
fire(5)  # while that run is active
counts.append(schedule())
end_run()
counts.append(schedule())
with create_session() as session:
    newest = session.scalars(select(DagRun).where(DagRun.dag_id == DAG).order_by(DagRun.id.desc())).first()
    kind = str(newest.run_type)
answer({"triggers_while_paused": paused, "counts": counts, "type": kind})
