#!/bin/sh
# Start tensorflow_model_server with the flags that the variables of README.md, beside this file, stand for. Arguments
# follow as they are; of a flag that is given twice, the server takes the last one.
#
# A wrong variable ends this with 64 before the server starts. tensorflow_model_server itself only warns of a flag that
# it does not know, and waits for ever for a model that it does not find.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

refuse() {
  printf 'entrypoint.sh: %s\n' "$1" >&2
  exit 64
}

# A number of at most nine digits, which every shell can compare.
is_number() {
  case $1 in '' | *[!0-9]* | ??????????*) return 1 ;; esac
}

check_port() {
  if ! is_number "$2" || [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then
    refuse "$1='$2' is not a port. Set it to a number from 1 to 65535"
  fi
}

check_file() {
  [ -f "$2" ] || refuse "$1='$2' does not exist. $3"
  [ -r "$2" ] || refuse "$1='$2' cannot be read by the user $(id -u) of the groups $(id -G). Change its mode"
}

# The file that a variable stands for: this image's own for `true`, none for `false` or nothing, otherwise its value.
file_for() {
  case $1 in
    true) printf '%s' "$2" ;;
    false) ;;
    *) printf '%s' "$1" ;;
  esac
}

grpc_port=${PORT:-8500}
rest_port=${REST_PORT-8501}
name=${MODEL_NAME:-}
base_path=${MODEL_PATH:-}
config=${MODEL_CONFIG:-}
poll_seconds=${POLL_SECONDS:-1}
batching=$(file_for "${BATCHING:-}" "$here/batching.config")
monitoring=$(file_for "${MONITORING:-true}" "$here/monitoring.config")

check_port PORT "$grpc_port"
case $rest_port in '' | 0) rest_port=0 ;; *) check_port REST_PORT "$rest_port" ;; esac
[ "$grpc_port" -ne "$rest_port" ] || refuse "PORT and REST_PORT are both $grpc_port. Set REST_PORT to another port"
if ! is_number "$poll_seconds" || [ "$poll_seconds" -lt 1 ]; then
  refuse "POLL_SECONDS='$poll_seconds' is not a number of seconds from 1 on. Without polls the server follows no release"
fi
[ -n "$config$base_path" ] ||
  refuse "neither MODEL_CONFIG nor MODEL_PATH is set, so there is nothing to serve. Set one: \`understudy fleet show\` prints it"
[ -z "$config" ] || [ -z "$base_path" ] ||
  refuse "MODEL_CONFIG='$config' and MODEL_PATH='$base_path' are both set. Set one, the one of the fleet's roll-out"

if [ -n "$config" ]; then
  case $config in
    *://*) ;;
    *) check_file MODEL_CONFIG "$config" "Run \`understudy init\`, which writes it, or mount the bucket's folder there" ;;
  esac
  set -- --model_config_file="$config" --model_config_file_poll_wait_seconds="$poll_seconds" \
    --file_system_poll_wait_seconds="$poll_seconds" --allow_version_labels_for_unavailable_models=true \
    --load_retry_interval_micros=1000000 "$@"
else
  [ -n "$name" ] || refuse "MODEL_PATH='$base_path' needs MODEL_NAME, the name that clients ask for"
  case $base_path in
    /* | *://*) ;;
    *) refuse "MODEL_PATH='$base_path' is neither an absolute path nor a URI. Write it as /folder or gs://bucket/prefix" ;;
  esac
  set -- --model_name="$name" --model_base_path="$base_path" --file_system_poll_wait_seconds="$poll_seconds" \
    --load_retry_interval_micros=1000000 --max_num_load_retries=30 "$@"
fi

if [ -n "$batching" ]; then
  check_file BATCHING "$batching" "Set it to true, or to the path of a file of BatchingParameters"
  set -- --enable_batching=true --batching_parameters_file="$batching" "$@"
fi
# Metrics are read from the REST port.
if [ -n "$monitoring" ] && [ "$rest_port" -ne 0 ]; then
  check_file MONITORING "$monitoring" "Set it to true, to false, or to the path of a file of MonitoringConfig"
  set -- --monitoring_config_file="$monitoring" "$@"
fi

# Without a thread of its own, a load or an unload that hangs blocks all other versions.
set -- --port="$grpc_port" --rest_api_port="$rest_port" --num_load_threads=1 --num_unload_threads=1 \
  --enable_grpc_healthcheck_service=true "$@"

[ $$ -eq 1 ] || exec tensorflow_model_server "$@"

# The first process of a container gets only the signals that it handles, and tensorflow_model_server handles none: as
# the first process it would run on until it is killed, ten seconds after `docker stop`.
tensorflow_model_server "$@" &
server=$!
trap 'kill -TERM "$server" 2>/dev/null' TERM INT
status=0
wait "$server" || status=$?
# A signal ends the first wait before the server has ended.
while kill -0 "$server" 2>/dev/null; do
  status=0
  wait "$server" || status=$?
done
exit "$status"
