"""Makes Airflow's database."""

from airflow.utils.db import initdb

from tests.google_cloud.running import answer

initdb()
answer({})
