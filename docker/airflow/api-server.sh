#!/bin/bash
# Start Airflow's API server with the passwords of `.env`. SimpleAuthManager reads them from a file, which it opens for
# writing. The file is in the container only, so a changed password counts after `docker compose up --detach`.
set -eu

umask 077
python - <<'PYTHON'
import json, os

names = {"admin": "ADMIN_PASSWORD", "oncall": "ONCALL_PASSWORD"}
with open(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"], "w", encoding="utf-8") as file:
    json.dump({user: os.environ[name] for user, name in names.items()}, file)
PYTHON

exec airflow api-server
