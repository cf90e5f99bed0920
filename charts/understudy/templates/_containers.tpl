{{- /* The model server. Arguments: root, fleet, model, group (its values), firstRing. */}}
{{- define "understudy.serverContainer" -}}
image: {{ include "understudy.serverImage" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- /* The image's own script waits for a model of its own, and takes variables that nothing here sets. */}}
command: [tensorflow_model_server]
args:
  {{- include "understudy.serverFlags" . | nindent 2 }}
ports:
  - name: grpc
    containerPort: 8500
  - name: rest
    containerPort: 8501
{{- /*
A first start may take long: the ports are closed until one version of the model is loaded. In the roll-out `latest`,
before the first release, that is for ever: the server is started again now and then, and waits on.
*/}}
startupProbe:
  grpc: {port: 8500}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ div (int .fleet.startupSeconds) 2 }}
{{- /*
Whether gRPC's own health service answers. It does so from a thread of its own, also while versions are loaded and while
all threads for requests are busy, and whatever the models do: a server that loads or is overloaded is not killed.
*/}}
livenessProbe:
  grpc: {port: 8500}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- /* Whether users can be answered: the version behind the label is loaded. Before the first release no pod is ready. */}}
readinessProbe:
  httpGet:
    path: {{ include "understudy.readyPath" . }}
    port: rest
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 3
{{- /*
No new connections come once all nodes know that the pod ends, and meanwhile the open ones reach their age. As the first
process of its container, TensorFlow Serving ignores SIGTERM: it answers until the grace period is over.
*/}}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30.0-0" .root.Capabilities.KubeVersion.Version }}
    sleep:
      seconds: {{ int .fleet.drainSeconds }}
    {{- else }}
    exec:
      command: [sleep, {{ int .fleet.drainSeconds | quote }}]
    {{- end }}
env:
  # Without INFO, of which each look at the config writes two lines.
  - name: TF_CPP_MIN_LOG_LEVEL
    value: "1"
resources:
  {{- include "understudy.serverResources" . | nindent 2 }}
securityContext:
  {{- include "understudy.securityContext" .root | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/understudy
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- if or (eq .fleet.source "sync") (eq .fleet.source "volume") }}
  - name: bucket
    mountPath: {{ .fleet.serverRoot | quote }}
    readOnly: true
  {{- end }}
{{- end }}

{{- /* What answers with 200 once users can be answered. Arguments: fleet, model. */}}
{{- define "understudy.readyPath" -}}
/v1/models/{{ .model }}{{ if .fleet.labelled }}/labels/stable{{ end }}/metadata
{{- end }}

{{- define "understudy.serverImage" -}}
{{- if .fleet.bakedImage -}}
{{ .fleet.bakedImage }}
{{- else -}}
{{ .root.Values.image.repository }}:{{ ternary .root.Values.image.gpuTag .root.Values.image.tag (gt (int .group.gpus) 0) }}
{{- end -}}
{{- end }}

{{- /* Two versions are in memory: the serving one, and the candidate or the previous one. */}}
{{- define "understudy.serverResources" -}}
{{- $memory := printf "%dMi" (add (int .group.baseMemoryMi) (mul 2 (int .group.modelMemoryMi))) -}}
requests:
  cpu: {{ .group.cpu | quote }}
  memory: {{ $memory }}
limits:
  memory: {{ $memory }}
  {{- if gt (int .group.gpus) 0 }}
  nvidia.com/gpu: {{ int .group.gpus }}
  {{- end }}
{{- end }}

{{- /* What copies a bucket to a folder that the server reads. Arguments: as above. */}}
{{- define "understudy.syncContainer" -}}
image: {{ include "understudy.pipelineImage" .root | quote }}
imagePullPolicy: {{ .root.Values.pipelineImage.pullPolicy }}
restartPolicy: Always
args: [understudy, sync, --model, {{ .model | quote }}, --every, {{ .fleet.syncSeconds | quote }}]
startupProbe:
  exec:
    command: [test, -f, {{ .fleet.serverRoot }}/{{ ternary "first_ring" "serve" .firstRing }}/{{ .model }}.config]
  periodSeconds: 2
  failureThreshold: {{ div (int .fleet.startupSeconds) 2 }}
{{- with include "understudy.s3Secret" . }}
{{ . }}
{{- end }}
env:
  {{- include "understudy.pipelineEnvironment" . | nindent 2 }}
resources:
  # Of the disk: what both folders may have.
  requests: {cpu: 50m, memory: 256Mi, ephemeral-storage: {{ include "understudy.twice" .fleet.syncSizeLimit | quote }}}
  limits: {memory: 512Mi}
securityContext:
  {{- include "understudy.securityContext" .root | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: bucket
    mountPath: {{ .fleet.serverRoot | quote }}
{{- end }}

{{- /* The files that a server reads once. Arguments: fleet. */}}
{{- define "understudy.servingConfig" -}}
monitoring.config: |
  prometheus_config {
    enable: true
    path: "/monitoring/prometheus/metrics"
  }
{{- if .fleet.batching }}
batching.config: |
  {{- .fleet.batchingParameters | nindent 2 }}
{{- end }}
{{- end }}
