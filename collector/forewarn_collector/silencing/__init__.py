"""Silences, inhibition, routing and time intervals as Alertmanager has them: the pure part."""

from forewarn_collector.silencing.configuration import (
    AlertmanagerFile,
    Email,
    Pager,
    Receiver,
    TemplateFile,
    TemplateText,
    Told,
    Webhook,
)
from forewarn_collector.silencing.fingerprints import fingerprint
from forewarn_collector.silencing.inhibition import Inhibitor, InhibitRule
from forewarn_collector.silencing.intervals import TimeInterval, contains_any
from forewarn_collector.silencing.matchers import (
    Matcher,
    MatcherError,
    MatchKind,
    make_matcher,
    matches_all,
    parse_matcher,
    parse_matchers,
)
from forewarn_collector.silencing.reading import read_alertmanager_file, receivers_in
from forewarn_collector.silencing.received import (
    RESOLVE_TIMEOUT,
    ReceivedAlert,
    merged,
    with_times,
)
from forewarn_collector.silencing.routes import Route
from forewarn_collector.silencing.silences import (
    RETENTION,
    NoSuchSilenceError,
    Silence,
    SilenceError,
    SilenceState,
    expired,
    set_silence,
    sorted_silences,
)

__all__ = [
    "RESOLVE_TIMEOUT",
    "RETENTION",
    "AlertmanagerFile",
    "Email",
    "InhibitRule",
    "Inhibitor",
    "MatchKind",
    "Matcher",
    "MatcherError",
    "NoSuchSilenceError",
    "Pager",
    "ReceivedAlert",
    "Receiver",
    "Route",
    "Silence",
    "SilenceError",
    "SilenceState",
    "TemplateFile",
    "TemplateText",
    "TimeInterval",
    "Told",
    "Webhook",
    "contains_any",
    "expired",
    "fingerprint",
    "make_matcher",
    "matches_all",
    "merged",
    "parse_matcher",
    "parse_matchers",
    "read_alertmanager_file",
    "receivers_in",
    "set_silence",
    "sorted_silences",
    "with_times",
]
