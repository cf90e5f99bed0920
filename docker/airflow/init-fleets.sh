#!/bin/sh
# Record the fleet of each model in the bucket, and write the configs that its servers read before the first release.
#
#   FLEETS               MODEL=HOST:PORT,HOST:PORT,... for each model, divided by spaces; the first server of a model is
#                        its first ring
#   SERVER_ROOT          where servers find the bucket, if that is another place than UNDERSTUDY_ROOT
#   CONFIG_POLL_SECONDS  how often servers look for what to serve
#   MLFLOW_URL           MLflow, as the verbs reach it
#
# A recorded fleet stays as it is: people may have changed it with `understudy fleet set`.
set -eu

record() {
  model=$1 servers=$2
  first=${servers%%,*} others=${servers#*,}
  set -- --model "$model" --rollout pinned --mlflow-url "$MLFLOW_URL" --config-poll-seconds "$CONFIG_POLL_SECONDS"
  if [ "$first" = "$servers" ]; then
    set -- "$@" --replicas "$first"
  else
    set -- "$@" --replicas "first=$first" --replicas "rest=$others" --first-ring first
  fi
  [ -z "$SERVER_ROOT" ] || set -- "$@" --server-root "$SERVER_ROOT"
  understudy init "$@"
}

# The roll-out of the newest fleet record; nothing if there is none.
recorded_rollout() {
  understudy fleet show --model "$1" --json 2>/dev/null | python -c '
import json, sys

text = sys.stdin.read()
shown = json.loads(text) if text else {}
print(shown["fleet"]["rollout"] if shown.get("record") else "")'
}

for fleet in $FLEETS; do
  model=${fleet%%=*}
  rollout=$(recorded_rollout "$model")
  if [ -z "$rollout" ]; then
    record "$model" "${fleet#*=}"
  else
    # Writes the configs if they are missing.
    understudy init --model "$model" --rollout "$rollout"
  fi
done

for file in "$UNDERSTUDY_MODELS"/*.yaml; do
  model=$(basename "$file" .yaml)
  case " $FLEETS " in
    *" $model="*) ;;
    *) echo "$model has a model file and no servers here. docker/compose.md says how to add a second model." ;;
  esac
done
