{{- /* The name of the chart. */}}
{{- define "understudy.name" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- /* What all names begin with: the release, and the chart unless the release has its name. */}}
{{- define "understudy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains (include "understudy.name" .) .Release.Name -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Name }}-{{ include "understudy.name" . }}
{{- end -}}
{{- end }}

{{- /* Name and version of the chart, for a label. */}}
{{- define "understudy.chart" -}}
{{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* What a Service, a Deployment or a NetworkPolicy finds its pods by. They never change. */}}
{{- define "understudy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "understudy.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* The labels of every object. */}}
{{- define "understudy.labels" -}}
{{ include "understudy.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: understudy
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "understudy.chart" . }}
{{- end }}

{{- /* A model's name as a part of a DNS name. */}}
{{- define "understudy.dnsName" -}}
{{ . | replace "_" "-" }}
{{- end }}

{{- /* What the names of a fleet's objects begin with. Arguments: root, model. */}}
{{- define "understudy.fleetName" -}}
{{ include "understudy.fullname" .root }}-{{ include "understudy.dnsName" .model }}
{{- end }}

{{- /* The name of a group's Deployment and headless Service. Arguments: root, model, group. */}}
{{- define "understudy.groupName" -}}
{{ include "understudy.fleetName" . }}-{{ .group }}
{{- end }}

{{- /* The service account of the model servers. They read the bucket. */}}
{{- define "understudy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (printf "%s-serving" (include "understudy.fullname" .)) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* The service account of step pods. They write to the bucket. */}}
{{- define "understudy.pipelineServiceAccountName" -}}
{{- if .Values.pipelineServiceAccount.create -}}
{{ .Values.pipelineServiceAccount.name | default (printf "%s-pipeline" (include "understudy.fullname" .)) }}
{{- else -}}
{{ .Values.pipelineServiceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* The service account of the Jobs that write fleet records: a hook, because they run before anything else exists. */}}
{{- define "understudy.initServiceAccountName" -}}
{{- if .Values.pipelineServiceAccount.create -}}
{{ include "understudy.fullname" . }}-init
{{- else -}}
{{ include "understudy.pipelineServiceAccountName" . }}
{{- end -}}
{{- end }}

{{- define "understudy.pipelineImage" -}}
{{ .Values.pipelineImage.repository }}:{{ .Values.pipelineImage.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "understudy.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* The user and the group of all images of Understudy, so that they share volumes. */}}
{{- define "understudy.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 50000
runAsGroup: 0
fsGroup: 0
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "understudy.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* A number as digits: after 999999 Go writes 1e+06. The argument: a number, a text or a boolean. */}}
{{- define "understudy.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{- /* Twice an amount of storage, with its unit. */}}
{{- define "understudy.twice" -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{ include "understudy.number" (mulf 2 $number) }}{{ trimPrefix $number . }}
{{- end }}
