{{/* What the schema cannot say: values that do not fit together, each with what to do. */}}
{{- define "kafnus.validate" -}}
{{- $v := .Values -}}
{{- $partitions := int $v.topics.partitions -}}
{{- $reason := printf "each partition is read by one pod only, so more pods than partitions would be idle" -}}

{{- if not $v.agent -}}
{{- fail "agent is not set: which agent is it, historic, lastdata, mutable or errors? Use its values file, such as -f services/historic/helm-values.yaml" -}}
{{- end -}}
{{- if gt (len (include "kafnus.name" .)) 43 -}}
{{- fail (printf "the name %q is longer than 43 characters, and the names of pods and of the topics Job are longer still: choose a shorter release name or fullnameOverride" (include "kafnus.name" .)) -}}
{{- end -}}

{{- if not $v.kafka.brokers -}}
{{- fail "kafka.brokers is not set: where is Kafka? For example --set kafka.brokers=kafka-bootstrap.kafka:9092" -}}
{{- end -}}
{{- range splitList "," (include "kafnus.brokers" .) -}}
{{- if not (regexMatch `^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}$` .) -}}
{{- fail (printf "kafka.brokers: %q is not host:port, several separated by commas" (trunc 80 .)) -}}
{{- end -}}
{{- end -}}

{{- if ne (int $v.concurrency) 1 -}}
{{- fail (printf "concurrency is %d: it must stay 1 on Kubernetes. A pod is one consumer, so that requests, autoscaling and probes speak of one process: raise replicas or autoscaling.maxReplicas instead" (int $v.concurrency)) -}}
{{- end -}}

{{- if eq $v.autoscaling.type "none" -}}
{{- if gt (int $v.replicas) $partitions -}}
{{- fail (printf "replicas is %d, topics.partitions is %d: %s. Lower replicas, or give the raw topic more partitions first (docs/operations.md)" (int $v.replicas) $partitions $reason) -}}
{{- end -}}
{{- else -}}
{{- if gt (int $v.autoscaling.maxReplicas) $partitions -}}
{{- fail (printf "autoscaling.maxReplicas is %d, topics.partitions is %d: %s. Lower maxReplicas, or give the raw topic more partitions first (docs/operations.md)" (int $v.autoscaling.maxReplicas) $partitions $reason) -}}
{{- end -}}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d, more than maxReplicas (%d)" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.autoscaling.type "cpu") (not (dig "requests" "cpu" "" $v.resources)) -}}
{{- fail "autoscaling.type is cpu, and its target is a percentage of resources.requests.cpu, which is not set" -}}
{{- end -}}
{{- if and (eq $v.autoscaling.type "lag") (eq $v.kafka.sasl.mechanism "GSSAPI") (not $v.autoscaling.lag.authenticationRef) -}}
{{- fail "autoscaling.type is lag with kafka.sasl.mechanism GSSAPI: make a TriggerAuthentication of KEDA for it, and name it in autoscaling.lag.authenticationRef" -}}
{{- end -}}

{{- $protocol := $v.kafka.securityProtocol -}}
{{- if hasPrefix "sasl_" $protocol -}}
{{- if not $v.kafka.sasl.mechanism -}}
{{- fail (printf "kafka.securityProtocol is %s, and kafka.sasl.mechanism is not set" $protocol) -}}
{{- end -}}
{{- if and (not $v.kafka.sasl.secretName) (ne $v.kafka.sasl.mechanism "GSSAPI") -}}
{{- fail (printf "kafka.sasl.mechanism is %s, and kafka.sasl.secretName is not set: name the Secret that holds the user and the password" $v.kafka.sasl.mechanism) -}}
{{- end -}}
{{- if and (eq $v.kafka.sasl.mechanism "OAUTHBEARER") (not $v.kafka.sasl.oauth.tokenUrl) -}}
{{- fail "kafka.sasl.mechanism is OAUTHBEARER, and kafka.sasl.oauth.tokenUrl is not set" -}}
{{- end -}}
{{- else if or $v.kafka.sasl.mechanism $v.kafka.sasl.secretName -}}
{{- fail (printf "kafka.securityProtocol is %s, which leaves kafka.sasl unused: set sasl_ssl or sasl_plaintext, or remove kafka.sasl" $protocol) -}}
{{- end -}}
{{- if and (or $v.kafka.tls.caSecretName $v.kafka.tls.certificateSecretName) (not (hasSuffix "ssl" $protocol)) -}}
{{- fail (printf "kafka.securityProtocol is %s, which leaves kafka.tls unused: set ssl or sasl_ssl, or remove kafka.tls" $protocol) -}}
{{- end -}}

{{- range $client := list "consumer" "producer" -}}
{{- range $property, $_ := index $v.kafka $client -}}
{{- if regexMatch `(?i)(password|secret|key\.pem|jaas|credentials)` $property -}}
{{- fail (printf "kafka.%s: %q looks like a secret, and this would go into a ConfigMap. Put the JSON object with these properties into a Secret, mount it (extraVolumes, extraVolumeMounts), and name the file in extraEnv, as KAFNUS_KAFKA_%s_FILE" $client $property (upper $client)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if gt (add (int $v.delivery.shutdownTimeoutMs) 2000) (mul (int $v.terminationGracePeriodSeconds) 1000) -}}
{{- fail (printf "delivery.shutdownTimeoutMs is %d: an orderly stop could take longer than terminationGracePeriodSeconds (%d) less two seconds, and be killed" (int $v.delivery.shutdownTimeoutMs) (int $v.terminationGracePeriodSeconds)) -}}
{{- end -}}

{{- if and $v.ngsi.missingTimeInstant (not (has $v.agent (list "historic" "mutable"))) -}}
{{- fail (printf "ngsi.missingTimeInstant is a setting of historic and mutable: the %s agent has none" $v.agent) -}}
{{- end -}}
{{- if eq $v.agent "errors" -}}
{{- range list "dataModel" "attributeErrors" "defaultService" "defaultServicepath" -}}
{{- if index $v.ngsi . -}}
{{- fail (printf "ngsi.%s is a setting of historic, lastdata and mutable: the errors agent has none" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $own := include "kafnus.table" . | fromYaml -}}
{{- $references := include "kafnus.references" . | fromYaml -}}
{{- $secret := `_(PASSWORD|SECRET|TOKEN|SSL_KEY)$` -}}
{{- range $name, $_ := $v.settings -}}
{{- if not (regexMatch `^KAFNUS_[A-Z_]+$` $name) -}}
{{- fail (printf "settings: %q is not the environment name of a setting, such as KAFNUS_BATCH_SIZE" (trunc 80 $name)) -}}
{{- end -}}
{{- if hasKey $own $name -}}
{{- fail (printf "settings: %s has a value of its own: set %s" $name (get $own $name)) -}}
{{- end -}}
{{- if hasKey $references $name -}}
{{- fail (printf "settings: %s is set by the chart: %s" $name (get $references $name)) -}}
{{- end -}}
{{- if regexMatch $secret $name -}}
{{- fail (printf "settings: %s is a secret, and this would go into a ConfigMap: use extraEnv with a secretKeyRef" $name) -}}
{{- end -}}
{{- end -}}
{{- range $v.extraEnv -}}
{{- if hasKey (include "kafnus.settings" $ | fromYaml) .name -}}
{{- fail (printf "extraEnv: %s is set already: by %s" .name (get $own .name | default "settings")) -}}
{{- end -}}
{{- if or (eq .name "KAFNUS_CONCURRENCY") (eq .name "KAFNUS_INSTANCE_ID") -}}
{{- fail (printf "extraEnv: %s is set by the chart" .name) -}}
{{- end -}}
{{- if and (hasKey . "value") (regexMatch (printf `^KAFNUS_.*%s` $secret) .name) -}}
{{- fail (printf "extraEnv: %s is a secret: give it by valueFrom.secretKeyRef" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
