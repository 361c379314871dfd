{{/* Names are at most 53 characters long, as a RayCluster's may be. */}}
{{- define "ray-cluster.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ray-cluster.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* A value as text. Helm reads whole numbers as floats, which would get an exponent. */}}
{{- define "ray-cluster.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* A map as YAML, its values as texts. */}}
{{- define "ray-cluster.texts" -}}
{{- $texts := dict -}}
{{- range $key, $value := . -}}
{{- $_ := set $texts $key (include "ray-cluster.text" $value) -}}
{{- end -}}
{{- toYaml $texts -}}
{{- end -}}

{{/* The fields of a map that are set, as YAML or nothing: a list of the map and their names. */}}
{{- define "ray-cluster.given" -}}
{{- $fields := dict -}}
{{- $from := first . -}}
{{- range $name := last . -}}
{{- $value := index $from $name -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $fields $name $value -}}
{{- end -}}
{{- end -}}
{{- with $fields }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* The fields of a map that aren't empty, likewise. */}}
{{- define "ray-cluster.filled" -}}
{{- $fields := dict -}}
{{- $from := first . -}}
{{- range $name := last . -}}
{{- with index $from $name -}}
{{- $_ := set $fields $name . -}}
{{- end -}}
{{- end -}}
{{- with $fields }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* The Ray container of a group: root, group and the container's name. */}}
{{- define "ray-cluster.container" -}}
{{- $image := default .root.Values.image .group.image -}}
name: {{ .name }}
image: {{ printf "%s:%s" $image.repository (include "ray-cluster.text" $image.tag) | quote }}
{{- with $image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- $environment := concat (default list .root.Values.common.containerEnv) (default list .group.containerEnv) }}
{{- with $environment }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- $one := dict "cpu" "1" "memory" "1Gi" }}
  {{- default (dict "limits" $one "requests" $one) .group.resources | toYaml | nindent 2 }}
{{ list .group (list "args" "command" "envFrom" "lifecycle" "ports" "securityContext" "volumeMounts") | include "ray-cluster.filled" }}
{{- end -}}

{{/* The Pod of a group, before extraPodSpec. */}}
{{- define "ray-cluster.pod" -}}
containers:
  - {{- include "ray-cluster.container" . | nindent 4 }}
  {{- with .group.sidecarContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .group.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{ list .group (list "affinity" "dnsConfig" "initContainers" "nodeSelector" "priority" "priorityClassName" "resourceClaims" "restartPolicy" "runtimeClassName" "serviceAccountName" "tolerations" "topologySpreadConstraints" "volumes") | include "ray-cluster.filled" }}
{{- end -}}

{{/* What a head and a worker group have in common: root, group and the Ray container's name. */}}
{{- define "ray-cluster.group" -}}
rayStartParams:
  {{- mergeOverwrite dict (default dict .group.initArgs) (default dict .group.rayStartParams) | include "ray-cluster.texts" | nindent 2 }}
{{- with .group.rayLabels }}
labels:
  {{- include "ray-cluster.texts" . | nindent 2 }}
{{- end }}
{{- with .group.rayResources }}
resources:
  {{- include "ray-cluster.texts" . | nindent 2 }}
{{- end }}
template:
  metadata:
    labels:
      {{- $labels := include "ray-cluster.labels" .root | fromYaml }}
      {{- mergeOverwrite $labels (default dict .group.labels) | include "ray-cluster.texts" | nindent 6 }}
    {{- with .group.annotations }}
    annotations:
      {{- include "ray-cluster.texts" . | nindent 6 }}
    {{- end }}
  spec:
    {{- $pod := include "ray-cluster.pod" . | fromYaml }}
    {{- with $pod.Error }}{{ fail . }}{{ end }}
    {{- mergeOverwrite $pod (default dict .group.extraPodSpec) | toYaml | nindent 4 }}
{{- end -}}

{{/* A worker group: root, group and its name. */}}
{{- define "ray-cluster.workers" -}}
groupName: {{ .groupName | quote }}
{{ list .group (list "idleTimeoutSeconds" "replicas" "scaleStrategy" "suspend") | include "ray-cluster.given" }}
minReplicas: {{ default 0 .group.minReplicas | int64 }}
maxReplicas: {{ ternary 2147483647 .group.maxReplicas (kindIs "invalid" .group.maxReplicas) | int64 }}
numOfHosts: {{ default 1 .group.numOfHosts | int64 }}
{{- with .group.groupPriority }}
priority: {{ int64 . }}
{{- end }}
{{ dict "root" .root "group" .group "name" "ray-worker" | include "ray-cluster.group" }}
{{- end -}}

{{/* A user name or password: a text, or a map as in the RayCluster. */}}
{{- define "ray-cluster.credential" -}}
{{- if kindIs "map" . -}}
{{- toYaml . -}}
{{- else -}}
value: {{ include "ray-cluster.text" . | quote }}
{{- end -}}
{{- end -}}

{{- define "ray-cluster.faultTolerance" -}}
{{- if not (or .redisAddress .backend) -}}
{{- fail "gcsFaultTolerance.enabled needs redisAddress, or backend: rocksdb" -}}
{{- end -}}
{{ list . (list "backend" "externalStorageNamespace" "redisAddress" "storage") | include "ray-cluster.filled" }}
{{- with .redisUsername }}
redisUsername:
  {{- include "ray-cluster.credential" . | nindent 2 }}
{{- end }}
{{- with .redisPassword }}
redisPassword:
  {{- include "ray-cluster.credential" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The RayCluster's spec, before extraSpec. */}}
{{- define "ray-cluster.spec" -}}
{{- $atHead := list "autoscalerOptions" "enableInTreeAutoscaling" "rayVersion" -}}
{{- $fields := list .Values.head $atHead | include "ray-cluster.given" | fromYaml -}}
{{- $atTop := concat $atHead (list "authOptions" "headServiceAnnotations" "historyServerOptions" "idleTerminationOptions" "managedBy" "networkPolicy" "suspend" "tlsOptions" "upgradeStrategy") -}}
{{- $fields = list .Values $atTop | include "ray-cluster.given" | fromYaml | mergeOverwrite $fields -}}
{{- with $fields.rayVersion -}}
{{- $_ := set $fields "rayVersion" (include "ray-cluster.text" .) -}}
{{- end -}}
{{ with $fields }}{{ toYaml . }}{{ end }}
{{- if .Values.gcsFaultTolerance.enabled }}
gcsFaultToleranceOptions:
  {{- include "ray-cluster.faultTolerance" .Values.gcsFaultTolerance | nindent 2 }}
{{- end }}
headGroupSpec:
  serviceType: {{ .Values.service.type }}
  {{- list .Values.head (list "enableIngress" "ingressOptions") | include "ray-cluster.given" | nindent 2 }}
  {{- with .Values.head.headService }}
  headService:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- dict "root" . "group" .Values.head "name" "ray-head" | include "ray-cluster.group" | nindent 2 }}
{{- $groups := list }}
{{- if not .Values.worker.disabled }}
{{- $groups = append $groups (dict "root" . "group" .Values.worker "groupName" .Values.worker.groupName) }}
{{- end }}
{{- range $name, $group := .Values.additionalWorkerGroups }}
{{- if not $group.disabled }}
{{- $groups = append $groups (dict "root" $ "group" $group "groupName" $name) }}
{{- end }}
{{- end }}
{{- with $groups }}
workerGroupSpecs:
  {{- range . }}
  - {{- include "ray-cluster.workers" . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}
