#!/bin/bash
# What must exist before the platform starts: Airflow's tables, the pool of the retrains, and the fleet of each model.
# docker-compose.yaml runs it at each `up`. It changes nothing that people have changed since.
set -eu

airflow db migrate

# An existing pool stays: people may have changed its size.
if ! airflow pools get retrain >/dev/null 2>&1; then
  airflow pools set retrain "$RETRAIN_SLOTS" "The other workers stay free for roll-backs."
fi

exec sh "$(dirname "$0")/init-fleets.sh"
