#!/bin/bash
# Whether the server answers here: 0 or 1. The image has no curl, so bash speaks HTTP.
#
#   healthcheck.sh           alive: REST answers at all, also before the first release; without REST, gRPC's port is open
#   healthcheck.sh ready     users can be answered: a version is loaded behind the label `stable`, or, of a MODEL_PATH,
#                            which has no labels, any version
#   healthcheck.sh routable  ready, or the server knows no version at all, as before the first release: for a platform that
#                            gives up a deployment whose servers do not get ready
#
# `ready` and `routable` need REST and MODEL_NAME.
set -u

rest_port=${REST_PORT-8501}
[ -n "$rest_port" ] || rest_port=0

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# The status of an HTTP answer; nothing if there is none within 3 seconds.
http_status() {
  local status=
  {
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
    IFS=' ' read -r -t 3 _ status _ <&3
    printf '%s' "$status"
  } 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$rest_port"
}

alive() {
  if [ "$rest_port" = 0 ]; then
    : 2>/dev/null 3<>"/dev/tcp/127.0.0.1/${PORT:-8500}" || fail "nothing listens on gRPC's port ${PORT:-8500}"
    return
  fi
  [ -n "$(http_status /v1/models/any)" ] || fail "REST does not answer on port $rest_port"
}

# The path of what `ready` asks for; ends this if a variable is missing.
readiness_path() {
  local name=${MODEL_NAME:-} label=/labels/stable
  [ -n "$name" ] || fail "MODEL_NAME is not set. It says whose readiness is asked for"
  [ "$rest_port" != 0 ] || fail "REST is off, so readiness cannot be asked for. Set REST_PORT"
  [ -z "${MODEL_PATH:-}" ] || label=
  path=/v1/models/$name$label/metadata
}

ready() {
  local path status
  readiness_path
  status=$(http_status "$path")
  [ "$status" = 200 ] || fail "$path answers '$status', not 200"
}

routable() {
  local path
  readiness_path
  # 404 of the model itself: the server has seen no version of it.
  [ "$(http_status "/v1/models/$MODEL_NAME")" = 404 ] || ready
}

case ${1:-alive} in
  alive) alive ;;
  ready) ready ;;
  routable) routable ;;
  *) fail "'$1' is none of alive, ready and routable" ;;
esac
