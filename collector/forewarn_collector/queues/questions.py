"""What a person is asked to set up a queue of each kind: `forewarn queues add`.

Only what no queue can do without, or what most need; all other settings are in docs/queues.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A setting to ask for. `secret` ones are written to a file of their own, never shown.

    An `optional` one that gets no answer is left out; `several` are separated by commas.
    """

    setting: str
    prompt: str
    default: str = ""
    secret: bool = False
    optional: bool = False
    several: bool = False


_TOKEN = "token"  # noqa: S105 - the name of a setting

QUESTIONS: Mapping[str, tuple[Question, ...]] = {
    "log": (),
    "webhook": (
        Question("url", "URL that takes the deliveries"),
        Question("secret", "Secret to sign them with", secret=True, optional=True),
    ),
    "email": (
        Question("host", "SMTP server"),
        Question("security", "Security: starttls, tls or none", "starttls"),
        Question("username", "User name at the server", optional=True),
        Question("password", "Password of that user", secret=True, optional=True),
        Question("from", "Sender, such as Forewarn <forewarn@example.org>"),
        Question("to", "Recipients", several=True),
    ),
    "pagerduty": (
        Question("routing_key", "Integration key of the service (Events API V2)", secret=True),
    ),
    "chat": (Question("url", "Apprise URL of the chat, such as slack://...", secret=True),),
    "zendesk": (
        Question("url", "Address, such as https://acme.zendesk.com"),
        Question("group", "Group that gets the tickets"),
        Question("email", "E-mail address of the agent whose API token it is"),
        Question(_TOKEN, "API token (Admin Center, Apps and integrations, APIs)", secret=True),
    ),
    "servicenow": (
        Question("url", "Address, such as https://acme.service-now.com"),
        Question("assignment_group", "Group that gets the incidents"),
        Question("username", "User name"),
        Question("password", "Password of that user", secret=True),
    ),
    "github": (
        Question("repository", "Repository, as owner/name"),
        Question("url", "Address of GitHub, as in your browser", "https://github.com"),
        Question(_TOKEN, "Token with the permission Issues: read and write", secret=True),
    ),
    "gitlab": (
        Question("project", "Project, as group/name"),
        Question("url", "Address of GitLab, as in your browser", "https://gitlab.com"),
        Question(_TOKEN, "Token with the scope api and the role Reporter", secret=True),
    ),
    "jira": (
        Question("url", "Address of Jira, such as https://acme.atlassian.net"),
        Question("project", "Key of the project, such as OPS"),
        Question("issue_type", "Issue type", "Task"),
        Question("user", "In the cloud: the address whose API token it is", optional=True),
        Question(_TOKEN, "API token (cloud), or personal access token", secret=True),
    ),
    "redmine": (
        Question("url", "Address of Redmine, as in the browser"),
        Question("project", "Identifier of the project, as in its address"),
        Question(_TOKEN, "API access key of the user (My account)", secret=True),
        Question("tracker", "Tracker (none: the project's first)", optional=True),
        Question("markup", "Markup of its texts: textile or markdown", "textile"),
    ),
    "request_tracker": (
        Question("url", "Address of Request Tracker, as in the browser"),
        Question("queue", "Queue that takes the tickets"),
        Question(_TOKEN, "Authentication token of the user (Settings, Auth Tokens)", secret=True),
    ),
}
"""By the kind of queue."""
