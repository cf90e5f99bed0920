{{- /* Who may connect, as peers of a NetworkPolicy. The argument: a map of named peers, as networkPolicy.clients. */}}
{{- define "understudy.peers" -}}
{{- range $name, $peer := . }}
{{- if $peer.cidr }}
- ipBlock:
    cidr: {{ $peer.cidr | quote }}
{{- else }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ $peer.namespace | quote }}
  {{- with $peer.podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Egress to DNS. */}}
{{- define "understudy.dnsEgress" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
    {{- /* On GKE: the cache of the node, and Cloud DNS without it. */}}
    - ipBlock:
        cidr: 169.254.20.10/32
    - ipBlock:
        cidr: 169.254.169.254/32
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- /* Egress to the bucket, and to where pods of GKE and EKS get their credentials. */}}
{{- define "understudy.bucketEgress" -}}
- to:
    - ipBlock:
        cidr: {{ .Values.networkPolicy.bucketCidr | quote }}
        {{- if eq .Values.networkPolicy.bucketCidr "0.0.0.0/0" }}
        except: [169.254.0.0/16]
        {{- end }}
    {{- /* A network plug-in may not compare a block of addresses with those of pods: Cilium, and so Dataplane V2. */}}
    {{- with .Values.networkPolicy.bucketPeers }}
    {{- include "understudy.peers" . | nindent 4 }}
    {{- end }}
  ports:
    {{- range .Values.networkPolicy.bucketPorts }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- if .Values.networkPolicy.metadataServer }}
- to:
    - ipBlock:
        cidr: 169.254.169.254/32
    - ipBlock:
        cidr: 169.254.169.252/32
    {{- /* The agent of EKS Pod Identity. */}}
    - ipBlock:
        cidr: 169.254.170.23/32
  ports:
    - {protocol: TCP, port: 80}
    - {protocol: TCP, port: 987}
    - {protocol: TCP, port: 988}
{{- end }}
{{- end }}

{{- /* The Gateway that a route belongs to. The argument: the value `gateway` of a fleet. */}}
{{- define "understudy.gateway" -}}
- name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- with .sectionName }}
  sectionName: {{ . | quote }}
  {{- end }}
{{- end }}
