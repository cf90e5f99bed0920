{{- /* Values that fit their schema and do not fit together. NOTES.txt includes this, so every render runs it. */}}
{{- define "understudy.checks" -}}
{{- $root := . -}}
{{- if not .Values.fleets -}}
{{- fail "fleets is empty, so there is nothing to serve. Name a model and its groups, for example as in ci/gke-cpu-values.yaml" -}}
{{- end -}}
{{- $names := dict -}}
{{- range $model, $_ := .Values.fleets -}}
{{- $fleet := include "understudy.fleet" (dict "root" $root "model" $model) | fromJson -}}
{{- include "understudy.checkFleet" (dict "root" $root "model" $model "fleet" $fleet) -}}
{{- range $group, $_ := $fleet.groups -}}
{{- $name := include "understudy.groupName" (dict "root" $root "model" $model "group" $group) -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "fleets.%s.groups.%s: the name %q has %d characters, and Kubernetes allows 63. Choose a shorter group, release or fullnameOverride" $model $group $name (len $name)) -}}
{{- end -}}
{{- if hasKey $names $name -}}
{{- fail (printf "fleets.%s.groups.%s and %s would both be named %q. Rename one of the groups" $model $group (index $names $name) $name) -}}
{{- end -}}
{{- $_ := set $names $name (printf "fleets.%s.groups.%s" $model $group) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "understudy.checkFleet" -}}
{{- $at := printf "fleets.%s" .model -}}
{{- $fleet := .fleet -}}
{{- include "understudy.checkSource" . -}}
{{- $rings := list -}}
{{- range $name, $group := $fleet.groups -}}
{{- if $group.firstRing }}{{ $rings = append $rings $name }}{{ end -}}
{{- if and $group.firstRing $group.autoscaling -}}
{{- fail (printf "%s.groups.%s: the first ring is not autoscaled, because a replica that goes while a candidate is observed would decide about it. Remove autoscaling" $at $name) -}}
{{- end -}}
{{- with $group.autoscaling -}}
{{- if gt (.minReplicas | default 2 | int) (int .maxReplicas) -}}
{{- fail (printf "%s.groups.%s.autoscaling: minReplicas %d is more than maxReplicas %d. Raise maxReplicas" $at $name (.minReplicas | default 2 | int) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (len $rings) 1 -}}
{{- fail (printf "%s: the groups %s are all the first ring. A fleet has one: remove firstRing from the others" $at (join " and " $rings)) -}}
{{- end -}}
{{- if and $rings (eq (len $fleet.groups) 1) -}}
{{- fail (printf "%s: the only group, %s, cannot be the first ring, because no replica would be beyond it. Add a second group" $at (first $rings)) -}}
{{- end -}}
{{- if le (int $fleet.drainSeconds) (int $fleet.connectionSeconds) -}}
{{- fail (printf "%s: drainSeconds %d must be more than connectionSeconds %d, or clients are still connected to a pod that ends" $at (int $fleet.drainSeconds) (int $fleet.connectionSeconds)) -}}
{{- end -}}
{{- if le (int $fleet.terminationGracePeriodSeconds) (int $fleet.drainSeconds) -}}
{{- fail (printf "%s: terminationGracePeriodSeconds %d must be more than drainSeconds %d, or the requests in flight are cut off" $at (int $fleet.terminationGracePeriodSeconds) (int $fleet.drainSeconds)) -}}
{{- end -}}
{{- if and (eq $fleet.serviceType "LoadBalancer") (not $fleet.loadBalancerSourceRanges) -}}
{{- fail (printf "%s: serviceType LoadBalancer without loadBalancerSourceRanges would let everybody ask the model, and change what it serves. Name the networks of the clients, for example [10.0.0.0/8]" $at) -}}
{{- end -}}
{{- if and $fleet.gateway.host (eq $fleet.gateway.host $fleet.gateway.grpcHost) -}}
{{- fail (printf "%s.gateway: host and grpcHost are both %q. A gateway refuses an HTTPRoute and a GRPCRoute of one host name: give them two" $at $fleet.gateway.host) -}}
{{- end -}}
{{- end }}

{{- define "understudy.checkSource" -}}
{{- $at := printf "fleets.%s" .model -}}
{{- $fleet := .fleet -}}
{{- $local := hasPrefix "/" $fleet.root -}}
{{- if eq $fleet.source "image" -}}
{{- if not $fleet.bakedImage -}}
{{- fail (printf "%s: neither root nor bakedImage is set, so there is no model. Set root to gs://bucket/prefix, s3://bucket/prefix or a folder, or bakedImage to an image with the model" $at) -}}
{{- end -}}
{{- if or $fleet.ring $fleet.root -}}
{{- fail (printf "%s: a model that is in the image follows no releases, so it has no root and no first ring. Remove them, or remove bakedImage" $at) -}}
{{- end -}}
{{- else if $fleet.bakedImage -}}
{{- fail (printf "%s: root %q and bakedImage %q are both set, and only one of them can have the model. Remove one" $at $fleet.root $fleet.bakedImage) -}}
{{- end -}}
{{- if and (eq $fleet.source "bucket") (not (hasPrefix "gs://" $fleet.root)) -}}
{{- fail (printf "%s: TensorFlow Serving cannot read root %q itself. Set source to auto" $at $fleet.root) -}}
{{- end -}}
{{- if and (eq $fleet.source "volume") (not $local) -}}
{{- fail (printf "%s: source volume needs a folder as root, and root is %q" $at $fleet.root) -}}
{{- end -}}
{{- if and $local (not $fleet.existingClaim) -}}
{{- fail (printf "%s: root %q is a folder, and existingClaim is not set. Name the PersistentVolumeClaim that is mounted there" $at $fleet.root) -}}
{{- end -}}
{{- if and (eq $fleet.source "sync") $local -}}
{{- fail (printf "%s: source sync copies from gs:// or s3://, and root is the folder %q. Set source to auto" $at $fleet.root) -}}
{{- end -}}
{{- end }}
