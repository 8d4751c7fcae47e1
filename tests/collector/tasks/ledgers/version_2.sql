BEGIN TRANSACTION;
CREATE TABLE alerts (
    id VARCHAR(32) NOT NULL, 
    rule_key TEXT NOT NULL, 
    labels JSON NOT NULL, 
    series JSON NOT NULL, 
    annotations JSON NOT NULL, 
    state VARCHAR(16) NOT NULL, 
    value TEXT NOT NULL, 
    onset BIGINT NOT NULL, 
    active_at BIGINT NOT NULL, 
    evaluated_at BIGINT NOT NULL, 
    fired_at BIGINT, 
    keep_firing_since BIGINT, 
    unknown_since BIGINT, 
    CONSTRAINT pk_alerts PRIMARY KEY (id)
);
INSERT INTO "alerts" VALUES('68ca595b4b1b26a371938926e20b2dbe','storage/DiskFull','[["alertname", "DiskFull"], ["instance", "c"]]','[["instance", "c"]]','[]','firing','0.5',1699999999500,1700000000000,1700000000000,1700000120000,NULL,NULL);
INSERT INTO "alerts" VALUES('3b130ae58221c23bcd2b86138e669e8e','storage/DiskFull','[["alertname", "DiskFull"], ["customer", "acme"], ["instance", "a"], ["severity", "high"]]','[["customer", "acme"], ["instance", "a"], ["severity", "high"]]','[["summary", "/ on a fills"]]','unknown','0.5',1699999999500,1700000000000,1700000000000,1700000000000,NULL,1700000180000);
CREATE TABLE backlogs (
    id INTEGER NOT NULL, 
    host TEXT NOT NULL, 
    since BIGINT NOT NULL, 
    noted_at BIGINT NOT NULL, 
    CONSTRAINT pk_backlogs PRIMARY KEY (id)
);
CREATE TABLE deliveries (
    seq INTEGER NOT NULL, 
    id VARCHAR(36) NOT NULL, 
    task_id BIGINT NOT NULL, 
    revision INTEGER NOT NULL, 
    queue TEXT NOT NULL, 
    action VARCHAR(16) NOT NULL, 
    reason VARCHAR(64) NOT NULL, 
    text TEXT NOT NULL, 
    snapshot JSON NOT NULL, 
    state VARCHAR(16) NOT NULL, 
    created_at BIGINT NOT NULL, 
    due_at BIGINT NOT NULL, 
    claimed_at BIGINT, 
    attempts INTEGER NOT NULL, 
    done_at BIGINT, 
    error TEXT NOT NULL, 
    external_ref TEXT, 
    CONSTRAINT pk_deliveries PRIMARY KEY (seq), 
    CONSTRAINT uq_deliveries_task_id UNIQUE (task_id, revision, queue), 
    CONSTRAINT uq_deliveries_id UNIQUE (id), 
    CONSTRAINT fk_deliveries_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "deliveries" VALUES(1,'1780e5cd-5ee1-569f-b058-b06ac90e7aa5',1,1,'support','open','new','{customer="acme", instance="a", severity="high"} is firing, value 0.5.','{"id": 1, "key": "storage/DiskFull{customer=\"acme\", instance=\"a\"}", "state": "open", "title": "/ on a fills", "description": "", "severity": "high", "kind": "corrective", "customer": "acme", "labels": [["alertname", "DiskFull"], ["customer", "acme"], ["instance", "a"], ["severity", "high"]], "annotations": {"summary": "/ on a fills"}, "rule": "storage/DiskFull", "rule_name": "DiskFull", "expr": "disk_free < 1", "value": "0.5", "queue": "support", "checklist": [], "onset_at": 1699999999500, "detected_at": 1700000000000, "opened_at": 1700000000000, "delivered_at": null, "acknowledged_at": null, "acknowledged_by": "", "resolved_at": null, "resolved_by": "", "resolve_reason": "", "ended_at": null, "due_at": 1700086400000, "reopen_count": 0, "reopened_at": null, "input_missing_since": null, "revision": 1, "retrospective": false}','delivered',1700000000000,1700000780000,NULL,1,1700000180000,'','T-1');
INSERT INTO "deliveries" VALUES(2,'388d786b-2a51-5e28-8400-692f583af47d',2,1,'support','open','new','{instance="b"} is firing, value 0.5.','{"id": 2, "key": "storage/DiskFull{instance=\"b\"}", "state": "open", "title": "DiskFull (instance=b)", "description": "", "severity": "", "kind": "corrective", "customer": "", "labels": [["alertname", "DiskFull"], ["instance", "b"]], "annotations": {}, "rule": "storage/DiskFull", "rule_name": "DiskFull", "expr": "disk_free < 1", "value": "0.5", "queue": "support", "checklist": [], "onset_at": 1699999999500, "detected_at": 1700000000000, "opened_at": 1700000000000, "delivered_at": null, "acknowledged_at": null, "acknowledged_by": "", "resolved_at": null, "resolved_by": "", "resolve_reason": "", "ended_at": null, "due_at": 1701209600000, "reopen_count": 0, "reopened_at": null, "input_missing_since": null, "revision": 1, "retrospective": false}','owed',1700000000000,1700000000000,NULL,0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(3,'9aa6e37f-d4c3-5c78-993d-ed0b2b4c7068',1,2,'support','update','acknowledged','Acknowledged by ann.','{"id": 1, "key": "storage/DiskFull{customer=\"acme\", instance=\"a\"}", "state": "acknowledged", "title": "/ on a fills", "description": "", "severity": "high", "kind": "corrective", "customer": "acme", "labels": [["alertname", "DiskFull"], ["customer", "acme"], ["instance", "a"], ["severity", "high"]], "annotations": {"summary": "/ on a fills"}, "rule": "storage/DiskFull", "rule_name": "DiskFull", "expr": "disk_free < 1", "value": "0.5", "queue": "support", "checklist": [], "onset_at": 1699999999500, "detected_at": 1700000000000, "opened_at": 1700000000000, "delivered_at": null, "acknowledged_at": 1700000001000, "acknowledged_by": "ann", "resolved_at": null, "resolved_by": "", "resolve_reason": "", "ended_at": null, "due_at": 1700086400000, "reopen_count": 0, "reopened_at": null, "input_missing_since": null, "revision": 2, "retrospective": false}','owed',1700000001000,1700000001000,NULL,0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(4,'c308fdd3-7895-5eff-8da7-53531306cb1e',1,3,'support','update','comment','ann: looking','{"id": 1, "key": "storage/DiskFull{customer=\"acme\", instance=\"a\"}", "state": "acknowledged", "title": "/ on a fills", "description": "", "severity": "high", "kind": "corrective", "customer": "acme", "labels": [["alertname", "DiskFull"], ["customer", "acme"], ["instance", "a"], ["severity", "high"]], "annotations": {"summary": "/ on a fills"}, "rule": "storage/DiskFull", "rule_name": "DiskFull", "expr": "disk_free < 1", "value": "0.5", "queue": "support", "checklist": [], "onset_at": 1699999999500, "detected_at": 1700000000000, "opened_at": 1700000000000, "delivered_at": null, "acknowledged_at": 1700000001000, "acknowledged_by": "ann", "resolved_at": null, "resolved_by": "", "resolve_reason": "", "ended_at": null, "due_at": 1700086400000, "reopen_count": 0, "reopened_at": null, "input_missing_since": null, "revision": 3, "retrospective": false}','owed',1700000002000,1700000002000,NULL,0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(5,'d8e2d87d-b7fc-5072-8ba9-9a521d4fb782',2,2,'support','resolve','alert_ended','The alert ended.','{"id": 2, "key": "storage/DiskFull{instance=\"b\"}", "state": "resolved", "title": "DiskFull (instance=b)", "description": "", "severity": "", "kind": "corrective", "customer": "", "labels": [["alertname", "DiskFull"], ["instance", "b"]], "annotations": {}, "rule": "storage/DiskFull", "rule_name": "DiskFull", "expr": "disk_free < 1", "value": "0.5", "queue": "support", "checklist": [], "onset_at": 1699999999500, "detected_at": 1700000000000, "opened_at": 1700000000000, "delivered_at": null, "acknowledged_at": null, "acknowledged_by": "", "resolved_at": 1700000060000, "resolved_by": "", "resolve_reason": "alert_ended", "ended_at": 1700000060000, "due_at": 1701209600000, "reopen_count": 0, "reopened_at": null, "input_missing_since": null, "revision": 2, "retrospective": false}','owed',1700000060000,1700000060000,NULL,0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(6,'8a711511-f0fd-5057-9c64-e000a92f7d20',3,1,'support','open','new','{instance="c"} is firing, value 0.5.','{"id": 3, "key": "storage/DiskFull{instance=\"c\"}", "state": "open", "title": "DiskFull (instance=c)", "description": "", "severity": "", "kind": "corrective", "customer": "", "labels": [["alertname", "DiskFull"], ["instance", "c"]], "annotations": {}, "rule": "storage/DiskFull", "rule_name": "DiskFull", "expr": "disk_free < 1", "value": "0.5", "queue": "support", "checklist": [], "onset_at": 1699999999500, "detected_at": 1700000000000, "opened_at": 1700000120000, "delivered_at": null, "acknowledged_at": null, "acknowledged_by": "", "resolved_at": null, "resolved_by": "", "resolve_reason": "", "ended_at": null, "due_at": 1701209720000, "reopen_count": 0, "reopened_at": null, "input_missing_since": null, "revision": 1, "retrospective": false}','owed',1700000120000,1700000120000,NULL,0,NULL,'',NULL);
CREATE TABLE evidence (
    id INTEGER NOT NULL, 
    task_id BIGINT NOT NULL, 
    revision INTEGER, 
    document JSON NOT NULL, 
    CONSTRAINT pk_evidence PRIMARY KEY (id), 
    CONSTRAINT fk_evidence_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "evidence" VALUES(1,1,1,'{"gathered_at": 1700000000000, "value": "0.5"}');
INSERT INTO "evidence" VALUES(2,2,1,'{"gathered_at": 1700000000000, "value": "0.5"}');
INSERT INTO "evidence" VALUES(3,3,1,'{"gathered_at": 1700000120000, "value": "0.5"}');
CREATE TABLE facts (
    name VARCHAR(64) NOT NULL, 
    value TEXT NOT NULL, 
    CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('schema_version','2');
INSERT INTO "facts" VALUES('ledger_id','6f1c1c53-4b58-4cb0-9a5f-6a2f0e6a8d11');
INSERT INTO "facts" VALUES('next_task','4');
CREATE TABLE task_alerts (
    task_id BIGINT NOT NULL, 
    alert_id VARCHAR(32) NOT NULL, 
    labels JSON NOT NULL, 
    instance TEXT NOT NULL, 
    joined_at BIGINT NOT NULL, 
    left_at BIGINT, 
    unknown_since BIGINT, 
    CONSTRAINT pk_task_alerts PRIMARY KEY (task_id, alert_id), 
    CONSTRAINT fk_task_alerts_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "task_alerts" VALUES(2,'fd4ee6690a8cfefde6631035b00661d6','[["alertname", "DiskFull"], ["instance", "b"]]','b',1700000000000,1700000060000,NULL);
INSERT INTO "task_alerts" VALUES(3,'68ca595b4b1b26a371938926e20b2dbe','[["alertname", "DiskFull"], ["instance", "c"]]','c',1700000120000,NULL,NULL);
INSERT INTO "task_alerts" VALUES(1,'3b130ae58221c23bcd2b86138e669e8e','[["alertname", "DiskFull"], ["customer", "acme"], ["instance", "a"], ["severity", "high"]]','a',1700000000000,NULL,1700000180000);
CREATE TABLE tasks (
    id BIGINT NOT NULL, 
    "key" TEXT NOT NULL, 
    state VARCHAR(16) NOT NULL, 
    title TEXT NOT NULL, 
    description TEXT NOT NULL, 
    severity TEXT NOT NULL, 
    kind VARCHAR(32) NOT NULL, 
    customer TEXT NOT NULL, 
    labels JSON NOT NULL, 
    annotations JSON NOT NULL, 
    rule TEXT NOT NULL, 
    rule_name TEXT NOT NULL, 
    expr TEXT NOT NULL, 
    value TEXT NOT NULL, 
    queue TEXT NOT NULL, 
    checklist JSON NOT NULL, 
    onset_at BIGINT NOT NULL, 
    detected_at BIGINT NOT NULL, 
    opened_at BIGINT NOT NULL, 
    delivered_at BIGINT, 
    acknowledged_at BIGINT, 
    acknowledged_by TEXT NOT NULL, 
    resolved_at BIGINT, 
    resolved_by TEXT NOT NULL, 
    resolve_reason VARCHAR(32) NOT NULL, 
    ended_at BIGINT, 
    due_at BIGINT, 
    reopen_count INTEGER NOT NULL, 
    reopened_at BIGINT, 
    input_missing_since BIGINT, 
    revision INTEGER NOT NULL, 
    retrospective BOOLEAN DEFAULT 0 NOT NULL, 
    CONSTRAINT pk_tasks PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES(1,'storage/DiskFull{customer="acme", instance="a"}','acknowledged','/ on a fills','','high','corrective','acme','[["alertname", "DiskFull"], ["customer", "acme"], ["instance", "a"], ["severity", "high"]]','{"summary": "/ on a fills"}','storage/DiskFull','DiskFull','disk_free < 1','0.5','support','[]',1699999999500,1700000000000,1700000000000,1700000180000,1700000001000,'ann',NULL,'','',NULL,1700086400000,0,NULL,1700000180000,3,0);
INSERT INTO "tasks" VALUES(2,'storage/DiskFull{instance="b"}','resolved','DiskFull (instance=b)','','','corrective','','[["alertname", "DiskFull"], ["instance", "b"]]','{}','storage/DiskFull','DiskFull','disk_free < 1','0.5','support','[]',1699999999500,1700000000000,1700000000000,NULL,NULL,'',1700000060000,'','alert_ended',1700000060000,1701209600000,0,NULL,NULL,2,0);
INSERT INTO "tasks" VALUES(3,'storage/DiskFull{instance="c"}','open','DiskFull (instance=c)','','','corrective','','[["alertname", "DiskFull"], ["instance", "c"]]','{}','storage/DiskFull','DiskFull','disk_free < 1','0.5','support','[]',1699999999500,1700000000000,1700000120000,NULL,NULL,'',NULL,'','',NULL,1701209720000,0,NULL,NULL,1,0);
CREATE TABLE timeline (
    id INTEGER NOT NULL, 
    task_id BIGINT NOT NULL, 
    at BIGINT NOT NULL, 
    kind VARCHAR(32) NOT NULL, 
    reason VARCHAR(64) NOT NULL, 
    who TEXT NOT NULL, 
    text TEXT NOT NULL, 
    CONSTRAINT pk_timeline PRIMARY KEY (id), 
    CONSTRAINT fk_timeline_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "timeline" VALUES(1,1,1700000000000,'opened','new','','{customer="acme", instance="a", severity="high"} is firing, value 0.5.');
INSERT INTO "timeline" VALUES(2,2,1700000000000,'opened','new','','{instance="b"} is firing, value 0.5.');
INSERT INTO "timeline" VALUES(3,1,1700000001000,'acknowledged','','ann','Acknowledged by ann.');
INSERT INTO "timeline" VALUES(4,1,1700000002000,'comment','','ann','looking');
INSERT INTO "timeline" VALUES(5,2,1700000060000,'left','','','{instance="b"} ended.');
INSERT INTO "timeline" VALUES(6,2,1700000060000,'resolved','alert_ended','','The alert ended.');
INSERT INTO "timeline" VALUES(7,3,1700000120000,'opened','new','','{instance="c"} is firing, value 0.5.');
INSERT INTO "timeline" VALUES(8,1,1700000180000,'input_missing','','','{customer="acme", instance="a", severity="high"} is unknown: its input stopped.');
INSERT INTO "timeline" VALUES(9,1,1700000180000,'delivered','','','Delivered to support as T-1 (open).');
CREATE INDEX ix_tasks_key ON tasks ("key");
CREATE INDEX ix_tasks_state ON tasks (state);
CREATE UNIQUE INDEX uq_tasks_open_key ON tasks ("key") WHERE state != 'resolved';
CREATE INDEX ix_task_alerts_alert_id ON task_alerts (alert_id);
CREATE INDEX ix_task_alerts_instance ON task_alerts (instance);
CREATE INDEX ix_timeline_task_id ON timeline (task_id);
CREATE INDEX ix_evidence_task_id ON evidence (task_id);
CREATE INDEX ix_deliveries_owed ON deliveries (queue, state, due_at);
COMMIT;
