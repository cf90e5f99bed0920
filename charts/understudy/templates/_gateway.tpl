{{- /* The name of what belongs to the gateway. */}}
{{- define "understudy.gatewayName" -}}
{{ include "understudy.fullname" . }}-gateway
{{- end }}

{{- /* What the gateway's Service and Deployment find its pods by. */}}
{{- define "understudy.gatewaySelector" -}}
{{ include "understudy.selectorLabels" . }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "understudy.gatewayImage" -}}
{{ .Values.classifyGateway.image.repository }}:{{ .Values.classifyGateway.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The Secret with the hashes of the keys. */}}
{{- define "understudy.gatewayKeysName" -}}
{{ .Values.classifyGateway.keys.secretName | default (printf "%s-keys" (include "understudy.gatewayName" .)) }}
{{- end }}

{{- /* The headless Service with the pods of a fleet that can answer. Arguments: root, model. */}}
{{- define "understudy.podsName" -}}
{{ include "understudy.fleetName" . }}-pods
{{- end }}

{{- /* Where the gateway finds the replicas of a fleet, by the value `discovery`. Arguments: root, model. */}}
{{- define "understudy.gatewaySource" -}}
{{- if eq .root.Values.discovery "kubernetes" -}}
kubernetes://{{ .root.Release.Namespace }}/{{ include "understudy.fleetName" . }}:8500
{{- else -}}
dns://{{ include "understudy.podsName" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}.:8500
{{- end -}}
{{- end }}

{{- /* The command. A fleet without labels is asked for its newest version. */}}
{{- define "understudy.gatewayArguments" -}}
{{- $root := . -}}
- python
- -m
- serving.gateway
- --host=0.0.0.0
- --port=8090
- --metrics-host=0.0.0.0
- --metrics-port=8091
- --keys=/etc/understudy/keys/keys
{{- range $model, $_ := .Values.fleets }}
{{- $fleet := include "understudy.fleet" (dict "root" $root "model" $model) | fromJson }}
- {{ printf "--model=%s=%s" $model (include "understudy.gatewaySource" (dict "root" $root "model" $model)) | quote }}
{{- if not $fleet.labelled }}
- {{ printf "--latest=%s" $model | quote }}
{{- end }}
{{- end }}
{{- with .Values.classifyGateway.limits }}
- --body-bytes={{ include "understudy.number" .bodyBytes }}
- --images={{ include "understudy.number" .images }}
- --pixels={{ include "understudy.number" .pixels }}
- --seconds={{ include "understudy.number" .seconds }}
- --connections={{ include "understudy.number" .connections }}
{{- end }}
{{- with .Values.classifyGateway.tls }}
{{- if .secretName }}
- --tls-ca=/etc/understudy/tls/ca.crt
{{- if .clientCertificate }}
- --tls-certificate=/etc/understudy/tls/tls.crt
- --tls-key=/etc/understudy/tls/tls.key
{{- end }}
{{- with .serverName }}
- {{ printf "--tls-server-name=%s" . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Values of the gateway that do not fit together. Arguments: root, names, hosts. */}}
{{- define "understudy.checkGateway" -}}
{{- $gateway := .root.Values.classifyGateway -}}
{{- if $gateway.enabled -}}
{{- if and $gateway.keys.secretName $gateway.keys.hashes -}}
{{- fail (printf "classifyGateway.keys: secretName %q and hashes are both set, and a gateway reads one file of keys. Remove hashes, and add their lines to that Secret" $gateway.keys.secretName) -}}
{{- end -}}
{{- if not (or $gateway.keys.secretName $gateway.keys.hashes) -}}
{{- fail (printf "classifyGateway.keys: neither secretName nor hashes is set, and without keys everybody could ask. Make a key with `docker run --rm %s python -m serving.gateway.security.new_key NAME`, and name a Secret with its line, or set classifyGateway.keys.hashes" (include "understudy.gatewayImage" .root)) -}}
{{- end -}}
{{- if and $gateway.autoscaling.enabled (gt (int $gateway.autoscaling.minReplicas) (int $gateway.autoscaling.maxReplicas)) -}}
{{- fail (printf "classifyGateway.autoscaling: minReplicas %d is more than maxReplicas %d. Raise maxReplicas" (int $gateway.autoscaling.minReplicas) (int $gateway.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- /* After SIGTERM the gateway takes up to 20 s: serving/gateway/http/server.py. */}}
{{- if lt (int $gateway.terminationGracePeriodSeconds) (add (int $gateway.drainSeconds) 20 | int) -}}
{{- fail (printf "classifyGateway: terminationGracePeriodSeconds %d must be at least drainSeconds %d and 20, or the requests in flight are cut off" (int $gateway.terminationGracePeriodSeconds) (int $gateway.drainSeconds)) -}}
{{- end -}}
{{- if and (or $gateway.tls.serverName $gateway.tls.clientCertificate) (not $gateway.tls.secretName) -}}
{{- fail "classifyGateway.tls: serverName and clientCertificate need secretName, the Secret with the authority of the replicas' certificates" -}}
{{- end -}}
{{- if and $gateway.route.host (not $gateway.route.gatewayName) -}}
{{- fail (printf "classifyGateway.route: host is %q, and gatewayName is empty, so no Gateway would lead here. Name one" $gateway.route.host) -}}
{{- end -}}
{{- if and $gateway.route.gatewayName (not $gateway.route.host) -}}
{{- fail (printf "classifyGateway.route: gatewayName is %q, and host is empty, so the route would take the requests of every host name. Set host" $gateway.route.gatewayName) -}}
{{- end -}}
{{- with $gateway.ingress.host -}}
{{- if hasKey $.hosts . -}}
{{- fail (printf "classifyGateway.ingress.host and fleets.%s.ingress.host are both %q. Give each a host" (index $.hosts .) .) -}}
{{- end -}}
{{- end -}}
{{- include "understudy.checkName" (dict "names" .names "name" (include "understudy.gatewayName" .root) "length" 58 "at" "classifyGateway") -}}
{{- range $model, $_ := .root.Values.fleets -}}
{{- include "understudy.checkName" (dict "names" $.names "name" (include "understudy.podsName" (dict "root" $.root "model" $model)) "length" 63 "at" (printf "the pods of fleets.%s" $model)) -}}
{{- end -}}
{{- end -}}
{{- end }}
