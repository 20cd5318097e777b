{{- define "imageclassifier.operatorImage" -}}
{{- .Values.images.operator | default (printf "%s/operator:%s" .Values.images.registry .Chart.AppVersion) -}}
{{- end -}}

{{- define "imageclassifier.gatewayImage" -}}
{{- .Values.images.gateway | default (printf "%s/gateway:%s" .Values.images.registry .Chart.AppVersion) -}}
{{- end -}}

{{- define "imageclassifier.roleKind" -}}
{{- eq .Values.scope "cluster" | ternary "ClusterRole" "Role" -}}
{{- end -}}

{{- /* Whether to create objects of a kind of the Prometheus operator: list CONTEXT CREATE KIND; empty is no. */ -}}
{{- define "imageclassifier.creates" -}}
{{- $context := index . 0 -}}
{{- $create := index . 1 -}}
{{- $kind := index . 2 -}}
{{- if eq $create "always" -}}
yes
{{- else if and (eq $create "auto") ($context.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" $kind)) -}}
yes
{{- end -}}
{{- end -}}
