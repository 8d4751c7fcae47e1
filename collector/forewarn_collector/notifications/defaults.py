"""The templates that are there without any file, by the names that configurations call.

The names are Alertmanager's, the words our own.
"""

from __future__ import annotations

DEFAULTS = """
{{- define "__alertmanager" }}Forewarn{{ end }}
{{- define "__alertmanagerURL" }}{{ .ExternalURL }}{{ end }}
{{- define "__subject" -}}
  [{{ if .Alerts.Firing }}FIRING:{{ len .Alerts.Firing }}{{ else }}RESOLVED{{ end }}]
  {{- range .GroupLabels.SortedPairs }} {{ .Value }}{{ end }}
  {{- with .CommonAnnotations.summary }}: {{ . }}{{ end }}
{{- end }}
{{- define "__description" }}{{ .CommonAnnotations.description }}{{ end }}
{{- define "__text_alert_list" -}}
{{- range . }}{{ .Status }} since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}
{{ range .Labels.SortedPairs }}  {{ .Name }}: {{ .Value }}
{{ end }}{{ range .Annotations.SortedPairs }}  {{ .Name }}: {{ .Value }}
{{ end }}{{ with .GeneratorURL }}  from {{ . }}
{{ end }}{{ end }}
{{- end }}
{{- define "__text_alert_list_markdown" -}}
{{- range . }}**{{ .Status }}** since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}
{{ range .Labels.SortedPairs }}- {{ .Name }}: `{{ .Value }}`
{{ end }}{{ range .Annotations.SortedPairs }}- {{ .Name }}: {{ .Value }}
{{ end }}{{ with .GeneratorURL }}- [source]({{ . }})
{{ end }}{{ end }}
{{- end }}
{{- define "__all_alerts" -}}
{{ template "__text_alert_list" .Alerts.Firing }}{{ template "__text_alert_list" .Alerts.Resolved }}
{{- end }}
{{- define "email.default.subject" }}{{ template "__subject" . }}{{ end }}
{{- define "email.default.html" -}}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ template "__subject" . }}</title></head>
<body style="font-family: sans-serif">
<h2>{{ template "__subject" . }}</h2>
{{- range .Alerts }}
<h3>{{ .Labels.alertname }}: {{ .Status }}</h3>
<p>Since {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}</p>
<table>
{{- range .Labels.SortedPairs }}
<tr><th align="left">{{ .Name }}</th><td>{{ .Value }}</td></tr>
{{- end }}
{{- range .Annotations.SortedPairs }}
<tr><th align="left">{{ .Name }}</th><td>{{ .Value }}</td></tr>
{{- end }}
</table>
{{- with .GeneratorURL }}
<p><a href="{{ . }}">Where it comes from</a></p>
{{- end }}
{{- end }}
<p><a href="{{ template "__alertmanagerURL" . }}">{{ template "__alertmanager" . }}</a></p>
</body></html>
{{- end }}
""" + "".join(
    f'{{{{- define "{name}" }}}}{body}{{{{ end }}}}\n'
    for body, names in {
        '{{ template "__subject" . }}': (
            "slack.default.title pagerduty.default.description opsgenie.default.message "
            "victorops.default.entity_display_name pushover.default.title sns.default.subject "
            "discord.default.title msteams.default.title msteams.default.summary "
            "msteamsv2.default.title jira.default.summary rocketchat.default.title "
            "mattermost.default.title slack.default.fallback"
        ),
        '{{ template "__all_alerts" . }}': (
            "opsgenie.default.description victorops.default.state_message "
            "pushover.default.message sns.default.message telegram.default.message "
            "discord.default.message webex.default.message wechat.default.message"
        ),
        '{{ template "__text_alert_list" . }}': "pagerduty.default.instances",
        '{{ template "__text_alert_list_markdown" .Alerts }}': (
            "msteams.default.text msteamsv2.default.text jira.default.description "
            "mattermost.default.text"
        ),
        '{{ template "__alertmanager" . }}': (
            "slack.default.username pagerduty.default.client victorops.default.monitoring_tool"
        ),
        '{{ template "__alertmanagerURL" . }}': (
            "slack.default.titlelink pagerduty.default.clientURL opsgenie.default.source "
            "pushover.default.url rocketchat.default.titlelink mattermost.default.titlelink"
        ),
        '{{ template "__description" . }}': "slack.default.text rocketchat.default.text",
        "": (
            "slack.default.callbackid slack.default.pretext slack.default.iconemoji "
            "slack.default.iconurl slack.default.footer wechat.default.to_user "
            "wechat.default.to_party wechat.default.to_tag wechat.default.agent_id"
        ),
    }.items()
    for name in names.split()
)
