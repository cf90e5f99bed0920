#!/bin/sh
# What the Procfile starts in each unit: the entry point of the serving image, on the ports that Tsuru names.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

# Of a process with several ports, Tsuru sets all of them in PORT_<process>, in the order of tsuru.yaml, and no PORT.
process=${TSURU_PROCESSNAME:-web}
ports=$(printenv "PORT_$process") || ports=
case $ports in
  [0-9]*,[0-9]*) ;;
  *)
    echo "start.sh: PORT_$process='$ports' are not two ports. Name REST and gRPC, in this order, in tsuru.yaml" >&2
    exit 64
    ;;
esac
export REST_PORT="${ports%,*}" PORT="${ports#*,}"

# Credentials come as a variable, and both servers read them from a file.
if [ -n "${GCS_CREDENTIALS:-}" ]; then
  file=$(mktemp)
  printf '%s' "$GCS_CREDENTIALS" >"$file"
  export GOOGLE_APPLICATION_CREDENTIALS="$file"
  unset GCS_CREDENTIALS
fi

# On the platform python, the program that stands for tensorflow_model_server is beside this file.
PATH=$here:$PATH
exec "$here/entrypoint.sh" "$@"
