{{- /*
A fleet with its defaults, and what follows from them, as JSON. Arguments: root, model.

source:      how models reach the servers: bucket, sync, volume or image
serverRoot:  where the servers find the bucket
follows:     whether the fleet follows releases
groups:      each with the values of the fleet that it does not set itself
*/}}
{{- define "understudy.fleet" -}}
{{- $fleet := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values.fleets .model)) -}}
{{- $root := $fleet.root | default "" | trimSuffix "/" -}}
{{- $source := $fleet.source -}}
{{- if eq $source "auto" -}}
{{- $source = ternary "sync" (ternary "bucket" "volume" (hasPrefix "gs://" $root)) (hasPrefix "s3://" $root) -}}
{{- if not $root }}{{ $source = "image" }}{{ end -}}
{{- end -}}
{{- $groups := dict -}}
{{- range $name, $group := $fleet.groups -}}
{{- $inherited := pick $fleet "cpu" "baseMemoryMi" "modelMemoryMi" "gpus" "nodeSelector" "tolerations" "maxSurge" "flags" -}}
{{- $merged := mergeOverwrite (deepCopy $inherited) (deepCopy ($group | default dict)) -}}
{{- $fixed := $merged.replicas | default 1 | int -}}
{{- if $merged.autoscaling }}{{ $fixed = $merged.autoscaling.minReplicas | default 2 | int }}{{ end -}}
{{- $_ := set $merged "minimum" ($merged.minimum | default $fixed) -}}
{{- $_ := set $groups $name $merged -}}
{{- end -}}
{{- $ring := "" -}}
{{- range $name, $group := $groups }}{{ if $group.firstRing }}{{ $ring = $name }}{{ end }}{{ end -}}
{{- $_ := set $fleet "root" $root -}}
{{- $_ := set $fleet "source" $source -}}
{{- $_ := set $fleet "serverRoot" (ternary "/srv/understudy" $root (eq $source "sync")) -}}
{{- $_ := set $fleet "follows" (ne $source "image") -}}
{{- $_ := set $fleet "labelled" (and (ne $source "image") (eq $fleet.rollout "pinned")) -}}
{{- $_ := set $fleet "ring" $ring -}}
{{- $_ := set $fleet "groups" $groups -}}
{{ $fleet | toJson }}
{{- end }}

{{- /*
What the servers of a group poll: a config in the roll-out `pinned`, a folder of versions in `latest`.
Arguments: fleet, model, firstRing.
*/}}
{{- define "understudy.polled" -}}
{{- $folder := ternary "first_ring" "serve" .firstRing -}}
{{- if not .fleet.follows -}}
{{ .fleet.modelPath }}
{{- else -}}
{{ .fleet.serverRoot }}/{{ $folder }}/{{ .model }}{{ if eq .fleet.rollout "pinned" }}.config{{ end }}
{{- end -}}
{{- end }}

{{- /*
The flags of a model server. Those without which it does not follow releases are those of serving/server_flags.py: a
test compares both. Arguments: root, fleet, model, group (its values), firstRing.
*/}}
{{- define "understudy.serverFlags" -}}
- --port=8500
- --rest_api_port=8501
{{- if .fleet.labelled }}
- {{ printf "--model_config_file=%s" (include "understudy.polled" .) | quote }}
- --model_config_file_poll_wait_seconds={{ .fleet.pollSeconds }}
- --file_system_poll_wait_seconds={{ .fleet.pollSeconds }}
- --allow_version_labels_for_unavailable_models=true
- --load_retry_interval_micros=1000000
{{- else }}
- --model_name={{ .model }}
- {{ printf "--model_base_path=%s" (include "understudy.polled" .) | quote }}
- --file_system_poll_wait_seconds={{ .fleet.pollSeconds }}
- --load_retry_interval_micros=1000000
- --max_num_load_retries=30
{{- end }}
- --num_load_threads=1
- --num_unload_threads=1
- --enable_grpc_healthcheck_service=true
- --monitoring_config_file=/etc/understudy/monitoring.config
{{- /* A client that keeps one connection would stay on a pod that ends, until its requests are cut off. */}}
- --grpc_channel_arguments=grpc.max_connection_age_ms={{ mul .fleet.connectionSeconds 1000 }}
{{- if .fleet.batching }}
- --enable_batching=true
- --batching_parameters_file=/etc/understudy/batching.config
{{- end }}
{{- range $name, $value := .group.flags }}
- {{ printf "--%s=%s" $name (include "understudy.number" $value) | quote }}
{{- end }}
{{- end }}

{{- /* Where the pipeline finds the replicas of a group, by the value `discovery`. Arguments: root, model, group. */}}
{{- define "understudy.replicas" -}}
{{- if eq .root.Values.discovery "kubernetes" -}}
kubernetes://{{ .root.Release.Namespace }}/{{ include "understudy.groupName" . }}:8500
{{- else -}}
dns://{{ include "understudy.groupName" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}.:8500
{{- end -}}
{{- end }}

{{- /* The options that `understudy init` and `understudy fleet set` have in common. Arguments: root, fleet, model. */}}
{{- define "understudy.fleetOptions" -}}
{{- $root := .root -}}
{{- $model := .model -}}
- --model
- {{ .model | quote }}
{{- range $name := keys .fleet.groups | sortAlpha }}
- --replicas
- {{ $name }}={{ include "understudy.replicas" (dict "root" $root "model" $model "group" $name) }}
- --minimum
- {{ $name }}={{ (index $.fleet.groups $name).minimum }}
{{- end }}
- --first-ring
- {{ .fleet.ring | default "none" | quote }}
- --rollout
- {{ .fleet.rollout }}
{{- if eq .fleet.source "sync" }}
- --server-root
- {{ .fleet.serverRoot }}
{{- end }}
- --config-poll-seconds
- {{ ternary (add .fleet.pollSeconds .fleet.syncSeconds) .fleet.pollSeconds (eq .fleet.source "sync") | quote }}
- --load-seconds
- {{ .fleet.loadSeconds | quote }}
- --follow-seconds
- {{ .fleet.followSeconds | quote }}
- --soak-seconds
- {{ .fleet.soakSeconds | quote }}
- --silent-seconds
- {{ .fleet.silentSeconds | quote }}
- --abandoned-seconds
- {{ .fleet.abandonedSeconds | quote }}
- --server-tensorflow
- {{ include "understudy.serverTensorflow" . | quote }}
- --mlflow-url
- {{ .fleet.mlflowUrl | quote }}
{{- end }}

{{- /* The TensorFlow of the servers: that of their image. */}}
{{- define "understudy.serverTensorflow" -}}
{{ .fleet.serverTensorflow | default (regexFind "^[0-9]+\\.[0-9]+" .root.Values.image.tag) }}
{{- end }}

{{- /* The variables of a command of Understudy. Arguments: root, fleet. */}}
{{- define "understudy.pipelineEnvironment" -}}
- name: UNDERSTUDY_ROOT
  value: {{ .fleet.root | quote }}
- name: UNDERSTUDY_ACTOR
  value: {{ printf "helm release %s" .root.Release.Name | quote }}
{{- with .fleet.s3.endpoint }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- with .fleet.s3.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "understudy.s3Secret" -}}
{{- with .fleet.s3.secretName -}}
envFrom:
  - secretRef:
      name: {{ . | quote }}
{{- end }}
{{- end }}
