"""Ticket systems for tests: fakes that answer as their makers document, and the real ones."""

from __future__ import annotations

from collections.abc import Mapping

from support.trackers.github import github_stage
from support.trackers.gitlab import gitlab_stage
from support.trackers.jira import jira_cloud_stage, jira_server_stage
from support.trackers.redmine import redmine_stage
from support.trackers.request_tracker import request_tracker_stage
from support.trackers.servicenow import servicenow_stage
from support.trackers.stage import MakeStage
from support.trackers.zendesk import zendesk_stage

STAGES: Mapping[str, MakeStage] = {
    "github": github_stage,
    "gitlab": gitlab_stage,
    "zendesk": zendesk_stage,
    "servicenow": servicenow_stage,
    "jira": jira_cloud_stage,
    "jira-server": jira_server_stage,
    "redmine-real": redmine_stage,
    "request_tracker-real": request_tracker_stage,
}
"""By the tracker's kind; `-server` is one that people run themselves, where it differs from the
maker's cloud, `-real` what is no fake."""
