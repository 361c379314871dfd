{{/* Refuses `--reuse-values` from KubeRay's chart, which doesn't have all of ours. */}}
{{- define "ray-operator.checked" -}}
{{- if not (and .Values.uninstall .Values.crds .Values.rbac .Values.webhook) -}}
{{- fail "values of another chart were reused: upgrade with --reset-then-reuse-values, or with -f" -}}
{{- end -}}
{{- end -}}

{{- define "ray-operator.name" -}}
{{- /* KubeRay's chart has this name: it is in the Deployment's selector, which can't change. */ -}}
{{- default "kuberay-operator" .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ray-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "ray-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ray-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ray-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ray-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ray-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "ray-operator.labels" -}}
{{- include "ray-operator.metadataLabels" (list . (include "ray-operator.name" .)) -}}
{{- end -}}

{{/* Our labels, and the user's beside them; takes a list: ours as YAML, the user's. */}}
{{- define "ray-operator.beside" -}}
{{- toYaml (merge (index . 0 | fromYaml) (default dict (index . 1))) -}}
{{- end -}}

{{/* Takes a list: the root, the value of app.kubernetes.io/name. */}}
{{- define "ray-operator.metadataLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* The watched namespaces as a JSON list; empty means all. */}}
{{- define "ray-operator.watched" -}}
{{- if .Values.watchNamespace -}}
{{- toJson .Values.watchNamespace -}}
{{- else if .Values.singleNamespaceInstall -}}
{{- toJson (list .Release.Namespace) -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The full name, with room for a suffix within 63 characters. */}}
{{- define "ray-operator.shortname" -}}
{{- include "ray-operator.fullname" . | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "ray-operator.subject" -}}
- kind: ServiceAccount
  name: {{ include "ray-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The path of the log file; empty for none. */}}
{{- define "ray-operator.logFile" -}}
{{- with .Values.logging -}}
{{- if and .baseDir .fileName -}}
{{- printf "%s/%s" (trimSuffix "/" .baseDir) .fileName -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The operator's configuration file. */}}
{{- define "ray-operator.configuration" -}}
apiVersion: config.ray.io/v1alpha1
kind: Configuration
enableLeaderElection: {{ .Values.leaderElectionEnabled }}
enableMetrics: {{ .Values.metrics.enabled }}
reconcileConcurrency: {{ int .Values.reconcileConcurrency }}
logStdoutEncoder: {{ .Values.logging.stdoutEncoder }}
logFileEncoder: {{ .Values.logging.fileEncoder }}
{{- with include "ray-operator.logFile" . }}
logFile: {{ quote . }}
{{- end }}
{{- with include "ray-operator.watched" . | fromJsonArray }}
watchNamespace: {{ join "," . | quote }}
{{- end }}
{{- with .Values.kubeClient.qps }}
qps: {{ . }}
{{- end }}
{{- with .Values.kubeClient.burst }}
burst: {{ int . }}
{{- end }}
{{- with .Values.autoscalerDefault }}
autoscalerDefault: {{ . }}
{{- end }}
{{- if .Values.useKubernetesProxy }}
useKubernetesProxy: true
{{- end }}
{{- if .Values.batchScheduler.enabled }}
enableBatchScheduler: true
{{- end }}
{{- with .Values.batchScheduler.name }}
batchScheduler: {{ . }}
{{- end }}
{{- with .Values.configuration.headSidecarContainers }}
headSidecarContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.configuration.workerSidecarContainers }}
workerSidecarContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.configuration.defaultContainerEnvs }}
defaultContainerEnvs:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.configuration.defaultPodAnnotations }}
defaultPodAnnotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.configuration.defaultPodLabels }}
defaultPodLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* `A=true,B=false` of the list (KubeRay's form), or of a map. */}}
{{- define "ray-operator.featureGates" -}}
{{- $gates := list -}}
{{- if kindIs "map" .Values.featureGates -}}
{{- range $name, $enabled := .Values.featureGates -}}
{{- $gates = append $gates (printf "%s=%t" $name $enabled) -}}
{{- end -}}
{{- else -}}
{{- range .Values.featureGates -}}
{{- $gates = append $gates (printf "%s=%t" .name .enabled) -}}
{{- end -}}
{{- end -}}
{{- join "," $gates -}}
{{- end -}}

{{- define "ray-operator.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if hasSuffix "kuberay/operator" $repository -}}
{{- fail (printf "image.repository: %s is KubeRay's operator: name this operator's image, or leave image out" $repository) -}}
{{- end -}}
{{- /* A number such as 20261231 comes from a file of values as a float. */ -}}
{{- $tag := .Values.image.tag -}}
{{- printf "%s:%s" $repository (kindIs "float64" $tag | ternary (toJson $tag) (toString $tag)) -}}
{{- end -}}

{{- define "ray-operator.strategy" -}}
{{- if .Values.strategy -}}
{{- toYaml .Values.strategy -}}
{{- else if gt (int .Values.replicas) 1 -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 1
  maxUnavailable: 0
{{- else -}}
type: Recreate
{{- end -}}
{{- end -}}

{{/* The rules of the operator. */}}
{{- define "ray-operator.rules" -}}
{{- range .Files.Get "rbac/operator.yaml" | fromYamlArray }}
{{- if and (has "secrets" .resources) (not $.Values.rbac.secretsWrite) }}
{{- $_ := set . "verbs" (without .verbs "create" "patch" "update" "delete") }}
{{- end }}
{{- toYaml (list .) | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "ray-operator.webhookName" -}}
{{- include "ray-operator.name" . | trunc 55 | trimSuffix "-" -}}-webhook
{{- end -}}

{{- define "ray-operator.webhookSecret" -}}
{{- default (printf "%s-webhook" (include "ray-operator.shortname" .)) .Values.webhook.certificate.secretName -}}
{{- end -}}
