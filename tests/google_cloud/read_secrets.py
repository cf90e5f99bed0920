"""Reads connections and a setting as Airflow's own processes do; answers with what it got, secrets as their SHA-256."""

import hashlib
import logging
import sys
from typing import Any

from airflow.configuration import conf, ensure_secrets_loaded
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import configure_logging

from tests.google_cloud.running import answer

# As the process of a task does.
configure_logging(log_level="DEBUG")


def digest(text: str | None) -> str:
    return hashlib.sha256((text or "").encode()).hexdigest()


found: dict[str, Any] = {}
for name in sys.argv[1:]:
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        found[name] = None
        continue
    found[name] = {"type": connection.conn_type, "login": connection.login, "password": digest(connection.password)}
    logging.getLogger("a hook").info("connecting with %s", connection)
answer(
    {
        "connections": found,
        "backends": [type(each).__name__ for each in ensure_secrets_loaded()],
        "database": digest(conf.get("database", "sql_alchemy_conn")),
        "has_secret_key": bool(conf.get("api", "secret_key")),
    }
)
