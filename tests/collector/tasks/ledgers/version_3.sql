BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('3');
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
INSERT INTO "alerts" VALUES('68ca595b4b1b26a371938926e20b2dbe','storage/DiskFull','[["alertname","DiskFull"],["instance","c"]]','[["instance","c"]]','[]','firing','0.5',1699999999500,1700000000000,1700000000000,1700000120000,NULL,NULL);
INSERT INTO "alerts" VALUES('3b130ae58221c23bcd2b86138e669e8e','storage/DiskFull','[["alertname","DiskFull"],["customer","acme"],["instance","a"],["severity","high"]]','[["customer","acme"],["instance","a"],["severity","high"]]','[["summary","/ on a fills"]]','unknown','0.5',1699999999500,1700000000000,1700000000000,1700000000000,NULL,1700000180000);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	who TEXT NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	object TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	detail JSON NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,1700000000000,'rules','collector','opened','FW-1','new','{"text":"{customer=\"acme\", instance=\"a\", severity=\"high\"} is firing, value 0.5.","from":"","to":"open"}');
INSERT INTO "audit" VALUES(2,1700000000000,'rules','collector','opened','FW-2','new','{"text":"{instance=\"b\"} is firing, value 0.5.","from":"","to":"open"}');
INSERT INTO "audit" VALUES(3,1700000001000,'ann','','acknowledged','FW-1','','{"text":"Acknowledged by ann.","from":"open","to":"acknowledged"}');
INSERT INTO "audit" VALUES(4,1700000002000,'ann','','comment','FW-1','','{"text":"looking","from":"acknowledged","to":"acknowledged"}');
INSERT INTO "audit" VALUES(5,1700000060000,'rules','collector','left','FW-2','','{"text":"{instance=\"b\"} ended.","from":"open","to":"resolved"}');
INSERT INTO "audit" VALUES(6,1700000060000,'rules','collector','resolved','FW-2','alert_ended','{"text":"The alert ended.","from":"open","to":"resolved"}');
INSERT INTO "audit" VALUES(7,1700000120000,'rules','collector','opened','FW-3','new','{"text":"{instance=\"c\"} is firing, value 0.5.","from":"","to":"open"}');
INSERT INTO "audit" VALUES(8,1700000180000,'rules','collector','input_missing','FW-1','','{"text":"{customer=\"acme\", instance=\"a\", severity=\"high\"} is unknown: its input stopped.","from":"acknowledged","to":"acknowledged"}');
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
	claimed_by TEXT DEFAULT '' NOT NULL, 
	attempts INTEGER NOT NULL, 
	done_at BIGINT, 
	error TEXT NOT NULL, 
	external_ref TEXT, 
	CONSTRAINT pk_deliveries PRIMARY KEY (seq), 
	CONSTRAINT uq_deliveries_task_id UNIQUE (task_id, revision, queue), 
	CONSTRAINT uq_deliveries_id UNIQUE (id), 
	CONSTRAINT fk_deliveries_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "deliveries" VALUES(1,'0c088769-d684-5e13-9ed9-fd442b32d4de',1,1,'support','open','new','{customer="acme", instance="a", severity="high"} is firing, value 0.5.','{"id":1,"key":"storage/DiskFull{customer=\"acme\", instance=\"a\"}","state":"open","title":"/ on a fills","description":"","severity":"high","kind":"corrective","customer":"acme","labels":[["alertname","DiskFull"],["customer","acme"],["instance","a"],["severity","high"]],"annotations":{"summary":"/ on a fills"},"rule":"storage/DiskFull","rule_name":"DiskFull","expr":"disk_free < 1","value":"0.5","queue":"support","checklist":[],"onset_at":1699999999500,"detected_at":1700000000000,"opened_at":1700000000000,"delivered_at":null,"acknowledged_at":null,"acknowledged_by":"","resolved_at":null,"resolved_by":"","resolve_reason":"","ended_at":null,"due_at":1700086400000,"reopen_count":0,"reopened_at":null,"input_missing_since":null,"revision":1,"retrospective":false,"assignee":"","assigned_at":null,"waiting_until":null,"closed_at":null,"closed_by":"","close_reason":"","duplicate_of":null,"previous":null,"parent":null,"flap_count":0,"flap_penalty":0,"flapped_at":null,"flapping_since":null,"calm_at":null,"quiet_since":null,"quiet_by":"","mute_for":null,"mute_severity":"","escalation_step":0,"next_escalation_at":null,"incident":"","origin":"rule","service":"","held_since":null,"open_lag":500}','delivered',1700000000000,1700000780000,NULL,'one',1,1700000180000,'','T-1');
INSERT INTO "deliveries" VALUES(2,'0f4978f6-60bd-5e59-9e81-bba00e25deb9',2,1,'support','open','new','{instance="b"} is firing, value 0.5.','{"id":2,"key":"storage/DiskFull{instance=\"b\"}","state":"open","title":"DiskFull (instance=b)","description":"","severity":"","kind":"corrective","customer":"","labels":[["alertname","DiskFull"],["instance","b"]],"annotations":{},"rule":"storage/DiskFull","rule_name":"DiskFull","expr":"disk_free < 1","value":"0.5","queue":"support","checklist":[],"onset_at":1699999999500,"detected_at":1700000000000,"opened_at":1700000000000,"delivered_at":null,"acknowledged_at":null,"acknowledged_by":"","resolved_at":null,"resolved_by":"","resolve_reason":"","ended_at":null,"due_at":1701209600000,"reopen_count":0,"reopened_at":null,"input_missing_since":null,"revision":1,"retrospective":false,"assignee":"","assigned_at":null,"waiting_until":null,"closed_at":null,"closed_by":"","close_reason":"","duplicate_of":null,"previous":null,"parent":null,"flap_count":0,"flap_penalty":0,"flapped_at":null,"flapping_since":null,"calm_at":null,"quiet_since":null,"quiet_by":"","mute_for":null,"mute_severity":"","escalation_step":0,"next_escalation_at":null,"incident":"","origin":"rule","service":"","held_since":null,"open_lag":500}','owed',1700000000000,1700000000000,NULL,'',0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(3,'527579e1-d06a-5f87-a25c-527f2168e1a8',1,2,'support','update','acknowledged','Acknowledged by ann.','{"id":1,"key":"storage/DiskFull{customer=\"acme\", instance=\"a\"}","state":"acknowledged","title":"/ on a fills","description":"","severity":"high","kind":"corrective","customer":"acme","labels":[["alertname","DiskFull"],["customer","acme"],["instance","a"],["severity","high"]],"annotations":{"summary":"/ on a fills"},"rule":"storage/DiskFull","rule_name":"DiskFull","expr":"disk_free < 1","value":"0.5","queue":"support","checklist":[],"onset_at":1699999999500,"detected_at":1700000000000,"opened_at":1700000000000,"delivered_at":null,"acknowledged_at":1700000001000,"acknowledged_by":"ann","resolved_at":null,"resolved_by":"","resolve_reason":"","ended_at":null,"due_at":1700086400000,"reopen_count":0,"reopened_at":null,"input_missing_since":null,"revision":2,"retrospective":false,"assignee":"","assigned_at":null,"waiting_until":null,"closed_at":null,"closed_by":"","close_reason":"","duplicate_of":null,"previous":null,"parent":null,"flap_count":0,"flap_penalty":0,"flapped_at":null,"flapping_since":null,"calm_at":null,"quiet_since":null,"quiet_by":"","mute_for":null,"mute_severity":"","escalation_step":0,"next_escalation_at":1700000000000,"incident":"","origin":"rule","service":"","held_since":null,"open_lag":500}','owed',1700000001000,1700000001000,NULL,'',0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(4,'ac608a1b-80f0-5b68-b08a-058a1abaf59d',1,3,'support','update','comment','ann: looking','{"id":1,"key":"storage/DiskFull{customer=\"acme\", instance=\"a\"}","state":"acknowledged","title":"/ on a fills","description":"","severity":"high","kind":"corrective","customer":"acme","labels":[["alertname","DiskFull"],["customer","acme"],["instance","a"],["severity","high"]],"annotations":{"summary":"/ on a fills"},"rule":"storage/DiskFull","rule_name":"DiskFull","expr":"disk_free < 1","value":"0.5","queue":"support","checklist":[],"onset_at":1699999999500,"detected_at":1700000000000,"opened_at":1700000000000,"delivered_at":null,"acknowledged_at":1700000001000,"acknowledged_by":"ann","resolved_at":null,"resolved_by":"","resolve_reason":"","ended_at":null,"due_at":1700086400000,"reopen_count":0,"reopened_at":null,"input_missing_since":null,"revision":3,"retrospective":false,"assignee":"","assigned_at":null,"waiting_until":null,"closed_at":null,"closed_by":"","close_reason":"","duplicate_of":null,"previous":null,"parent":null,"flap_count":0,"flap_penalty":0,"flapped_at":null,"flapping_since":null,"calm_at":null,"quiet_since":null,"quiet_by":"","mute_for":null,"mute_severity":"","escalation_step":0,"next_escalation_at":1700000001000,"incident":"","origin":"rule","service":"","held_since":null,"open_lag":500}','owed',1700000002000,1700000002000,NULL,'',0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(5,'d63bcccb-39b2-5ae6-b467-46f7bf7ebc37',2,2,'support','resolve','alert_ended','The alert ended.','{"id":2,"key":"storage/DiskFull{instance=\"b\"}","state":"resolved","title":"DiskFull (instance=b)","description":"","severity":"","kind":"corrective","customer":"","labels":[["alertname","DiskFull"],["instance","b"]],"annotations":{},"rule":"storage/DiskFull","rule_name":"DiskFull","expr":"disk_free < 1","value":"0.5","queue":"support","checklist":[],"onset_at":1699999999500,"detected_at":1700000000000,"opened_at":1700000000000,"delivered_at":null,"acknowledged_at":null,"acknowledged_by":"","resolved_at":1700000060000,"resolved_by":"","resolve_reason":"alert_ended","ended_at":1700000060000,"due_at":1701209600000,"reopen_count":0,"reopened_at":null,"input_missing_since":null,"revision":2,"retrospective":false,"assignee":"","assigned_at":null,"waiting_until":null,"closed_at":null,"closed_by":"","close_reason":"","duplicate_of":null,"previous":null,"parent":null,"flap_count":0,"flap_penalty":0,"flapped_at":null,"flapping_since":null,"calm_at":null,"quiet_since":null,"quiet_by":"","mute_for":null,"mute_severity":"","escalation_step":0,"next_escalation_at":null,"incident":"","origin":"rule","service":"","held_since":null,"open_lag":500}','owed',1700000060000,1700000060000,NULL,'',0,NULL,'',NULL);
INSERT INTO "deliveries" VALUES(6,'48d04d01-1a54-576d-bc6a-862da80e5a1e',3,1,'support','open','new','{instance="c"} is firing, value 0.5.','{"id":3,"key":"storage/DiskFull{instance=\"c\"}","state":"open","title":"DiskFull (instance=c)","description":"","severity":"","kind":"corrective","customer":"","labels":[["alertname","DiskFull"],["instance","c"]],"annotations":{},"rule":"storage/DiskFull","rule_name":"DiskFull","expr":"disk_free < 1","value":"0.5","queue":"support","checklist":[],"onset_at":1699999999500,"detected_at":1700000000000,"opened_at":1700000120000,"delivered_at":null,"acknowledged_at":null,"acknowledged_by":"","resolved_at":null,"resolved_by":"","resolve_reason":"","ended_at":null,"due_at":1701209720000,"reopen_count":0,"reopened_at":null,"input_missing_since":null,"revision":1,"retrospective":false,"assignee":"","assigned_at":null,"waiting_until":null,"closed_at":null,"closed_by":"","close_reason":"","duplicate_of":null,"previous":null,"parent":null,"flap_count":0,"flap_penalty":0,"flapped_at":null,"flapping_since":null,"calm_at":null,"quiet_since":null,"quiet_by":"","mute_for":null,"mute_severity":"","escalation_step":0,"next_escalation_at":null,"incident":"","origin":"rule","service":"","held_since":null,"open_lag":120500}','owed',1700000120000,1700000120000,NULL,'',0,NULL,'',NULL);
CREATE TABLE escalations (
	task_id BIGINT NOT NULL, 
	episode INTEGER NOT NULL, 
	done JSON NOT NULL, 
	queues JSON NOT NULL, 
	paused_since BIGINT, 
	paused_for BIGINT NOT NULL, 
	CONSTRAINT pk_escalations PRIMARY KEY (task_id), 
	CONSTRAINT fk_escalations_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
CREATE TABLE evidence (
	id INTEGER NOT NULL, 
	task_id BIGINT NOT NULL, 
	revision INTEGER, 
	document JSON NOT NULL, 
	follow_up_at BIGINT, 
	gathered_by TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_evidence PRIMARY KEY (id), 
	CONSTRAINT fk_evidence_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "evidence" VALUES(1,1,1,'{"gathered_at":1700000000000,"value":"0.5"}',NULL,'one');
INSERT INTO "evidence" VALUES(2,2,1,'{"gathered_at":1700000000000,"value":"0.5"}',NULL,'one');
INSERT INTO "evidence" VALUES(3,3,1,'{"gathered_at":1700000120000,"value":"0.5"}',NULL,'one');
CREATE TABLE facts (
	name VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('schema_version','3');
INSERT INTO "facts" VALUES('ledger_id','5bd713f1-5db9-4d66-bb64-4e91350aa70e');
INSERT INTO "facts" VALUES('next_task','4');
CREATE TABLE holds (
	id INTEGER NOT NULL, 
	alert_id VARCHAR(32) NOT NULL, 
	rule_key TEXT NOT NULL, 
	labels JSON NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	ref TEXT NOT NULL, 
	text TEXT NOT NULL, 
	since BIGINT NOT NULL, 
	until BIGINT, 
	ended_at BIGINT, 
	outcome VARCHAR(16) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_holds PRIMARY KEY (id)
);
CREATE TABLE idempotency (
	id VARCHAR(64) NOT NULL, 
	request VARCHAR(64) NOT NULL, 
	answer JSON NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_idempotency PRIMARY KEY (id)
);
CREATE TABLE received_alerts (
	id VARCHAR(32) NOT NULL, 
	labels JSON NOT NULL, 
	annotations JSON NOT NULL, 
	starts_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	generator_url TEXT NOT NULL, 
	timeout BOOLEAN NOT NULL, 
	CONSTRAINT pk_received_alerts PRIMARY KEY (id)
);
CREATE TABLE silences (
	id VARCHAR(36) NOT NULL, 
	matchers JSON NOT NULL, 
	starts_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	created_by TEXT NOT NULL, 
	comment TEXT NOT NULL, 
	CONSTRAINT pk_silences PRIMARY KEY (id)
);
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
INSERT INTO "task_alerts" VALUES(2,'fd4ee6690a8cfefde6631035b00661d6','[["alertname","DiskFull"],["instance","b"]]','b',1700000000000,1700000060000,NULL);
INSERT INTO "task_alerts" VALUES(3,'68ca595b4b1b26a371938926e20b2dbe','[["alertname","DiskFull"],["instance","c"]]','c',1700000120000,NULL,NULL);
INSERT INTO "task_alerts" VALUES(1,'3b130ae58221c23bcd2b86138e669e8e','[["alertname","DiskFull"],["customer","acme"],["instance","a"],["severity","high"]]','a',1700000000000,NULL,1700000180000);
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
	assignee TEXT DEFAULT '' NOT NULL, 
	assigned_at BIGINT, 
	waiting_until BIGINT, 
	closed_at BIGINT, 
	closed_by TEXT DEFAULT '' NOT NULL, 
	close_reason VARCHAR(16) DEFAULT '' NOT NULL, 
	duplicate_of BIGINT, 
	previous BIGINT, 
	parent BIGINT, 
	flap_count INTEGER DEFAULT '0' NOT NULL, 
	flap_penalty INTEGER DEFAULT '0' NOT NULL, 
	flapped_at BIGINT, 
	flapping_since BIGINT, 
	calm_at BIGINT, 
	quiet_since BIGINT, 
	quiet_by TEXT DEFAULT '' NOT NULL, 
	mute_for BIGINT, 
	mute_severity TEXT DEFAULT '' NOT NULL, 
	escalation_step INTEGER DEFAULT '0' NOT NULL, 
	next_escalation_at BIGINT, 
	incident TEXT DEFAULT '' NOT NULL, 
	origin VARCHAR(16) DEFAULT 'rule' NOT NULL, 
	service TEXT DEFAULT '' NOT NULL, 
	held_since BIGINT, 
	open_lag BIGINT, 
	CONSTRAINT pk_tasks PRIMARY KEY (id)
);
INSERT INTO "tasks" VALUES(1,'storage/DiskFull{customer="acme", instance="a"}','acknowledged','/ on a fills','','high','corrective','acme','[["alertname","DiskFull"],["customer","acme"],["instance","a"],["severity","high"]]','{"summary":"/ on a fills"}','storage/DiskFull','DiskFull','disk_free < 1','0.5','support','[]',1699999999500,1700000000000,1700000000000,1700000180000,1700000001000,'ann',NULL,'','',NULL,1700086400000,0,NULL,1700000180000,3,0,'',NULL,NULL,NULL,'','',NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'',NULL,'',0,1700000180000,'','rule','',NULL,500);
INSERT INTO "tasks" VALUES(2,'storage/DiskFull{instance="b"}','resolved','DiskFull (instance=b)','','','corrective','','[["alertname","DiskFull"],["instance","b"]]','{}','storage/DiskFull','DiskFull','disk_free < 1','0.5','support','[]',1699999999500,1700000000000,1700000000000,NULL,NULL,'',1700000060000,'','alert_ended',1700000060000,1701209600000,0,NULL,NULL,2,0,'',NULL,NULL,NULL,'','',NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'',NULL,'',0,NULL,'','rule','',NULL,500);
INSERT INTO "tasks" VALUES(3,'storage/DiskFull{instance="c"}','open','DiskFull (instance=c)','','','corrective','','[["alertname","DiskFull"],["instance","c"]]','{}','storage/DiskFull','DiskFull','disk_free < 1','0.5','support','[]',1699999999500,1700000000000,1700000120000,NULL,NULL,'',NULL,'','',NULL,1701209720000,0,NULL,NULL,1,0,'',NULL,NULL,NULL,'','',NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,'',NULL,'',0,1700000120000,'','rule','',NULL,120500);
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
CREATE INDEX ix_tasks_opened_at ON tasks (opened_at);
CREATE INDEX ix_tasks_parent ON tasks (parent);
CREATE INDEX ix_tasks_state ON tasks (state);
CREATE INDEX ix_tasks_next_escalation_at ON tasks (next_escalation_at);
CREATE INDEX ix_tasks_key ON tasks ("key");
CREATE UNIQUE INDEX uq_tasks_open_key ON tasks ("key") WHERE (state NOT IN ('resolved', 'closed'));
CREATE INDEX ix_tasks_previous ON tasks (previous);
CREATE INDEX ix_holds_alert_id ON holds (alert_id);
CREATE UNIQUE INDEX uq_holds_current ON holds (alert_id) WHERE ended_at IS NULL;
CREATE INDEX ix_audit_object ON audit (object);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE INDEX ix_idempotency_at ON idempotency (at);
CREATE INDEX ix_task_alerts_instance ON task_alerts (instance);
CREATE INDEX ix_task_alerts_alert_id ON task_alerts (alert_id);
CREATE INDEX ix_timeline_task_id ON timeline (task_id);
CREATE INDEX ix_evidence_task_id ON evidence (task_id);
CREATE INDEX ix_evidence_follow_up_at ON evidence (follow_up_at);
CREATE INDEX ix_deliveries_owed ON deliveries (queue, state, due_at);
COMMIT;
