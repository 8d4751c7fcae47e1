"""Reads the receivers of an alertmanager.yml: which of them can be a queue, and which can't yet."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from forewarn_collector.config_urls import http_url
from forewarn_collector.silencing.configuration import Email, HttpClient, Pager, Receiver, Webhook
from forewarn_collector.silencing.reading_fields import Notes
from forewarn_collector.silencing.reading_templates import read_headers, read_template
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, text, whole_number

OTHER_KINDS = (
    "discord",
    "incidentio",
    "jira",
    "mattermost",
    "msteams",
    "msteamsv2",
    "opsgenie",
    "pushover",
    "rocketchat",
    "slack",
    "sns",
    "telegram",
    "victorops",
    "webex",
    "wechat",
)
"""What Alertmanager tells and we have no queue for; fields are called as these, with _configs."""

_SMTP = (
    "smtp_smarthost",
    "smtp_from",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_require_tls",
)
# Settings of kinds above, and what our queues have no use for.
_UNUSED_GLOBALS = (
    "smtp_hello",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_auth_identity",
    "smtp_tls_config",
    "smtp_force_implicit_tls",
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_token_file",
    "slack_app_url",
    "opsgenie_api_key",
    "opsgenie_api_key_file",
    "opsgenie_api_url",
    "wechat_api_url",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_corp_id",
    "victorops_api_key",
    "victorops_api_key_file",
    "victorops_api_url",
    "telegram_api_url",
    "telegram_bot_token",
    "telegram_bot_token_file",
    "webex_api_url",
    "jira_api_url",
    "rocketchat_api_url",
    "rocketchat_token",
    "rocketchat_token_file",
    "rocketchat_token_id",
    "rocketchat_token_id_file",
    "mattermost_webhook_url",
    "mattermost_webhook_url_file",
)
_UNUSED_HTTP = ("oauth2", "proxy_url", "proxy_connect_header")
_IGNORED_HTTP = ("follow_redirects", "enable_http2", "no_proxy", "proxy_from_environment")
_PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_PAGER_UNUSED = (
    *("service_key", "service_key_file", "severity", "description", "details", "source", "links"),
    *("class", "component", "group", "client", "client_url", "images", "http_config", "timeout"),
)
_EMAIL_UNUSED = (
    "auth_identity",
    "auth_secret",
    "auth_secret_file",
    "force_implicit_tls",
    "hello",
    "threading",
    "tls_config",
)


def read_receivers(document: Section, common: Section | None, notes: Notes) -> dict[str, Receiver]:
    """The receivers by their names; `common` is the section `global`."""
    globals_ = _Globals(common, notes)
    found: dict[str, Receiver] = {}
    for section in document.sections("receivers"):
        receiver = _receiver(section, globals_, notes)
        if receiver.name in found:
            said = f'notification config name "{receiver.name}" is not unique'
            section.problem("name", said, "give each its own")
        found[receiver.name] = receiver
    return found


class _Globals:
    """What `global` says for all receivers."""

    def __init__(self, section: Section | None, notes: Notes) -> None:
        self.section = section
        self.http = HttpClient()
        self.pagerduty_url = _PAGERDUTY_URL
        if section is None:
            return
        self.pagerduty_url = section.take("pagerduty_url", http_url, _PAGERDUTY_URL)
        self.http = _http(section, self.http, notes)
        for name in _UNUSED_GLOBALS:
            if name in section:
                section.section(name) if name == "smtp_tls_config" else section.take(
                    name, lambda value: value, None
                )
                notes.add(section, name, f"{name} is not taken", "no queue of ours needs it")
        for name in _SMTP:
            section.take(name, lambda value: value, None)
        section.refuse_unknown()


def _receiver(section: Section, globals_: _Globals, notes: Notes) -> Receiver:
    name = section.require("name", text, "")
    webhooks = [_webhook(each, globals_, notes) for each in section.sections("webhook_configs")]
    emails = [_email(each, globals_, notes) for each in section.sections("email_configs")]
    found = [_pager(each, globals_, notes) for each in section.sections("pagerduty_configs")]
    pagers = [pager for pager in found if pager is not None]
    others = [kind for kind in OTHER_KINDS if f"{kind}_configs" in section]
    for kind in others:
        section.sections(f"{kind}_configs")
        notes.add(
            section,
            f"{kind}_configs",
            f"{name}: {kind} is not yet a queue",
            _instead(name, bool(webhooks or emails or pagers)),
        )
    if None in found:
        others.append("pagerduty")
    section.refuse_unknown()
    return Receiver(name, section.place()[0], (*webhooks, *emails, *pagers), tuple(others))


def _instead(name: str, has_queue: bool) -> str:
    if has_queue:
        return "its tasks go to what else the receiver tells"
    return f"its tasks go to the queue {name} of collector.yml, or to the default queue"


def _webhook(section: Section, globals_: _Globals, notes: Notes) -> Webhook:
    file = section.take("url_file", text, "")
    url = _url_in(section, file) if file else section.require("url", http_url, "")
    webhook = Webhook(
        url=url,
        send_resolved=section.take("send_resolved", boolean, True),
        max_alerts=section.take("max_alerts", whole_number, 0),
        http=_http(section, globals_.http, notes),
    )
    if "timeout" in section:
        section.take("timeout", lambda value: value, None)
        notes.add(section, "timeout", "timeout is not taken", "an attempt has 10 s")
    section.refuse_unknown()
    return webhook


def _http(section: Section, inherited: HttpClient, notes: Notes) -> HttpClient:
    own = section.section("http_config")
    if own is None:
        return inherited
    header = ""
    basic = own.section("basic_auth")
    if basic is not None:
        user = basic.take("username", text, "")
        password = _secret(basic, "password")
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        header = f"Basic {pair}"
        basic.refuse_unknown()
    token = _secret(own, "bearer_token")
    if token:
        header = f"Bearer {token}"
    authorization = own.section("authorization")
    if authorization is not None:
        scheme = authorization.take("type", text, "Bearer")
        header = f"{scheme} {_secret(authorization, 'credentials')}"
        authorization.refuse_unknown()
    files = {"ca_file": "", "cert_file": "", "key_file": ""}
    tls = own.section("tls_config")
    if tls is not None:
        files = {name: _path(tls, tls.take(name, text, "")) for name in files}
        for name in ("server_name", "insecure_skip_verify", "min_version", "max_version"):
            if name in tls:
                tls.take(name, lambda value: value, None)
                notes.add(tls, name, f"tls_config.{name} is not taken", "the name is verified")
        tls.refuse_unknown()
    for name in _UNUSED_HTTP:
        if name in own:
            own.take(name, lambda value: value, None)
            notes.add(own, name, f"http_config.{name} is not taken", "the call is made without it")
    for name in _IGNORED_HTTP:
        own.take(name, lambda value: value, None)
    own.refuse_unknown()
    return HttpClient(header, **files)


def _email(section: Section, globals_: _Globals, notes: Notes) -> Email:
    common = globals_.section

    def setting(name: str, read: Any, default: Any) -> Any:
        inherited = default
        if common is not None:
            inherited = common.take(f"smtp_{name}", read, default)
        return section.take(name, read, inherited)

    host, port = setting("smarthost", _smarthost, ("", 0))
    if not host:
        section.problem("", "no global SMTP smarthost set", "smarthost: mail.example.org:587")
    sender = section.take("from", text, common.take("smtp_from", text, "") if common else "")
    if not sender:
        section.problem("", "no global SMTP from set", "from: alerts@example.org")
    password = _secret(section, "auth_password")
    if not password and common is not None:
        password = _secret(common, "smtp_auth_password")
    email = Email(
        to=section.require("to", text, ""),
        sender=sender,
        host=host,
        port=port,
        username=setting("auth_username", text, ""),
        password=password,
        require_tls=setting("require_tls", boolean, True),
        send_resolved=section.take("send_resolved", boolean, True),
        html=read_template(section, "html"),
        text=read_template(section, "text"),
        headers=read_headers(section, notes),
    )
    for name in _EMAIL_UNUSED:
        if name in section:
            section.take(name, lambda value: value, None)
            notes.add(section, name, f"{name} is not taken", "the message is sent without it")
    section.refuse_unknown()
    return email


def _pager(section: Section, globals_: _Globals, notes: Notes) -> Pager | None:
    """None for a service of version 1 of the Events API, which has another kind of key."""
    key = _secret(section, "routing_key")
    old = next((name for name in ("service_key", "service_key_file") if name in section), None)
    if not key and old is None:
        said = "missing service or routing key in PagerDuty config"
        section.problem("", said, "routing_key_file: the integration key of Events API V2")
    pager = Pager(
        routing_key=key,
        url=section.take("url", http_url, globals_.pagerduty_url),
        send_resolved=section.take("send_resolved", boolean, True),
    )
    for name in _PAGER_UNUSED:
        if name in section:
            section.take(name, lambda value: value, None)
            notes.add(section, name, f"{name} is not taken", "the event says what our own say")
    section.refuse_unknown()
    return pager if key or old is None else None


def _secret(section: Section, name: str) -> str:
    """A secret, written there or in the file that `NAME_file` names."""
    file = section.take(f"{name}_file", text, "")
    secret = section.take(name, text, "")
    if file and secret:
        section.problem(name, f"at most one of {name} & {name}_file must be configured")
    return _from_file(section, f"{name}_file", file) if file else secret


def _from_file(section: Section, field: str, path: str) -> str:
    try:
        return Path(_path(section, path)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        section.problem(field, f"{path} can't be read: {reason}")
        return ""


def _url_in(section: Section, file: str) -> str:
    if "url" in section:
        section.take("url", text, "")
        section.problem("url", "at most one of url & url_file must be configured")
    found = _from_file(section, "url_file", file)
    try:
        return http_url(found) if found else ""
    except ValueError as error:
        section.problem("url_file", f"{file}: {error}")
        return ""


def _path(section: Section, path: str) -> str:
    # Alertmanager takes paths from the folder of its configuration.
    return str(Path(section.file).parent / path) if path else ""


def _smarthost(value: Any) -> tuple[str, int]:
    host, colon, port = text(value).rpartition(":")
    if not colon or not host:
        raise ValueError(f"expected host:port, found {value!r}")
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"address {value}: port must be a number")
    return host.strip("[]"), int(port)
