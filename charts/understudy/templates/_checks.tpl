{{- /* Values that fit their schema and do not fit together. NOTES.txt includes this, so every render runs it. */}}
{{- define "understudy.checks" -}}
{{- $root := . -}}
{{- if not .Values.fleets -}}
{{- fail "fleets is empty, so there is nothing to serve. Name a model and its groups, for example as in ci/gke-cpu-values.yaml" -}}
{{- end -}}
{{- /* The names of policies that are not of a fleet. */}}
{{- $names := dict (printf "%s-pipeline" (include "understudy.fullname" .)) "the policy of the pipeline" (printf "%s-default-deny" (include "understudy.fullname" .)) "the policy that denies" -}}
{{- $hosts := dict -}}
{{- range $model, $_ := .Values.fleets -}}
{{- $fleet := include "understudy.fleet" (dict "root" $root "model" $model) | fromJson -}}
{{- include "understudy.checkFleet" (dict "root" $root "model" $model "fleet" $fleet) -}}
{{- $base := include "understudy.fleetName" (dict "root" $root "model" $model) -}}
{{- with $fleet.ingress.host -}}
{{- if hasKey $hosts . -}}
{{- fail (printf "fleets.%s.ingress.host and fleets.%s.ingress.host are both %q. An Ingress cannot tell the models of one host apart: give each a host, or use gateway" (index $hosts .) $model .) -}}
{{- end -}}
{{- $_ := set $hosts . $model -}}
{{- end -}}
{{- /* The longest name of the fleet itself is that of its Job. */}}
{{- include "understudy.checkName" (dict "names" $names "name" $base "length" 58 "at" (printf "fleets.%s" $model)) -}}
{{- range $group, $_ := $fleet.groups -}}
{{- include "understudy.checkName" (dict "names" $names "name" (printf "%s-%s" $base $group) "length" 63 "at" (printf "fleets.%s.groups.%s" $model $group)) -}}
{{- end -}}
{{- end -}}
{{- include "understudy.checkGateway" (dict "root" . "names" $names "hosts" $hosts) -}}
{{- include "understudy.checkStepPods" . -}}
{{- end }}

{{- /* Steps as pods: somebody may start them, and Airflow is at one place. */}}
{{- define "understudy.checkStepPods" -}}
{{- $rbac := .Values.rbac -}}
{{- if and $rbac.airflowServiceAccounts (not $rbac.airflowNamespace) -}}
{{- fail (printf "rbac.airflowServiceAccounts names %s, and rbac.airflowNamespace is empty, so it is not known whose accounts these are. Set the namespace of Airflow, or, if Airflow is outside of this cluster, airflowUsers" (join " and " $rbac.airflowServiceAccounts)) -}}
{{- end -}}
{{- if .Values.stepPods.enabled -}}
{{- if and $rbac.create (not (or $rbac.airflowServiceAccounts $rbac.airflowUsers)) -}}
{{- fail "stepPods.enabled: nobody may start the pods, because rbac.airflowServiceAccounts and rbac.airflowUsers are empty. Name the accounts of Airflow, for example [airflow-scheduler, airflow-triggerer]" -}}
{{- end -}}
{{- with .Values.stepPods.gke -}}
{{- if and (or .project .location .cluster) (not (and .project .location .cluster)) -}}
{{- fail (printf "stepPods.gke: Google's operator needs project, location and cluster, and these are %q, %q and %q. Set all three, or none if Airflow is in the cluster" .project .location .cluster) -}}
{{- end -}}
{{- end -}}
{{- if ne (include "understudy.name" .) "understudy" -}}
{{- fail (printf "stepPods.enabled: nameOverride is %q, and Airflow gives step pods the label app.kubernetes.io/name: understudy, so no policy would be for them. Use fullnameOverride instead" (include "understudy.name" .)) -}}
{{- end -}}
{{- if not (include "understudy.stepBucket" . | fromJson) -}}
{{- fail "stepPods.enabled: no fleet has a bucket, so there are no steps. Set it to false" -}}
{{- end -}}
{{- include "understudy.checkMlflow" . -}}
{{- end -}}
{{- end }}

{{- /* A step that reaches no MLflow fails: `train` first. By the ports of the bucket a step reaches one outside of the cluster. */}}
{{- define "understudy.checkMlflow" -}}
{{- $root := . -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and $policy.enabled (not $policy.mlflow) -}}
{{- range $model, $_ := .Values.fleets -}}
{{- $fleet := include "understudy.fleet" (dict "root" $root "model" $model) | fromJson -}}
{{- $address := urlParse $fleet.mlflowUrl -}}
{{- $given := regexFind ":[0-9]+$" $address.host | trimPrefix ":" -}}
{{- $port := $given | default (ternary "443" "80" (eq $address.scheme "https")) | int -}}
{{- $open := list -}}
{{- range $policy.bucketPorts }}{{ $open = append $open (int .) }}{{ end -}}
{{- if and $fleet.follows (not (has $port $open)) -}}
{{- fail (printf "stepPods.enabled: networkPolicy.mlflow is empty, so step pods do not reach MLflow, fleets.%s.mlflowUrl %q, and each train would fail. Name where it is, for example networkPolicy.mlflow.mlflow.namespace=mlflow" $model $fleet.mlflowUrl) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Refuse a name that is too long or taken, and remember it. Arguments: names, name, length, at. */}}
{{- define "understudy.checkName" -}}
{{- if gt (len .name) (int .length) -}}
{{- fail (printf "%s: the name %q has %d characters, and may have %d. Choose a shorter group, release or fullnameOverride" .at .name (len .name) (int .length)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .name) -}}
{{- fail (printf "%s: a Service cannot be named %q. A name begins with a small letter, ends with one or a digit, and between has these and dashes, no dots. Choose another release, fullnameOverride or model" .at .name) -}}
{{- end -}}
{{- if hasKey .names .name -}}
{{- fail (printf "%s and %s would both be named %q. Rename a group, or use another release for one of the models" .at (index .names .name) .name) -}}
{{- end -}}
{{- $_ := set .names .name .at -}}
{{- end }}

{{- define "understudy.checkFleet" -}}
{{- $at := printf "fleets.%s" .model -}}
{{- $fleet := .fleet -}}
{{- include "understudy.checkSource" . -}}
{{- include "understudy.checkRelease" . -}}
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
{{- if not (or $fleet.root $fleet.bakedImage) -}}
{{- fail (printf "%s: neither root nor bakedImage is set, so there is no model. Set root to gs://bucket/prefix, s3://bucket/prefix or a folder, or bakedImage to an image with the model" $at) -}}
{{- end -}}
{{- if and $fleet.root $fleet.bakedImage -}}
{{- fail (printf "%s: root %q and bakedImage %q are both set, and only one of them can have the model. Remove one" $at $fleet.root $fleet.bakedImage) -}}
{{- end -}}
{{- if and $fleet.bakedImage (ne $fleet.source "image") -}}
{{- fail (printf "%s: source %s needs a root, and the model is in bakedImage %q. Set source to auto" $at $fleet.source $fleet.bakedImage) -}}
{{- end -}}
{{- if and $fleet.root (eq $fleet.source "image") -}}
{{- fail (printf "%s: source image needs bakedImage, and the model is in root %q. Set source to auto" $at $fleet.root) -}}
{{- end -}}
{{- if and $fleet.bakedImage $fleet.ring -}}
{{- fail (printf "%s.groups.%s: a model that is in the image follows no releases, so it has no first ring. Remove firstRing" $at $fleet.ring) -}}
{{- end -}}
{{- if and (eq $fleet.source "bucket") (not (hasPrefix "gs://" $fleet.root)) -}}
{{- fail (printf "%s: TensorFlow Serving cannot read root %q itself. Set source to auto" $at $fleet.root) -}}
{{- end -}}
{{- if and (eq $fleet.source "volume") (not $local) -}}
{{- fail (printf "%s: source volume needs a folder as root, and root is %q. Set source to auto" $at $fleet.root) -}}
{{- end -}}
{{- if and (eq $fleet.source "sync") $local -}}
{{- fail (printf "%s: source sync copies from gs:// or s3://, and root is the folder %q. Set source to auto" $at $fleet.root) -}}
{{- end -}}
{{- if and $local (not $fleet.existingClaim) -}}
{{- fail (printf "%s: root %q is a folder, and existingClaim is not set. Name the PersistentVolumeClaim that is mounted there" $at $fleet.root) -}}
{{- end -}}
{{- end }}

{{- /* What a promotion needs: the servers' TensorFlow, and pods. Arguments: root, model, fleet. */}}
{{- define "understudy.checkRelease" -}}
{{- $at := printf "fleets.%s" .model -}}
{{- if and .fleet.follows (not (include "understudy.serverTensorflow" .)) -}}
{{- fail (printf "%s: serverTensorflow is empty, and image.tag %q does not begin with a version, so it is not known which models the servers can load. Set serverTensorflow, for example to 2.21" $at .root.Values.image.tag) -}}
{{- end -}}
{{- range $name, $group := .fleet.groups -}}
{{- $pods := $group.replicas | default 1 | int -}}
{{- if and (not $group.autoscaling) (gt (int $group.minimum) $pods) -}}
{{- fail (printf "%s.groups.%s: a promotion needs minimum %d pods, and replicas is %d, so it would be refused for ever. Raise replicas" $at $name (int $group.minimum) $pods) -}}
{{- end -}}
{{- end -}}
{{- end }}
