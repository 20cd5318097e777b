{{- /* The end of an image reference with a digest; empty without one. */ -}}
{{- define "imageclassifier.atDigest" -}}
{{- with . }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "imageclassifier.operatorImage" -}}
{{- $ours := printf "%s/operator:%s%s" .Values.images.registry .Chart.AppVersion (include "imageclassifier.atDigest" .Values.images.operatorDigest) -}}
{{- .Values.images.operator | default $ours -}}
{{- end -}}

{{- define "imageclassifier.gatewayImage" -}}
{{- $ours := printf "%s/gateway:%s%s" .Values.images.registry .Chart.AppVersion (include "imageclassifier.atDigest" .Values.images.gatewayDigest) -}}
{{- .Values.images.gateway | default $ours -}}
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
