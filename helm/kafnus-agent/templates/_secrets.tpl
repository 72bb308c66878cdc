{{/*
The secrets that the values refer to, one entry each: file is where the agent finds it below /etc/kafnus, env the setting that
names the file, keda the parameter of KEDA's scaler. The user name comes as a variable, for the agent takes no file for it.
*/}}
{{- define "kafnus.secrets" -}}
{{- $sasl := .Values.kafka.sasl -}}
{{- $tls := .Values.kafka.tls -}}
{{- $oauth := eq $sasl.mechanism "OAUTHBEARER" -}}
{{- with $sasl.secretName }}
- {secret: {{ . }}, key: {{ $sasl.usernameKey | quote }}, variable: {{ ternary "KAFNUS_KAFKA_OAUTH_CLIENT_ID" "KAFNUS_KAFKA_SASL_USERNAME" $oauth }}, keda: username}
- {secret: {{ . }}, key: {{ $sasl.passwordKey | quote }}, file: sasl/password, env: {{ ternary "KAFNUS_KAFKA_OAUTH_CLIENT_SECRET_FILE" "KAFNUS_KAFKA_SASL_PASSWORD_FILE" $oauth }}, keda: password}
{{- end }}
{{- with $sasl.oauth.caSecretName }}
- {secret: {{ . }}, key: {{ $sasl.oauth.caKey | quote }}, file: oauth/ca.crt, env: KAFNUS_KAFKA_OAUTH_CA}
{{- end }}
{{- with $tls.caSecretName }}
- {secret: {{ . }}, key: {{ $tls.caKey | quote }}, file: tls/ca.crt, env: KAFNUS_KAFKA_SSL_CA, keda: ca}
{{- end }}
{{- with $tls.certificateSecretName }}
- {secret: {{ . }}, key: {{ $tls.certificateKey | quote }}, file: tls/tls.crt, env: KAFNUS_KAFKA_SSL_CERTIFICATE, keda: cert}
- {secret: {{ . }}, key: {{ $tls.privateKeyKey | quote }}, file: tls/tls.key, env: KAFNUS_KAFKA_SSL_KEY, keda: key}
{{- with $tls.privateKeyPasswordKey }}
- {secret: {{ $tls.certificateSecretName }}, key: {{ . | quote }}, file: tls/password, env: KAFNUS_KAFKA_SSL_KEY_PASSWORD_FILE, keda: keyPassword}
{{- end }}
{{- end }}
{{- with .Values.http.adminToken.secretName }}
- {secret: {{ . }}, key: {{ $.Values.http.adminToken.key | quote }}, file: http/token, env: KAFNUS_ADMIN_TOKEN_FILE}
{{- end }}
{{- end -}}
