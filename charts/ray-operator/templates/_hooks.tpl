{{/* A name of its own keeps Pods of hooks out of the Service, the budget and the Deployment. */}}
{{- define "ray-operator.hookName" -}}
{{- include "ray-operator.name" . | trunc 57 | trimSuffix "-" -}}-hooks
{{- end -}}

{{- define "ray-operator.hookLabels" -}}
app.kubernetes.io/name: {{ include "ray-operator.hookName" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: hook
{{- end -}}

{{/* Metadata of such a Pod; the users' labels and annotations may say whether it gets a sidecar. */}}
{{- define "ray-operator.hookMetadata" -}}
labels:
  {{- include "ray-operator.beside" (list (include "ray-operator.hookLabels" .) .Values.labels) | nindent 2 }}
{{- with .Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Spec of a Pod that runs a command of the image; takes a list: the root, account, arguments. */}}
{{- define "ray-operator.hookPod" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
restartPolicy: Never
serviceAccountName: {{ index . 1 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (default dict $values.affinity).nodeAffinity }}
affinity:
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: ray-operator
    image: {{ include "ray-operator.image" $root | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    command:
      - ray-operator
    args:
      {{- toYaml (index . 2) | nindent 6 }}
    {{- with $values.env }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.securityContext }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}

{{/* Takes a list: the hooks and the weight. What failed stays, to be looked at, until it runs again. */}}
{{- define "ray-operator.hookAnnotations" -}}
helm.sh/hook: {{ join "," (index . 0) }}
helm.sh/hook-weight: {{ index . 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
