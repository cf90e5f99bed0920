{{- /* The bucket that all steps use: that of the fleets. The result is JSON: root, s3, existingClaim. */}}
{{- define "understudy.stepBucket" -}}
{{- $root := . -}}
{{- $found := dict -}}
{{- range $model, $_ := .Values.fleets -}}
{{- $fleet := include "understudy.fleet" (dict "root" $root "model" $model) | fromJson -}}
{{- if $fleet.follows -}}
{{- $bucket := dict "model" $model "root" $fleet.root "s3" $fleet.s3 "existingClaim" ($fleet.existingClaim | default "") -}}
{{- if and $found (ne (omit $found "model" | toJson) (omit $bucket "model" | toJson)) -}}
{{- fail (printf "stepPods.enabled: fleets.%s and fleets.%s have different buckets, and all steps of one Airflow use the same. Install the chart once for each bucket, each with an Airflow of its own" $found.model $model) -}}
{{- end -}}
{{- $found = $bucket -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end }}

{{- /* Variables for the bucket. Airflow gives UNDERSTUDY_ROOT and the other settings to the pod itself. */}}
{{- define "understudy.stepEnvironment" -}}
{{- with dig "s3" "endpoint" "" . }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- if hasPrefix "s3://" (.root | default "") }}
{{- with .s3.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
The lists of a step or of a verb, behind what the bucket needs. Arguments: fields (of a step), bucket, all (whether a list
that the fields do not have is there for the bucket alone).
*/}}
{{- define "understudy.stepLists" -}}
{{- $claim := .bucket.existingClaim | default "" -}}
{{- $environment := include "understudy.stepEnvironment" .bucket | fromYamlArray -}}
{{- $secrets := list -}}
{{- with dig "s3" "secretName" "" .bucket -}}
{{- $secrets = list (dict "secretRef" (dict "name" .)) -}}
{{- end -}}
{{- $volumes := list -}}
{{- $mounts := list -}}
{{- if $claim -}}
{{- $volumes = list (dict "name" "bucket" "persistentVolumeClaim" (dict "claimName" $claim)) -}}
{{- $mounts = list (dict "name" "bucket" "mountPath" .bucket.root) -}}
{{- end -}}
{{- $first := dict "env" $environment "envFrom" $secrets "volumes" $volumes "volumeMounts" $mounts -}}
{{- $lists := dict -}}
{{- range $name, $part := $first -}}
{{- if or $.all (hasKey $.fields $name) -}}
{{- $_ := set $lists $name (concat $part (index $.fields $name | default list)) -}}
{{- end -}}
{{- end -}}
{{- $lists | toJson -}}
{{- end }}

{{- /* pods.yaml: how Airflow makes the pod of a step. Its fields are those of dags/tasks/pod_settings.py. */}}
{{- define "understudy.podsFile" -}}
{{- $bucket := include "understudy.stepBucket" . | fromJson -}}
{{- $step := .Values.stepPods -}}
{{- $verbs := dict -}}
{{- range $verb, $fields := $step.verbs -}}
{{- $lists := include "understudy.stepLists" (dict "fields" $fields "bucket" $bucket "all" false) | fromJson -}}
{{- $_ := set $verbs $verb (mustMergeOverwrite (deepCopy $fields) $lists) -}}
{{- end -}}
namespace: {{ .Release.Namespace | quote }}
image: {{ include "understudy.pipelineImage" . | quote }}
imagePullPolicy: {{ .Values.pipelineImage.pullPolicy }}
{{- with include "understudy.imagePullSecrets" . }}
{{ . }}
{{- end }}
serviceAccountName: {{ include "understudy.pipelineServiceAccountName" . | quote }}
{{- /* Whoever asks for replicas in `kubernetes://` needs it. Workload Identity asks the metadata server. */}}
automountServiceAccountToken: {{ ternary (eq .Values.discovery "kubernetes") $step.automountServiceAccountToken (eq (toString $step.automountServiceAccountToken) "auto") }}
{{- /* By these labels the policies of this chart know a step. */}}
labels:
  {{- include "understudy.selectorLabels" . | nindent 2 }}
{{- range $name, $list := include "understudy.stepLists" (dict "fields" $step "bucket" $bucket "all" true) | fromJson }}
{{- with $list }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $name := list "resources" "nodeSelector" "tolerations" "annotations" }}
{{- with index $step $name }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if $step.gke.cluster }}
gke:
  {{- toYaml $step.gke | nindent 2 }}
{{- end }}
{{- range $name := list "priorityClassName" "connection" }}
{{- with index $step $name }}
{{ $name }}: {{ . | quote }}
{{- end }}
{{- end }}
startSeconds: {{ int $step.startSeconds }}
retries: {{ int $step.retries }}
{{- with $verbs }}
verbs:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
