{{- define "rekollect.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "rekollect.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "rekollect.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rekollect.selector" -}}
app.kubernetes.io/name: {{ include "rekollect.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "rekollect.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "rekollect.labels" -}}
{{ include "rekollect.selector" . }}
{{ include "rekollect.commonLabels" . }}
{{- end -}}

{{- define "rekollect.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rekollect.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "rekollect.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* "true" with Postgres, "" with SQLite. */}}
{{- define "rekollect.postgres" -}}
{{- if or .Values.database.url .Values.database.existingSecret -}}true{{- end -}}
{{- end -}}

{{/* What the chart's own Secret holds, as YAML; empty when every secret is somebody else's. */}}
{{- define "rekollect.secretData" -}}
{{- with .Values.database.url }}
database-url: {{ . | quote }}
{{- end }}
{{- with .Values.auth.pair.accessKeyId }}
access-key-id: {{ . | quote }}
secret-access-key: {{ $.Values.auth.pair.secretAccessKey | quote }}
{{- end }}
{{- with .Values.s3.accessKeyId }}
s3-access-key-id: {{ . | quote }}
s3-secret-access-key: {{ $.Values.s3.secretAccessKey | quote }}
{{- end }}
{{- end -}}

{{/* Refuses what the server would refuse, or what would lose faces, before anything is in the cluster. */}}
{{- define "rekollect.check" -}}
{{- $v := .Values -}}
{{- if not $v.image.repository -}}
{{- fail "image.repository is empty: no image is published, so build it (docker build -t REGISTRY/rekollect .), push it, and set image.repository" -}}
{{- end -}}
{{- $pair := or $v.auth.pair.existingSecret $v.auth.pair.accessKeyId $v.auth.pair.secretAccessKey -}}
{{- $ways := list -}}
{{- if $v.auth.credentials.existingSecret -}}{{- $ways = append $ways "auth.credentials" -}}{{- end -}}
{{- if $pair -}}{{- $ways = append $ways "auth.pair" -}}{{- end -}}
{{- if $v.auth.open -}}{{- $ways = append $ways "auth.open" -}}{{- end -}}
{{- if eq (len $ways) 0 -}}
{{- fail "nobody is said to be allowed to call: set auth.credentials.existingSecret (a file of keys), or auth.pair (one key), or, if everybody who reaches the server may read and delete faces, auth.open=true" -}}
{{- end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "%s are both set: keep one of them" (join " and " $ways)) -}}
{{- end -}}
{{- if and $v.auth.pair.existingSecret (or $v.auth.pair.accessKeyId $v.auth.pair.secretAccessKey) -}}
{{- fail "auth.pair names an existing Secret and a key as well: keep one of them" -}}
{{- end -}}
{{- if ne (empty $v.auth.pair.accessKeyId) (empty $v.auth.pair.secretAccessKey) -}}
{{- fail "auth.pair has one half of a key: set both accessKeyId and secretAccessKey" -}}
{{- end -}}
{{- if and $v.database.url $v.database.existingSecret -}}
{{- fail "database.url and database.existingSecret are both set: keep one of them" -}}
{{- end -}}
{{- if not (include "rekollect.postgres" .) -}}
{{- if gt (int $v.replicas) 1 -}}
{{- fail "replicas is more than 1 without Postgres: a SQLite file belongs to one server; set database.existingSecret or database.url" -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- fail "autoscaling needs Postgres: a SQLite file belongs to one server; set database.existingSecret or database.url" -}}
{{- end -}}
{{- if $v.podDisruptionBudget.enabled -}}
{{- fail "podDisruptionBudget needs several servers, and so Postgres: with one server it would either protect nothing or keep its node from being drained" -}}
{{- end -}}
{{- if eq $v.search "pgvector" -}}
{{- fail "search=pgvector needs Postgres: set database.existingSecret or database.url" -}}
{{- end -}}
{{- else if $v.podDisruptionBudget.enabled -}}
{{- if lt (int (ternary $v.autoscaling.minReplicas $v.replicas $v.autoscaling.enabled)) 2 -}}
{{- fail "podDisruptionBudget needs at least two servers: set replicas, or autoscaling.minReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- $s3key := or $v.s3.existingSecret $v.s3.accessKeyId $v.s3.secretAccessKey -}}
{{- if and $s3key (not (or $v.s3.endpoint $v.s3.region)) -}}
{{- fail "s3 has a key but no server: set s3.endpoint or s3.region" -}}
{{- end -}}
{{- if and $v.s3.existingSecret (or $v.s3.accessKeyId $v.s3.secretAccessKey) -}}
{{- fail "s3 names an existing Secret and a key as well: keep one of them" -}}
{{- end -}}
{{- if ne (empty $v.s3.accessKeyId) (empty $v.s3.secretAccessKey) -}}
{{- fail "s3 has one half of a key: set both accessKeyId and secretAccessKey" -}}
{{- end -}}
{{- if and $v.metrics.serviceMonitor.enabled (not $v.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor asks for /metrics, which the server does not answer unless metrics.enabled=true" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}
{{- fail "ingress.host is empty: signatures cover the host that clients ask for, so name it" -}}
{{- end -}}
{{- $own := dict
  "REKOLLECT_LISTEN" "listenAddress" "REKOLLECT_DATA_DIR" "persistence" "DATABASE_URL" "database"
  "REKOLLECT_DATABASE_CONNECTIONS" "database.connections" "REKOLLECT_SEARCH" "search" "REKOLLECT_WORKERS" "workers"
  "REKOLLECT_METRICS" "metrics.enabled" "REKOLLECT_SHUTDOWN_TIMEOUT" "shutdownTimeoutSeconds"
  "REKOLLECT_AUTH" "auth" "REKOLLECT_CREDENTIALS" "auth.credentials"
  "REKOLLECT_ACCESS_KEY_ID" "auth.pair" "REKOLLECT_SECRET_ACCESS_KEY" "auth.pair"
  "REKOLLECT_S3_ENDPOINT" "s3.endpoint" "REKOLLECT_S3_REGION" "s3.region" "REKOLLECT_S3_STYLE" "s3.style"
  "REKOLLECT_S3_ACCESS_KEY_ID" "s3" "REKOLLECT_S3_SECRET_ACCESS_KEY" "s3"
  "REKOLLECT_TLS_CERTIFICATE" "tls.existingSecret" "REKOLLECT_TLS_KEY" "tls.existingSecret" -}}
{{- range $name, $_ := $v.settings -}}
{{- if hasKey $own $name -}}
{{- fail (printf "settings.%s: the chart sets this variable itself, by the value %s" $name (get $own $name)) -}}
{{- end -}}
{{- if eq $name "REKOLLECT_TLS_CLIENT_CA" -}}
{{- fail "settings.REKOLLECT_TLS_CLIENT_CA asks for client certificates, which the probes of Kubernetes cannot show" -}}
{{- end -}}
{{- if has $name (list "REKOLLECT_S3_SESSION_TOKEN" "OTEL_EXPORTER_OTLP_HEADERS") -}}
{{- fail (printf "settings.%s is a secret and would be readable in the pod's specification: take extraEnv with a secretKeyRef" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How the server is called. */}}
{{- define "rekollect.scheme" -}}
{{- ternary "https" "http" (not (empty .Values.tls.existingSecret)) -}}
{{- end -}}

{{/* Where the server finds its certificate. `rekollect healthcheck` reads the same variables. */}}
{{- define "rekollect.tlsEnv" -}}
- name: REKOLLECT_TLS_CERTIFICATE
  value: /etc/rekollect-tls/tls.crt
- name: REKOLLECT_TLS_KEY
  value: /etc/rekollect-tls/tls.key
{{- end -}}

{{- define "rekollect.tlsMount" -}}
- name: tls
  mountPath: /etc/rekollect-tls
  readOnly: true
{{- end -}}

{{- define "rekollect.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ .Values.tls.existingSecret }}
    defaultMode: 0440
{{- end -}}

{{/* The server's environment. */}}
{{- define "rekollect.env" -}}
{{- $own := include "rekollect.fullname" . -}}
- name: REKOLLECT_LISTEN
  value: {{ printf "%s:7350" .Values.listenAddress | quote }}
# ONNX Runtime would call its maker at each start.
- name: ORT_DISABLE_TELEMETRY
  value: "1"
- name: REKOLLECT_WORKERS
  value: {{ int .Values.workers | quote }}
- name: REKOLLECT_SEARCH
  value: {{ .Values.search | quote }}
- name: REKOLLECT_SHUTDOWN_TIMEOUT
  value: {{ int .Values.shutdownTimeoutSeconds | quote }}
- name: REKOLLECT_METRICS
  value: {{ ternary "on" "off" .Values.metrics.enabled | quote }}
{{- if include "rekollect.postgres" . }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ default $own .Values.database.existingSecret }}
      key: {{ ternary .Values.database.key "database-url" (not (empty .Values.database.existingSecret)) }}
- name: REKOLLECT_DATABASE_CONNECTIONS
  value: {{ int .Values.database.connections | quote }}
{{- else }}
- name: REKOLLECT_DATA_DIR
  value: /data
{{- end }}
{{- if .Values.auth.open }}
- name: REKOLLECT_AUTH
  value: open
{{- else }}
- name: REKOLLECT_AUTH
  value: signed
{{- end }}
{{- if .Values.auth.credentials.existingSecret }}
- name: REKOLLECT_CREDENTIALS
  value: {{ printf "/etc/rekollect/%s" .Values.auth.credentials.key | quote }}
{{- end }}
{{- with .Values.auth.pair }}
{{- if or .existingSecret .accessKeyId }}
- name: REKOLLECT_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ default $own .existingSecret }}
      key: {{ ternary .accessKeyIdKey "access-key-id" (not (empty .existingSecret)) }}
- name: REKOLLECT_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ default $own .existingSecret }}
      key: {{ ternary .secretAccessKeyKey "secret-access-key" (not (empty .existingSecret)) }}
{{- end }}
{{- end }}
{{- with .Values.s3 }}
{{- with .endpoint }}
- name: REKOLLECT_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .region }}
- name: REKOLLECT_S3_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .style }}
- name: REKOLLECT_S3_STYLE
  value: {{ . | quote }}
{{- end }}
{{- if or .existingSecret .accessKeyId }}
- name: REKOLLECT_S3_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ default $own .existingSecret }}
      key: {{ ternary .accessKeyIdKey "s3-access-key-id" (not (empty .existingSecret)) }}
- name: REKOLLECT_S3_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ default $own .existingSecret }}
      key: {{ ternary .secretAccessKeyKey "s3-secret-access-key" (not (empty .existingSecret)) }}
{{- end }}
{{- end }}
{{- if .Values.tls.existingSecret }}
{{ include "rekollect.tlsEnv" . }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rekollect.podSecurityContext" -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if not .Values.openshift -}}
{{- $context = mergeOverwrite $context (deepCopy .Values.podSecurityContext) -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "rekollect.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The template of a pod, of the Deployment and the StatefulSet alike. */}}
{{- define "rekollect.pod" -}}
{{- $grace := add (int .Values.shutdownTimeoutSeconds) (int .Values.preStopSeconds) 10 -}}
metadata:
  labels:
    {{- include "rekollect.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: rekollect
    {{- with include "rekollect.secretData" . | trim }}
    # A changed secret takes a start to be read.
    checksum/secret: {{ . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "rekollect.serviceAccount" . }}
  automountServiceAccountToken: false
  # The variables of a Service named rekollect would begin like settings of the server.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "rekollect.podSecurityContext" . | nindent 4 }}
  terminationGracePeriodSeconds: {{ $grace }}
  containers:
    - name: rekollect
      image: {{ include "rekollect.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        {{- include "rekollect.env" . | nindent 8 }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 7350
      {{- $scheme := include "rekollect.scheme" . | upper }}
      startupProbe:
        httpGet: {path: /readyz, port: http, scheme: {{ $scheme }}}
        {{- toYaml .Values.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
        {{- toYaml .Values.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: http, scheme: {{ $scheme }}}
        {{- toYaml .Values.probes.readiness | nindent 8 }}
      {{- if and .Values.preStopSeconds (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}
      lifecycle:
        # The server stops listening at SIGTERM; load balancers need a moment to learn that it goes. The image has no shell to sleep in.
        preStop:
          sleep:
            seconds: {{ int .Values.preStopSeconds }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "rekollect.containerSecurityContext" . | nindent 8 }}
      {{- $volumes := or .Values.auth.credentials.existingSecret .Values.tls.existingSecret .Values.extraVolumeMounts (not (include "rekollect.postgres" .)) }}
      {{- if $volumes }}
      volumeMounts:
        {{- if not (include "rekollect.postgres" .) }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- if .Values.auth.credentials.existingSecret }}
        - name: credentials
          mountPath: /etc/rekollect
          readOnly: true
        {{- end }}
        {{- if .Values.tls.existingSecret }}
        {{- include "rekollect.tlsMount" . | nindent 8 }}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
  {{- $emptyData := and (not (include "rekollect.postgres" .)) (not .Values.persistence.enabled) }}
  {{- if or .Values.auth.credentials.existingSecret .Values.tls.existingSecret .Values.extraVolumes $emptyData }}
  volumes:
    {{- if $emptyData }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- if .Values.auth.credentials.existingSecret }}
    - name: credentials
      secret:
        secretName: {{ .Values.auth.credentials.existingSecret }}
        defaultMode: 0440
        items:
          - key: {{ .Values.auth.credentials.key }}
            path: {{ .Values.auth.credentials.key }}
    {{- end }}
    {{- if .Values.tls.existingSecret }}
    {{- include "rekollect.tlsVolume" . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not (hasKey . "labelSelector") }}
      labelSelector:
        matchLabels:
          {{- include "rekollect.selector" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end -}}
