{{/*
The pod template of the agent and, with a component and arguments, of the topics Job: one image, one configuration.
Takes {root, component, args}.
*/}}
{{- define "kafnus.pod" -}}
{{- $root := .root -}}
{{- with .root -}}
{{- $secrets := include "kafnus.secrets" . | fromYamlArray -}}
metadata:
  labels:
    {{- include "kafnus.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/component: {{ $.component }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A new configuration restarts the pods.
    checksum/settings: {{ include "kafnus.settings" . | sha256sum }}
    kubectl.kubernetes.io/default-container: agent
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "kafnus.serviceAccount" . }}
  automountServiceAccountToken: false
  # Kubernetes would set variables such as KAFNUS_PORT for a Service called kafnus, which are not
  # settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not $.args }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "kafnus.agentLabels" $root | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- if $.args }}
  restartPolicy: OnFailure
  {{- end }}
  containers:
    - name: agent
      image: {{ include "kafnus.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- with $.args }}
      args: {{ toJson . }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      envFrom:
        - configMapRef:
            name: {{ include "kafnus.name" . }}
      env:
        - name: KAFNUS_INSTANCE_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- range $secrets }}
        {{- if .variable }}
        - name: {{ .variable }}
          valueFrom:
            secretKeyRef:
              name: {{ .secret }}
              key: {{ .key }}
        {{- else }}
        - name: {{ .env }}
          value: /etc/kafnus/{{ .file }}
        {{- end }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if not $.args }}
      ports:
        - name: http
          containerPort: {{ int .Values.http.port }}
      livenessProbe:
        httpGet:
          path: /live
          port: http
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet:
          path: /ready
          port: http
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      {{- end }}
      resources:
        {{- ternary (dict "requests" (dict "cpu" "100m" "memory" "128Mi") "limits" (dict "memory" "256Mi")) .Values.resources (not (empty $.args)) | toYaml | nindent 8 }}
      {{- $files := list }}
      {{- range $secrets }}{{ if .file }}{{ $files = append $files . }}{{ end }}{{ end }}
      {{- if or $files .Values.extraVolumeMounts }}
      volumeMounts:
        {{- if $files }}
        - name: secrets
          mountPath: /etc/kafnus
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
  {{- if or $files .Values.extraVolumes }}
  volumes:
    {{- if $files }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range $files }}
          - secret:
              name: {{ .secret }}
              items:
                - key: {{ .key }}
                  path: {{ .file }}
          {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}
