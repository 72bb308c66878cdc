{{- define "kafnus.name" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end -}}

{{- define "kafnus.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of the agent's pods, and not of the topics Job. */}}
{{- define "kafnus.agentLabels" -}}
{{ include "kafnus.selectorLabels" . }}
app.kubernetes.io/component: {{ .Values.agent }}
{{- end -}}

{{- define "kafnus.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "kafnus.agentLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: kafnus-ngsi
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "kafnus.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "kafnus.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "kafnus.image" -}}
{{- $repository := .Values.image.repository | default (printf "kafnus-ngsi-%s" .Values.agent) -}}
{{- with .Values.image.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "kafnus.brokers" -}}
{{- if kindIs "slice" .Values.kafka.brokers -}}
{{ join "," .Values.kafka.brokers }}
{{- else -}}
{{ .Values.kafka.brokers | nospace }}
{{- end -}}
{{- end -}}

{{- define "kafnus.groupId" -}}
{{- .Values.groupId | default (printf "ngsi-agent-%s" .Values.agent) -}}
{{- end -}}

{{/* As the agent finds it (SPEC 1). */}}
{{- define "kafnus.inputTopic" -}}
{{- .Values.naming.inputTopic | default (printf "{prefix}raw_%s" .Values.agent) | replace "{prefix}" .Values.naming.topicPrefix -}}
{{- end -}}

{{/* Which setting of the agent each value is. One table: the ConfigMap is made from it, and `settings` may name none of these. */}}
{{- define "kafnus.table" -}}
KAFNUS_KAFKA_BROKERS: kafka.brokers
KAFNUS_KAFKA_SECURITY_PROTOCOL: kafka.securityProtocol
KAFNUS_KAFKA_SASL_MECHANISM: kafka.sasl.mechanism
KAFNUS_KAFKA_OAUTH_TOKEN_URL: kafka.sasl.oauth.tokenUrl
KAFNUS_KAFKA_OAUTH_SCOPE: kafka.sasl.oauth.scope
KAFNUS_KAFKA_CONSUMER: kafka.consumer
KAFNUS_KAFKA_PRODUCER: kafka.producer
KAFNUS_GROUP_ID: groupId
KAFNUS_CONCURRENCY: concurrency
KAFNUS_DELIVERY: delivery.guarantee
KAFNUS_COMMIT_INTERVAL_MS: delivery.commitIntervalMs
KAFNUS_TRANSACTION_TIMEOUT_MS: delivery.transactionTimeoutMs
KAFNUS_SHUTDOWN_TIMEOUT_MS: delivery.shutdownTimeoutMs
KAFNUS_STALL_TIMEOUT_MS: delivery.stallTimeoutMs
KAFNUS_ON_OFFSET_OUT_OF_RANGE: delivery.onOffsetOutOfRange
KAFNUS_NAMING: naming.style
KAFNUS_TOPIC_PREFIX: naming.topicPrefix
KAFNUS_TOPIC_SUFFIX: naming.topicSuffix
KAFNUS_INPUT_TOPIC: naming.inputTopic
KAFNUS_OUTPUT_TOPIC: naming.outputTopic
KAFNUS_DEAD_LETTER_TOPIC: naming.deadLetterTopic
KAFNUS_SINK: ngsi.sink
KAFNUS_TENANTS: ngsi.tenants
KAFNUS_DATAMODEL: ngsi.dataModel
KAFNUS_ATTRIBUTE_ERRORS: ngsi.attributeErrors
KAFNUS_MISSING_TIME_INSTANT: ngsi.missingTimeInstant
KAFNUS_DEFAULT_SERVICE: ngsi.defaultService
KAFNUS_DEFAULT_SERVICEPATH: ngsi.defaultServicepath
KAFNUS_TOPICS_CREATE: topics.create
KAFNUS_TOPIC_PARTITIONS: topics.partitions
KAFNUS_TOPIC_REPLICATION: topics.replication
KAFNUS_TOPIC_CONFIG: topics.config
KAFNUS_TOPIC_TIMEOUT_MS: topics.timeoutMs
KAFNUS_HTTP_PORT: http.port
KAFNUS_LOG_LEVEL: logLevel
{{- end -}}

{{/* Settings that come from Secrets and from the pod, and whose values they are. */}}
{{- define "kafnus.references" -}}
KAFNUS_INSTANCE_ID: the name of the pod
KAFNUS_HTTP_HOST: all addresses, so that probes reach it
KAFNUS_CONFIG: no file; the values are the configuration
KAFNUS_KAFKA_SASL_USERNAME: kafka.sasl.secretName
KAFNUS_KAFKA_SASL_PASSWORD: kafka.sasl.secretName
KAFNUS_KAFKA_OAUTH_CLIENT_ID: kafka.sasl.secretName
KAFNUS_KAFKA_OAUTH_CLIENT_SECRET: kafka.sasl.secretName
KAFNUS_KAFKA_OAUTH_CA: kafka.sasl.oauth.caSecretName
KAFNUS_KAFKA_SSL_CA: kafka.tls.caSecretName
KAFNUS_KAFKA_SSL_CERTIFICATE: kafka.tls.certificateSecretName
KAFNUS_KAFKA_SSL_KEY: kafka.tls.certificateSecretName
KAFNUS_KAFKA_SSL_KEY_PASSWORD: kafka.tls.privateKeyPasswordKey
KAFNUS_ADMIN_TOKEN: http.adminToken.secretName
{{- end -}}

{{/* One value as the text of an environment variable. Helm's numbers are floats: 1000000 must not become 1e+06. */}}
{{- define "kafnus.text" -}}
{{- if kindIs "slice" . -}}
{{ join "," . }}
{{- else if kindIs "map" . -}}
{{ toJson . }}
{{- else if kindIs "float64" . -}}
{{ if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{/* What the values set, as a map of environment variables. Empty values are left to the agent's defaults; false is not empty. */}}
{{- define "kafnus.settings" -}}
{{- $settings := dict -}}
{{- range $name, $path := include "kafnus.table" . | fromYaml -}}
{{- $value := $.Values -}}
{{- range splitList "." $path -}}{{- $value = index $value . -}}{{- end -}}
{{- if or $value (kindIs "bool" $value) -}}
{{- $_ := set $settings $name (include "kafnus.text" $value) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $settings "KAFNUS_KAFKA_BROKERS" (include "kafnus.brokers" .) -}}
{{- range $name, $value := .Values.settings -}}
{{- $_ := set $settings $name (include "kafnus.text" $value) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}
