BEGIN TRANSACTION;
CREATE TABLE cells (
	"key" VARCHAR(16) NOT NULL, 
	suite TEXT NOT NULL, 
	method TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	spec TEXT NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	message TEXT NOT NULL, 
	token VARCHAR(32) NOT NULL, 
	attempts INTEGER NOT NULL, 
	claim VARCHAR(32) NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	started FLOAT NOT NULL, 
	heartbeat FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	time_limit FLOAT, 
	memory_limit FLOAT, 
	date VARCHAR(40) NOT NULL, 
	run_id INTEGER, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "cells" VALUES('0bfd27a5466148d1','demo','raw','digits',0,'{"batch_size":null,"dataset":"digits","encoder":null,"epochs":2,"method":"raw","options":[],"origin":{"preset":""},"preset":"none","probe":"LBFGS","sampler":null,"seed":0,"setting":"frozen"}','done','','7ae33335',1,'','machine',3411,1795977263.26,1.79597726969483518599e+09,3.73286942999925486219e-01,300.0,NULL,'2026-11-29T18:34:30+00:00',4);
CREATE TABLE gssl_meta (
	name VARCHAR(40) NOT NULL, 
	value VARCHAR(40), 
	PRIMARY KEY (name)
);
INSERT INTO "gssl_meta" VALUES('schema_version','2');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	method VARCHAR(200) NOT NULL, 
	config_hash VARCHAR(16) NOT NULL, 
	dataset VARCHAR(200) NOT NULL, 
	dataset_checksum VARCHAR(16) NOT NULL, 
	split_hash VARCHAR(16) NOT NULL, 
	probe VARCHAR(200) NOT NULL, 
	probe_version INTEGER NOT NULL, 
	seed INTEGER NOT NULL, 
	environment_hash VARCHAR(16) NOT NULL, 
	status VARCHAR(10) NOT NULL, 
	metric VARCHAR(40) NOT NULL, 
	val FLOAT, 
	test FLOAT, 
	epochs INTEGER NOT NULL, 
	pretrain_seconds FLOAT NOT NULL, 
	probe_seconds FLOAT NOT NULL, 
	peak_memory_mb FLOAT NOT NULL, 
	encoder VARCHAR(200) NOT NULL, 
	sampler VARCHAR(200) NOT NULL, 
	preset VARCHAR(200) NOT NULL, 
	run_dir TEXT NOT NULL, 
	date VARCHAR(40) NOT NULL, 
	git_hash VARCHAR(41) NOT NULL, 
	config TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT one_row_per_measurement UNIQUE (method, config_hash, dataset, dataset_checksum, split_hash, probe, probe_version, seed, environment_hash)
);
INSERT INTO "runs" VALUES(1,'GRACE','498cb7a9a865e4bf','digits','75b9e1f836463ec6','ea693b41e958c8f8','LBFGS',1,0,'3702b851aa3ed350','done','accuracy',0.896,0.913,2,3.14145758999870849947e-01,1.07857717999991109536e-01,602.09765625,'GCN','full','default','runs/GRACE-digits-498cb7a9','2026-11-29T18:34:14+00:00','6569a700f088a1aa70922fd48bb1812bca873e55','{"dataset": "digits", "method": {"name": "GRACE", "drop_edge": [0.2, 0.4], "mask_feature": [0.3, 0.4], "temperature": 0.4, "projector_dim": 128, "intra": true}, "encoder": {"name": "GCN", "hidden_dim": 8, "out_dim": 128, "num_layers": 2, "activation": "relu", "final_activation": true, "norm": "none", "norm_momentum": 0.1, "dropout": 0.0, "in_dropout": 0.0, "jk": "last", "readout": "sum"}, "sampler": {"name": "full"}, "train": {"epochs": 2, "lr": 0.0005, "weight_decay": 1e-05, "optimizer": "adam", "schedule": "constant", "warmup_epochs": 0, "clip_norm": null, "patience": null, "batch_size": null, "precision": "32-true", "checkpoint_seconds": 30.0}, "probe": {"name": "LBFGS"}, "seeds": [0, 1]}','{"gssl": "0.1.0", "git_hash": "6569a700f088a1aa70922fd48bb1812bca873e55", "git_dirty": false, "python": "3.11.7", "libraries": {"torch": "2.13.0+cpu", "torch_geometric": "2.8.1", "lightning-fabric": "2.6.6", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "numba": "0.68.1", "ogb": "1.3.6", "rdkit": "2026.9.1"}, "platform": "Linux-x86_64", "processor": "AMD EPYC", "device": "cpu", "threads": 1, "plugins": {}, "hash": "3702b851aa3ed350"}','');
INSERT INTO "runs" VALUES(2,'GRACE','498cb7a9a865e4bf','digits','75b9e1f836463ec6','ea693b41e958c8f8','LBFGS',1,1,'3702b851aa3ed350','done','accuracy',0.73,0.748,2,2.53936156000122537079e-01,4.91239692000021932472e-01,609.02734375,'GCN','full','default','runs/GRACE-digits-498cb7a9','2026-11-29T18:34:15+00:00','6569a700f088a1aa70922fd48bb1812bca873e55','{"dataset": "digits", "method": {"name": "GRACE", "drop_edge": [0.2, 0.4], "mask_feature": [0.3, 0.4], "temperature": 0.4, "projector_dim": 128, "intra": true}, "encoder": {"name": "GCN", "hidden_dim": 8, "out_dim": 128, "num_layers": 2, "activation": "relu", "final_activation": true, "norm": "none", "norm_momentum": 0.1, "dropout": 0.0, "in_dropout": 0.0, "jk": "last", "readout": "sum"}, "sampler": {"name": "full"}, "train": {"epochs": 2, "lr": 0.0005, "weight_decay": 1e-05, "optimizer": "adam", "schedule": "constant", "warmup_epochs": 0, "clip_norm": null, "patience": null, "batch_size": null, "precision": "32-true", "checkpoint_seconds": 30.0}, "probe": {"name": "LBFGS"}, "seeds": [0, 1]}','{"gssl": "0.1.0", "git_hash": "6569a700f088a1aa70922fd48bb1812bca873e55", "git_dirty": false, "python": "3.11.7", "libraries": {"torch": "2.13.0+cpu", "torch_geometric": "2.8.1", "lightning-fabric": "2.6.6", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "numba": "0.68.1", "ogb": "1.3.6", "rdkit": "2026.9.1"}, "platform": "Linux-x86_64", "processor": "AMD EPYC", "device": "cpu", "threads": 1, "plugins": {}, "hash": "3702b851aa3ed350"}','');
INSERT INTO "runs" VALUES(3,'supervised','bb1ddb540ea3607a','digits','75b9e1f836463ec6','ea693b41e958c8f8','LBFGS',1,0,'3702b851aa3ed350','done','accuracy',0.17,0.197,2,1.27659409999978379346e-02,1.87315499999840540112e-03,566.76953125,'GCN','full','default','runs/supervised-digits-bb1ddb54','2026-11-29T18:34:22+00:00','6569a700f088a1aa70922fd48bb1812bca873e55','{"dataset": "digits", "method": {"name": "supervised", "dropout": 0.0}, "encoder": {"name": "GCN", "hidden_dim": 8, "out_dim": null, "num_layers": 2, "activation": "relu", "final_activation": false, "norm": "none", "norm_momentum": 0.1, "dropout": 0.5, "in_dropout": 0.5, "jk": "last", "readout": "sum"}, "sampler": {"name": "full"}, "train": {"epochs": 2, "lr": 0.01, "weight_decay": 0.0005, "optimizer": "adam", "schedule": "constant", "warmup_epochs": 0, "clip_norm": null, "patience": null, "batch_size": null, "precision": "32-true", "checkpoint_seconds": 30.0}, "probe": {"name": "LBFGS"}, "seeds": [0]}','{"gssl": "0.1.0", "git_hash": "6569a700f088a1aa70922fd48bb1812bca873e55", "git_dirty": false, "python": "3.11.7", "libraries": {"torch": "2.13.0+cpu", "torch_geometric": "2.8.1", "lightning-fabric": "2.6.6", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "numba": "0.68.1", "ogb": "1.3.6", "rdkit": "2026.9.1"}, "platform": "Linux-x86_64", "processor": "AMD EPYC", "device": "cpu", "threads": 1, "plugins": {}, "hash": "3702b851aa3ed350"}','');
INSERT INTO "runs" VALUES(4,'raw','08e49d3a6f90cbf7','digits','75b9e1f836463ec6','ea693b41e958c8f8','LBFGS',1,0,'3702b851aa3ed350','done','accuracy',0.914,0.935,0,0.0,0.0516089349999902,409.18359375,'GCN','full','','runs/raw-digits-08e49d3a-0-7ae33335','2026-11-29T18:34:30+00:00','6569a700f088a1aa70922fd48bb1812bca873e55','{"dataset": "digits", "method": {"name": "raw"}, "encoder": {"name": "GCN", "hidden_dim": 256, "out_dim": null, "num_layers": 2, "activation": "relu", "final_activation": true, "norm": "none", "norm_momentum": 0.1, "dropout": 0.0, "in_dropout": 0.0, "jk": "last", "readout": "sum"}, "sampler": {"name": "full"}, "train": {"epochs": 2, "lr": 0.001, "weight_decay": 0.0, "optimizer": "adam", "schedule": "constant", "warmup_epochs": 0, "clip_norm": null, "patience": null, "batch_size": null, "precision": "32-true", "checkpoint_seconds": 30.0}, "probe": {"name": "LBFGS"}, "seeds": [0]}','{"gssl": "0.1.0", "git_hash": "6569a700f088a1aa70922fd48bb1812bca873e55", "git_dirty": false, "python": "3.11.7", "libraries": {"torch": "2.13.0+cpu", "torch_geometric": "2.8.1", "lightning-fabric": "2.6.6", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "numba": "0.68.1", "ogb": "1.3.6", "rdkit": "2026.9.1"}, "platform": "Linux-x86_64", "processor": "AMD EPYC", "device": "cpu", "threads": 1, "plugins": {}, "hash": "3702b851aa3ed350"}','');
CREATE INDEX ix_runs_date ON runs (date);
CREATE INDEX ix_cells_status ON cells (status);
COMMIT;
