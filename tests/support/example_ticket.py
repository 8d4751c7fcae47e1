"""The delivery whose tickets docs/queues/ shows: a disk fills, with all that a task can say."""

from __future__ import annotations

from forewarn_collector.tasks import Delivery, DeliveryAction, Task, TaskState

_ONSET = 1_796_202_000_000  # 2026-12-02 09:00 UTC
_MINUTE = 60_000
_DAY = 86_400_000
_QUERY = 'node_filesystem_avail_bytes{instance="web-1",mountpoint="/var"}'

EXAMPLE = Delivery(
    id="7c0a1f5e-53a5-5a08-9d6f-3f6f0c1f7a10",
    thread_id="7c0a1f5e-53a5-5a08-9d6f-3f6f0c1f7a10",
    queue="support",
    action=DeliveryAction.OPEN,
    revision=1,
    reason="new",
    text="/var on web-1 fills within three days",
    task=Task(
        id=1042,
        key='storage/DiskFullWithinThreeDays{instance="web-1",mountpoint="/var"}',
        state=TaskState.OPEN,
        title="/var on web-1 fills within three days",
        description="At the pace of the last six hours nothing is left on 2026-12-04.",
        severity="high",
        kind="preventive",
        customer="acme",
        service="shop",
        labels=(
            ("alertname", "DiskFullWithinThreeDays"),
            ("instance", "web-1"),
            ("mountpoint", "/var"),
        ),
        annotations={"runbook_url": "https://wiki.acme.example/runbooks/disk"},
        rule="storage/DiskFullWithinThreeDays",
        rule_name="DiskFullWithinThreeDays",
        expr=f"predict_linear({_QUERY}[6h], 3*86400) < 0",
        value="-2.1e+09",
        queue="support",
        checklist=(
            "Find what grew, and clean or move it",
            "Agree a larger volume with the customer",
        ),
        onset_at=_ONSET,
        detected_at=_ONSET + 30 * _MINUTE,
        opened_at=_ONSET + 30 * _MINUTE,
        due_at=_ONSET + 2 * _DAY,
        evidence=(
            {
                "gathered_at": _ONSET + 30 * _MINUTE,
                "onset": _ONSET,
                "value": "-2.1e+09",
                "values": {
                    "query": f"predict_linear({_QUERY}[6h], 3*86400)",
                    "labels": {"instance": "web-1", "mountpoint": "/var"},
                    "step": 10 * _MINUTE,
                    "operator": "<",
                    "threshold": "0",
                    "for": 30 * _MINUTE,
                    "samples": [
                        [_ONSET - 10 * _MINUTE, "1.2e+09"],
                        [_ONSET, "-8e+08"],
                        [_ONSET + 30 * _MINUTE, "-2.1e+09"],
                    ],
                },
                "changes": [
                    {
                        "at": _ONSET - 12 * _MINUTE,
                        "before": 12 * _MINUTE,
                        "what": "package shop-cache 2.3 to 2.4",
                    }
                ],
                "earlier": [
                    {
                        "number": "FW-871",
                        "same": "problem",
                        "onset_at": _ONSET - 40 * _DAY,
                        "ended_at": _ONSET - 40 * _DAY + 90 * _MINUTE,
                        "reason": "person",
                        "by": "alice",
                        "text": "Resolved by alice.",
                        "comment": "Old core files under /var/crash.",
                    }
                ],
            },
        ),
    ),
    created_at=_ONSET + 30 * _MINUTE,
    attempt=1,
    sent_at=_ONSET + 30 * _MINUTE,
    external_url="https://forewarn.acme.example",
)
