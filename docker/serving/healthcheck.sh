#!/bin/bash
# Whether the server answers here: 0 or 1. The image has no curl, so bash speaks HTTP.
#
#   healthcheck.sh        alive: REST answers at all, also before the first release; without REST, gRPC's port is open
#   healthcheck.sh ready  users can be answered: a version is loaded behind the label `stable`, or, of a MODEL_PATH,
#                         which has no labels, any version. Needs REST and MODEL_NAME
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

ready() {
  local name=${MODEL_NAME:-} label=/labels/stable status
  [ -n "$name" ] || fail "'ready' needs MODEL_NAME"
  [ "$rest_port" != 0 ] || fail "'ready' needs REST: set REST_PORT"
  [ -z "${MODEL_PATH:-}" ] || label=
  status=$(http_status "/v1/models/$name$label/metadata")
  [ "$status" = 200 ] || fail "/v1/models/$name$label/metadata answers '$status', not 200"
}

case ${1:-alive} in
  alive) alive ;;
  ready) ready ;;
  *) fail "'$1' is neither alive nor ready" ;;
esac
