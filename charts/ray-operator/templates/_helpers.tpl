{{- define "ray-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
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
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ray-operator.labels" -}}
{{ include "ray-operator.selectorLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
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

{{- define "ray-operator.subject" -}}
- kind: ServiceAccount
  name: {{ include "ray-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
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
