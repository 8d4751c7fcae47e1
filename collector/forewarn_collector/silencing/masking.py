"""An alertmanager.yml as it may be shown: its own text, with every secret put out of sight."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import yaml

MASK = "<secret>"
"""What Alertmanager writes for a secret, and amtool reads as one."""

_SECRETS = frozenset(
    {
        "api_key",
        "api_secret",
        "app_token",
        "auth_password",
        "auth_secret",
        "bearer_token",
        "bot_token",
        "client_secret",
        "credentials",
        "opsgenie_api_key",
        "password",
        "rocketchat_token",
        "rocketchat_token_id",
        "routing_key",
        "secret_key",
        "service_key",
        "slack_api_url",
        "slack_app_token",
        "smtp_auth_password",
        "smtp_auth_secret",
        "telegram_bot_token",
        "token",
        "token_id",
        "user_key",
        "victorops_api_key",
        "webhook_url",
        "mattermost_webhook_url",
        "wechat_api_secret",
    }
)
_SECRET_WITHIN = {"api_url": "slack_configs"}
"""Secret only there: elsewhere it is an address."""


def masked(content: str) -> str:
    """The text with the values of secret fields masked. It must be readable YAML."""
    node = yaml.compose(content, Loader=yaml.SafeLoader)
    text = content
    # From the end, so that the places before stay where they are.
    for start, end, shown in sorted(_places(node, ""), reverse=True):
        text = text[:start] + shown + text[end:]
    return text


def _places(node: yaml.Node | None, within: str) -> Iterator[tuple[int, int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _places(item, within)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            if isinstance(value, yaml.ScalarNode) and value.value:
                shown = _shown(name, within, value.value)
                if shown is not None:
                    end = value.end_mark.index
                    # A block scalar's node takes in the line break after it.
                    line = "\n" if value.style in {"|", ">"} else ""
                    yield value.start_mark.index, end, shown + line
            else:
                yield from _places(value, name)


def _shown(name: str, within: str, value: str) -> str | None:
    """What stands for a secret; None for what is none."""
    if name in _SECRETS or _SECRET_WITHIN.get(name) == within:
        return MASK
    if name == "url" and within == "webhook_configs":
        return _bare(value)
    return None


def _bare(url: str) -> str | None:
    """A webhook's address as far as its host: the rest of it often is the secret.

    Still an address, as amtool 0.25 refuses anything else.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    if "@" not in parts.netloc and parts.path in {"", "/"} and not parts.query:
        return None
    return f"{parts.scheme}://{host}/secret"
