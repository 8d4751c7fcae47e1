"""Rules: files, templates, the life of alerts, and when they are evaluated."""

from forewarn_collector.rules.alerts import (
    Alert,
    AlertChange,
    AlertState,
    ChangeReason,
    step,
)
from forewarn_collector.rules.check import Report, check_files
from forewarn_collector.rules.evaluate import ChangeSink, SinkError
from forewarn_collector.rules.explain import RulePlan, plan_lines, rule_plans
from forewarn_collector.rules.files import LastReload, RuleFiles
from forewarn_collector.rules.load import RuleFileError, load_rules
from forewarn_collector.rules.model import (
    AlertingRule,
    EvidenceSpec,
    OnMissing,
    RecordingRule,
    Rule,
    RuleGroup,
    RuleSet,
    TaskKind,
    TaskSpec,
)
from forewarn_collector.rules.schedule import Scheduler
from forewarn_collector.rules.shipped import shipped_rules_dir
from forewarn_collector.rules.standing import Begin
from forewarn_collector.rules.status import GroupStatus, Health, RuleStatus
from forewarn_collector.rules.templates import Template, TemplateContext, TemplateData

__all__ = [
    "Alert",
    "AlertChange",
    "AlertState",
    "AlertingRule",
    "Begin",
    "ChangeReason",
    "ChangeSink",
    "EvidenceSpec",
    "GroupStatus",
    "Health",
    "LastReload",
    "OnMissing",
    "RecordingRule",
    "Report",
    "Rule",
    "RuleFileError",
    "RuleFiles",
    "RuleGroup",
    "RulePlan",
    "RuleSet",
    "RuleStatus",
    "Scheduler",
    "SinkError",
    "TaskKind",
    "TaskSpec",
    "Template",
    "TemplateContext",
    "TemplateData",
    "check_files",
    "load_rules",
    "plan_lines",
    "rule_plans",
    "shipped_rules_dir",
    "step",
]
