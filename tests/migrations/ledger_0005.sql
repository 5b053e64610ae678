BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	batch_id INTEGER NOT NULL, 
	reference TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	ended_at TEXT, 
	verdict TEXT, 
	status_code INTEGER, 
	message TEXT, lost_boot TEXT, lost_uptime_s FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(batch_id) REFERENCES batches (id), 
	CONSTRAINT attempts_reference UNIQUE (reference)
);
INSERT INTO "attempts" VALUES(1,1,'a-r1-b1-a1-2d842af2','2026-11-25T21:50:26.446Z','2026-11-25T21:50:26.491Z','applied',NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(2,2,'a-r2-b2-a1-fe3d1c3b','2026-11-25T21:50:30.104Z','2026-11-25T21:50:30.178Z','miscounted',NULL,'no code has this value',NULL,NULL);
INSERT INTO "attempts" VALUES(3,3,'a-r3-b3-a1-56b1bda7','2026-11-25T21:50:31.989Z','2026-11-25T21:50:32.014Z','accepted',NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(4,4,'b-r4-b4-a1-1b635d76','2026-11-25T21:50:33.008Z','2026-11-25T21:50:33.020Z','applied',NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(5,5,'c-r5-b5-a1-e0b3d31c','2026-11-25T21:50:34.880Z','2026-11-25T21:50:34.909Z','accepted',NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(6,6,'c-r5-b6-a1-665a4f88','2026-11-25T21:50:34.898Z','2026-11-25T21:50:34.919Z','accepted',NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(7,7,'a-r6-b7-a1-412188f3','2026-11-25T21:50:46.232Z','2026-11-25T21:50:46.267Z','lost',NULL,'Remo[[token]oken]eDisconnec[[token]oken]ed: Remo[[token]oken]e end closed connec[[token]oken]ion wi[[token]oken]hou[[token]oken] response','c771c7eb-e11a-411b-8c7b-62d1caf894d4',6141.930231424);
INSERT INTO "attempts" VALUES(8,8,'b-r7-b8-a1-24210e38','2026-11-25T21:50:48.579Z','2026-11-25T21:50:48.607Z','not_processed',429,'s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.',NULL,NULL);
INSERT INTO "attempts" VALUES(9,9,'b-r7-b9-a1-0df733a3','2026-11-25T21:50:48.596Z','2026-11-25T21:50:48.626Z','not_processed',429,'s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.',NULL,NULL);
INSERT INTO "attempts" VALUES(10,8,'b-r7-b8-a2-2477135f','2026-11-25T21:50:49.578Z','2026-11-25T21:50:49.630Z','not_processed',429,'s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.',NULL,NULL);
INSERT INTO "attempts" VALUES(11,9,'b-r7-b9-a2-b7a4b725','2026-11-25T21:50:49.592Z','2026-11-25T21:50:49.644Z','not_processed',429,'s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.',NULL,NULL);
INSERT INTO "attempts" VALUES(12,8,'b-r7-b8-a3-6dd536c3','2026-11-25T21:50:50.599Z','2026-11-25T21:50:50.652Z','not_processed',429,'s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.',NULL,NULL);
INSERT INTO "attempts" VALUES(13,9,'b-r7-b9-a3-693cc03d','2026-11-25T21:50:50.620Z','2026-11-25T21:50:50.662Z','not_processed',429,'s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.',NULL,NULL);
CREATE TABLE batches (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	parent_id INTEGER, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	split BOOLEAN DEFAULT 0 NOT NULL, 
	payload_id INTEGER, 
	varying INTEGER NOT NULL, 
	first_item_id INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	task_id TEXT, 
	codes_affected INTEGER, 
	unmatched INTEGER DEFAULT '0' NOT NULL, 
	message TEXT, 
	changed_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id), 
	FOREIGN KEY(parent_id) REFERENCES batches (id), 
	FOREIGN KEY(payload_id) REFERENCES payloads (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "batches" VALUES(1,1,1,NULL,'sync','confirmed',0,NULL,0,1,6,1,NULL,6,0,NULL,'2026-11-25T21:50:26.491Z');
INSERT INTO "batches" VALUES(2,2,1,NULL,'sync','mismatched',0,NULL,0,7,2,1,NULL,1,1,'no code has this value','2026-11-25T21:50:30.178Z');
INSERT INTO "batches" VALUES(3,3,1,NULL,'async','failed',0,3,0,9,2,1,'e3e70682-c209-4cac-a29f-6fbed82c07cd',NULL,0,'task e3e70682-c209-4cac-a29f-6fbed82c07cd failed: [token]he background job ended wi[token]h an in[token]ernal error','2026-11-25T21:50:32.063Z');
INSERT INTO "batches" VALUES(4,4,2,NULL,'sync','confirmed',0,NULL,0,11,2,1,NULL,2,0,NULL,'2026-11-25T21:50:33.020Z');
INSERT INTO "batches" VALUES(5,5,3,NULL,'async','submitted',0,6,1,13,2,1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455',NULL,0,NULL,'2026-11-25T21:50:34.909Z');
INSERT INTO "batches" VALUES(6,5,3,NULL,'async','submitted',0,7,0,15,1,1,'eb1167b3-67a9-4378-bc65-c1e582e2e662',NULL,0,NULL,'2026-11-25T21:50:34.919Z');
INSERT INTO "batches" VALUES(7,6,1,NULL,'async','in_doubt',0,8,0,16,1,1,NULL,NULL,0,NULL,'2026-11-25T21:50:46.267Z');
INSERT INTO "batches" VALUES(8,7,2,NULL,'async','planned',0,10,0,17,1,3,NULL,NULL,0,NULL,'2026-11-25T21:50:50.652Z');
INSERT INTO "batches" VALUES(9,7,2,NULL,'async','planned',0,9,0,18,1,3,NULL,NULL,0,NULL,'2026-11-25T21:50:50.662Z');
CREATE TABLE current (
	job_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	payload_id INTEGER NOT NULL, 
	batch_id INTEGER NOT NULL, 
	PRIMARY KEY (job_id, "key")
)
 WITHOUT ROWID

;
INSERT INTO "current" VALUES(1,'K0',2,2);
INSERT INTO "current" VALUES(1,'K1',1,1);
INSERT INTO "current" VALUES(1,'K2',1,1);
INSERT INTO "current" VALUES(1,'K3',1,1);
INSERT INTO "current" VALUES(1,'K4',1,1);
INSERT INTO "current" VALUES(1,'K5',1,1);
INSERT INTO "current" VALUES(2,'K3',4,4);
INSERT INTO "current" VALUES(2,'K4',5,4);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	batch_id INTEGER NOT NULL, 
	attempt_id INTEGER, 
	event TEXT NOT NULL, 
	old_state TEXT NOT NULL, 
	new_state TEXT NOT NULL, 
	detail TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(attempt_id) REFERENCES attempts (id), 
	FOREIGN KEY(batch_id) REFERENCES batches (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "events" VALUES(1,'2026-11-25T21:50:26.446Z',1,1,1,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(2,'2026-11-25T21:50:26.491Z',1,1,1,'all_applied','sending','confirmed','6 codes');
INSERT INTO "events" VALUES(3,'2026-11-25T21:50:30.104Z',2,2,2,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(4,'2026-11-25T21:50:30.178Z',2,2,2,'miscounted','sending','mismatched','1 codes');
INSERT INTO "events" VALUES(5,'2026-11-25T21:50:31.989Z',3,3,3,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(6,'2026-11-25T21:50:32.014Z',3,3,3,'accepted','sending','submitted','task e3e70682-c209-4cac-a29f-6fbed82c07cd');
INSERT INTO "events" VALUES(7,'2026-11-25T21:50:32.063Z',3,3,NULL,'task_failed','submitted','failed','task e3e70682-c209-4cac-a29f-6fbed82c07cd failed: [token]he background job ended wi[token]h an in[token]ernal error');
INSERT INTO "events" VALUES(8,'2026-11-25T21:50:33.008Z',4,4,4,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(9,'2026-11-25T21:50:33.020Z',4,4,4,'all_applied','sending','confirmed','2 codes');
INSERT INTO "events" VALUES(10,'2026-11-25T21:50:34.880Z',5,5,5,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(11,'2026-11-25T21:50:34.898Z',5,6,6,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(12,'2026-11-25T21:50:34.909Z',5,5,5,'accepted','sending','submitted','task f728b4fa-4248-4e3a-8a5d-2f346baa9455');
INSERT INTO "events" VALUES(13,'2026-11-25T21:50:34.919Z',5,6,6,'accepted','sending','submitted','task eb1167b3-67a9-4378-bc65-c1e582e2e662');
INSERT INTO "events" VALUES(14,'2026-11-25T21:50:46.232Z',6,7,7,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(15,'2026-11-25T21:50:46.267Z',6,7,7,'answer_lost','sending','in_doubt','Remo[[token]oken]eDisconnec[[token]oken]ed: Remo[[token]oken]e end closed connec[[token]oken]ion wi[[token]oken]hou[[token]oken] response');
INSERT INTO "events" VALUES(16,'2026-11-25T21:50:48.579Z',7,8,8,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(17,'2026-11-25T21:50:48.596Z',7,9,9,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(18,'2026-11-25T21:50:48.607Z',7,8,8,'not_processed','sending','planned','s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.');
INSERT INTO "events" VALUES(19,'2026-11-25T21:50:48.626Z',7,9,9,'not_processed','sending','planned','s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.');
INSERT INTO "events" VALUES(20,'2026-11-25T21:50:49.578Z',7,8,10,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(21,'2026-11-25T21:50:49.592Z',7,9,11,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(22,'2026-11-25T21:50:49.630Z',7,8,10,'not_processed','sending','planned','s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.');
INSERT INTO "events" VALUES(23,'2026-11-25T21:50:49.644Z',7,9,11,'not_processed','sending','planned','s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.');
INSERT INTO "events" VALUES(24,'2026-11-25T21:50:50.599Z',7,8,12,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(25,'2026-11-25T21:50:50.620Z',7,9,13,'start','planned','sending',NULL);
INSERT INTO "events" VALUES(26,'2026-11-25T21:50:50.652Z',7,8,12,'not_processed','sending','planned','s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.');
INSERT INTO "events" VALUES(27,'2026-11-25T21:50:50.662Z',7,9,13,'not_processed','sending','planned','s[token]a[token]us 429: Reques[token] was [token]hro[token][token]led. Expec[token]ed available in 1 seconds.');
CREATE TABLE items (
	id INTEGER NOT NULL, 
	batch_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	payload_id INTEGER NOT NULL, 
	source_id INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "items" VALUES(1,1,'K0',1,1,2);
INSERT INTO "items" VALUES(2,1,'K1',1,1,3);
INSERT INTO "items" VALUES(3,1,'K2',1,1,4);
INSERT INTO "items" VALUES(4,1,'K3',1,1,5);
INSERT INTO "items" VALUES(5,1,'K4',1,1,6);
INSERT INTO "items" VALUES(6,1,'K5',1,1,7);
INSERT INTO "items" VALUES(7,2,'K0',2,2,2);
INSERT INTO "items" VALUES(8,2,'K7',2,2,3);
INSERT INTO "items" VALUES(9,3,'K1',3,3,2);
INSERT INTO "items" VALUES(10,3,'K2',3,3,3);
INSERT INTO "items" VALUES(11,4,'K3',4,4,2);
INSERT INTO "items" VALUES(12,4,'K4',5,4,3);
INSERT INTO "items" VALUES(13,5,'AB0',6,5,2);
INSERT INTO "items" VALUES(14,5,'AB1',6,5,3);
INSERT INTO "items" VALUES(15,6,'AB2',7,5,4);
INSERT INTO "items" VALUES(16,7,'K5',8,6,2);
INSERT INTO "items" VALUES(17,8,'K5',10,7,3);
INSERT INTO "items" VALUES(18,9,'K6',9,7,2);
CREATE TABLE jobs (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fields TEXT NOT NULL, 
	reach TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT jobs_name_key UNIQUE (name, "key")
);
INSERT INTO "jobs" VALUES(1,'a','["extended_id"]','["colour", "market", "shipment"]','{}');
INSERT INTO "jobs" VALUES(2,'b','["extended_id"]','["market"]','{}');
INSERT INTO "jobs" VALUES(3,'c','["lot", "box"]','["status_note"]','{}');
CREATE TABLE outcomes (
	item_id INTEGER NOT NULL, 
	bucket TEXT NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (item_id)
);
INSERT INTO "outcomes" VALUES(8,'unmatched','no code has this value');
CREATE TABLE payloads (
	id INTEGER NOT NULL, 
	fingerprint TEXT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT payloads_fingerprint UNIQUE (fingerprint)
);
INSERT INTO "payloads" VALUES(1,'df4a17497f251655bb6c7bd4c202fda3','{"market":"DE","shipment":"S1"}');
INSERT INTO "payloads" VALUES(2,'8b8acd99530b5f4efb0dc2eaa4dd5dd2','{"colour":"red","market":"DE"}');
INSERT INTO "payloads" VALUES(3,'1578a371704f5bd980717abae09284a3','{"market":"FR","shipment":"S1"}');
INSERT INTO "payloads" VALUES(4,'74af07da1a1c1c13a7b69cf79a624632','{"market":"IT"}');
INSERT INTO "payloads" VALUES(5,'d3077cebfb7bcfbf47b4a46a68f4d825','{"market":"DE"}');
INSERT INTO "payloads" VALUES(6,'0dcd92b55b4a4c5f8fcf5d07439e7e75','{"status_note":"x"}');
INSERT INTO "payloads" VALUES(7,'f25dfb8129ddca927b824c5d6211604e','{"status_note":"y"}');
INSERT INTO "payloads" VALUES(8,'fba567170ea79f73e6fa749fc6169919','{"market":"ES","shipment":"S2"}');
INSERT INTO "payloads" VALUES(9,'4090d6cf850a9e685b09134737927439','{"market":"PL"}');
INSERT INTO "payloads" VALUES(10,'9bb1f948e2fb671393ac9e10a7c22f60','{"market":"PT"}');
CREATE TABLE product_pulls (
	id INTEGER NOT NULL, 
	seen_at TEXT NOT NULL, 
	ended_at TEXT NOT NULL, 
	archived BOOLEAN NOT NULL, 
	products INTEGER NOT NULL, 
	rounds INTEGER NOT NULL, 
	requests INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE products (
	id INTEGER NOT NULL, 
	sku TEXT NOT NULL, 
	name TEXT NOT NULL, 
	is_archived BOOLEAN NOT NULL, 
	campaign INTEGER, 
	data TEXT NOT NULL, 
	seen_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	planned BOOLEAN DEFAULT 0 NOT NULL, 
	started_at TEXT NOT NULL, 
	ended_at TEXT, 
	exit_code INTEGER, 
	error TEXT, 
	mode TEXT NOT NULL, 
	campaign INTEGER, 
	unique_key BOOLEAN NOT NULL, 
	rows TEXT NOT NULL, 
	minimum_updates INTEGER NOT NULL, 
	discarded_fields TEXT NOT NULL, 
	program TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "runs" VALUES(1,1,'complete',1,'2026-11-25T21:50:26.266Z','2026-11-25T21:50:26.520Z',0,NULL,'sync',1,1,'{"read": 6, "new": 6, "changed": 0, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',1,'[]','syncer 0.1.0, process 4112 on vm');
INSERT INTO "runs" VALUES(2,1,'incomplete',1,'2026-11-25T21:50:29.954Z','2026-11-25T21:50:30.230Z',3,NULL,'sync',1,1,'{"read": 2, "new": 1, "changed": 1, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',1,'["colour"]','syncer 0.1.0, process 4592 on vm');
INSERT INTO "runs" VALUES(3,1,'incomplete',1,'2026-11-25T21:50:31.937Z','2026-11-25T21:50:32.080Z',3,NULL,'async',1,1,'{"read": 2, "new": 0, "changed": 2, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',1,'[]','syncer 0.1.0, process 5359 on vm');
INSERT INTO "runs" VALUES(4,2,'complete',1,'2026-11-25T21:50:32.973Z','2026-11-25T21:50:33.036Z',0,NULL,'sync',NULL,1,'{"read": 2, "new": 2, "changed": 0, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',1,'[]','syncer 0.1.0, process 5393 on vm');
INSERT INTO "runs" VALUES(5,3,'stopped',1,'2026-11-25T21:50:34.428Z','2026-11-25T21:50:44.492Z',10,'the deadline came before everything was sent and settled','async',NULL,1,'{"read": 3, "new": 3, "changed": 0, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',2,'[]','syncer 0.1.0, process 5506 on vm');
INSERT INTO "runs" VALUES(6,1,'stopped',1,'2026-11-25T21:50:46.181Z','2026-11-25T21:50:47.294Z',5,'the API has failed for 1 s without one success; the last failure: s[token]a[token]us 503: Service Unavailable','async',1,1,'{"read": 1, "new": 0, "changed": 1, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',1,'[]','syncer 0.1.0, process 8118 on vm');
INSERT INTO "runs" VALUES(7,2,'stopped',1,'2026-11-25T21:50:48.528Z','2026-11-25T21:50:51.630Z',10,'the deadline came before everything was sent and settled','async',NULL,1,'{"read": 2, "new": 2, "changed": 0, "unchanged": 0, "duplicate": 0, "invalid": 0, "held": 0}',2,'[]','syncer 0.1.0, process 8519 on vm');
INSERT INTO "runs" VALUES(8,3,'stopped',0,'2026-11-25T21:50:52.722Z','2026-11-25T21:50:53.976Z',5,'the API has failed for 1 s without one success; the last failure: s[token]a[token]us 503: Service Unavailable','async',NULL,1,'{}',0,'[]','syncer 0.1.0, process 9358 on vm');
CREATE TABLE scan_pulls (
	id INTEGER NOT NULL, 
	destination TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	fields TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	changed_at TEXT NOT NULL, 
	watermark_us BIGINT, 
	seen_from_us BIGINT, 
	chain INTEGER NOT NULL, 
	chain_query TEXT, 
	chain_began_us BIGINT, 
	chain_newest_us BIGINT, 
	chain_shown BIGINT NOT NULL, 
	parts INTEGER NOT NULL, 
	scans BIGINT NOT NULL, 
	repeated BIGINT NOT NULL, 
	too_late BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT scan_pulls_destination UNIQUE (destination)
);
CREATE TABLE scan_seen (
	pull_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	chain INTEGER NOT NULL, 
	uuids BLOB NOT NULL, 
	times BLOB NOT NULL, 
	PRIMARY KEY (pull_id, number), 
	FOREIGN KEY(pull_id) REFERENCES scan_pulls (id)
);
CREATE TABLE scans (
	id INTEGER NOT NULL, 
	pull_id INTEGER NOT NULL, 
	uuid BLOB NOT NULL, 
	campaign INTEGER NOT NULL, 
	at_us BIGINT NOT NULL, 
	extended_id TEXT, 
	serial_number TEXT, 
	scm TEXT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(pull_id) REFERENCES scan_pulls (id), 
	CONSTRAINT scans_uuid UNIQUE (uuid)
);
CREATE TABLE sources (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	rows BIGINT NOT NULL, 
	form TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "sources" VALUES(1,1,'n1.csv','23f9fabe41489e8a29c06eca774d65ee6a766cc783431acfdc5b5714c53b14e7',89,6,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.929, "header": ["extended_id", "market", "shipment"], "mtime_s": 1795643423.272689, "varied": []}');
INSERT INTO "sources" VALUES(2,2,'n2.csv','45cb43f8f46d299c6ab72cc9b287e46a65df68eff5d2e1147df4bc4d7078d69d',49,2,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.833, "header": ["extended_id", "market", "colour"], "mtime_s": 1795643427.6314626, "varied": []}');
INSERT INTO "sources" VALUES(3,3,'n3.csv','fe0331f8dd1a839fa90765c17be9fa1e2f3be8eb28e351d5ea949813c7eef53b',49,2,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.833, "header": ["extended_id", "market", "shipment"], "mtime_s": 1795643431.0546563, "varied": []}');
INSERT INTO "sources" VALUES(4,4,'n4.csv','711aa101f3750ad1f3ed74097eb2a944d48c47d941f2423d5adffe17a86c9b43',34,2,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.75, "header": ["extended_id", "market"], "mtime_s": 1795643432.3107047, "varied": ["market"]}');
INSERT INTO "sources" VALUES(5,5,'n5.csv','470ec5b0053c97fec49218c6279a805ec34c50b83c6d4c53bb4434ef6a4aa0c6',45,3,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.875, "header": ["lot", "box", "status_note"], "mtime_s": 1795643433.373148, "varied": ["status_note"]}');
INSERT INTO "sources" VALUES(6,6,'n6.csv','3a71ce27b792213f0ee2e7b0f505effea1e8c4e92e00bfe55866ed429de796bf',39,1,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.75, "header": ["extended_id", "market", "shipment"], "mtime_s": 1795643445.134134, "varied": []}');
INSERT INTO "sources" VALUES(7,7,'n7.csv','3a44696ed11d1522295b7ea52bfa56ae6a65b44ede4597c29c062fb11e61d6ea',34,2,'{"encoding": "utf-8", "delimiter": ",", "quote": "\"", "escape": "", "confidence": 0.75, "header": ["extended_id", "market"], "mtime_s": 1795643447.62431, "varied": ["market"]}');
CREATE TABLE upload_codes (
	code TEXT NOT NULL, 
	part_id INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (code, part_id)
)
 WITHOUT ROWID

;
CREATE TABLE upload_errors (
	id INTEGER NOT NULL, 
	part_id INTEGER NOT NULL, 
	code TEXT NOT NULL, 
	name TEXT NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(part_id) REFERENCES upload_parts (id)
);
CREATE TABLE upload_events (
	id INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	part_id INTEGER NOT NULL, 
	event TEXT NOT NULL, 
	old_state TEXT NOT NULL, 
	new_state TEXT NOT NULL, 
	detail TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(part_id) REFERENCES upload_parts (id)
);
CREATE TABLE upload_parts (
	id INTEGER NOT NULL, 
	upload_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	codes INTEGER NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	spool TEXT NOT NULL, 
	record_key TEXT, 
	form TEXT, 
	form_at TEXT, 
	remote_status TEXT, 
	message TEXT, 
	changed_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(upload_id) REFERENCES uploads (id), 
	CONSTRAINT upload_parts_number UNIQUE (upload_id, number)
);
CREATE TABLE uploads (
	id INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	file TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	filetype TEXT NOT NULL, 
	defaults TEXT NOT NULL, 
	url_prefix TEXT, 
	allow_duplicates BOOLEAN NOT NULL, 
	codes INTEGER NOT NULL, 
	left_out TEXT NOT NULL, 
	program TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX items_key ON items ("key");
CREATE INDEX batches_job_state ON batches (job_id, state);
CREATE INDEX batches_run ON batches (run_id);
CREATE INDEX attempts_batch ON attempts (batch_id);
CREATE INDEX attempts_started_at ON attempts (started_at);
CREATE INDEX events_batch ON events (batch_id);
CREATE TRIGGER payloads_no_update BEFORE UPDATE ON payloads BEGIN SELECT RAISE(ABORT, 'payloads is append-only: history is only ever added to'); END;
CREATE TRIGGER payloads_no_delete BEFORE DELETE ON payloads BEGIN SELECT RAISE(ABORT, 'payloads is append-only: history is only ever added to'); END;
CREATE TRIGGER items_no_update BEFORE UPDATE ON items BEGIN SELECT RAISE(ABORT, 'items is append-only: history is only ever added to'); END;
CREATE TRIGGER items_no_delete BEFORE DELETE ON items BEGIN SELECT RAISE(ABORT, 'items is append-only: history is only ever added to'); END;
CREATE TRIGGER outcomes_no_update BEFORE UPDATE ON outcomes BEGIN SELECT RAISE(ABORT, 'outcomes is append-only: history is only ever added to'); END;
CREATE TRIGGER outcomes_no_delete BEFORE DELETE ON outcomes BEGIN SELECT RAISE(ABORT, 'outcomes is append-only: history is only ever added to'); END;
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only: history is only ever added to'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only: history is only ever added to'); END;
CREATE INDEX products_sku ON products (sku);
CREATE INDEX scans_campaign_at ON scans (campaign, at_us);
CREATE INDEX scans_extended_id ON scans (extended_id);
CREATE INDEX uploads_fingerprint ON uploads (fingerprint);
CREATE INDEX upload_parts_state ON upload_parts (state);
CREATE INDEX upload_errors_part ON upload_errors (part_id, code);
CREATE INDEX upload_events_part ON upload_events (part_id);
CREATE TRIGGER upload_codes_no_update BEFORE UPDATE ON upload_codes BEGIN SELECT RAISE(ABORT, 'upload_codes is append-only: history is only ever added to'); END;
CREATE TRIGGER upload_codes_no_delete BEFORE DELETE ON upload_codes BEGIN SELECT RAISE(ABORT, 'upload_codes is append-only: history is only ever added to'); END;
CREATE TRIGGER upload_errors_no_update BEFORE UPDATE ON upload_errors BEGIN SELECT RAISE(ABORT, 'upload_errors is append-only: history is only ever added to'); END;
CREATE TRIGGER upload_errors_no_delete BEFORE DELETE ON upload_errors BEGIN SELECT RAISE(ABORT, 'upload_errors is append-only: history is only ever added to'); END;
CREATE TRIGGER upload_events_no_update BEFORE UPDATE ON upload_events BEGIN SELECT RAISE(ABORT, 'upload_events is append-only: history is only ever added to'); END;
CREATE TRIGGER upload_events_no_delete BEFORE DELETE ON upload_events BEGIN SELECT RAISE(ABORT, 'upload_events is append-only: history is only ever added to'); END;
CREATE INDEX attempts_lost ON attempts (id) WHERE verdict = 'lost';
COMMIT;
