# `make` shows what there is; every goal makes the virtual environment first when it is missing.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
# A file's tests stay on one worker, which makes once what they share, until the other one has none left.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

LOWEST := $(VENV)-lowest
# A choice of fast tests that touches every library that pyproject.toml names.
LOWEST_TESTS ?= tests/arguments tests/data tests/evaluation tests/inference/test_predictor.py tests/losses tests/models \
	tests/report/test_findings.py tests/report/test_report.py tests/storage/test_record.py tests/training/test_training.py

.PHONY: help compare results sweep search train predict report test test-slow test-lowest lint format bench clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo
	@echo "More arguments go in ARGS, as in: make compare ARGS='--data my.csv --seeds 1 2 3 4 5'"

$(READY): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint .ci/constraints.txt --editable '.[dev]'
	@touch $@

compare: $(READY) ## train the twelve models over three seeds; table and pictures in runs/compare
	$(BIN)/python recipes/compare.py $(ARGS)

results: $(READY) ## the pages of recipes/results, of KOTE too: make results ARGS='--kote FOLDER/val.tsv'
	$(BIN)/python recipes/results.py $(ARGS)

sweep: $(READY) ## vary the weight of the metric loss; figure and table in runs/sweep
	$(BIN)/python recipes/compare.py --config recipes/sweep.yaml $(ARGS)

search: $(READY) ## find hyper-parameters on validation data: make search ARGS='--aux triplet --trials 20'
	$(BIN)/python recipes/search.py $(ARGS)

train: $(READY) ## train one model: make train ARGS='--pooling mean --aux triplet'
	$(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no recipes/train.py $(ARGS)

predict: $(READY) ## emotions of sentences: make predict ARGS='MODEL "오늘 정말 행복했어"'
	$(BIN)/python recipes/predict.py $(ARGS)

report: $(READY) ## report.html, tables and pictures again, from the records alone
	$(BIN)/python recipes/compare.py --report_only true $(ARGS)

test: $(READY) ## fast tests
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(READY) ## the tests that take longer
	$(PYTEST) -m slow $(ARGS)

test-lowest: ## fast tests with the lowest versions that pyproject.toml claims
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/pip install --quiet 'uv>=0.9'
	$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --extra dev pyproject.toml --output-file $(LOWEST)/requirements.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirement $(LOWEST)/requirements.txt
	PYTHONPATH=$(CURDIR) $(LOWEST)/bin/python -m pytest -m "not slow" $(LOWEST_TESTS) $(ARGS)

lint: $(READY) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure training, losses and scale beside other libraries; tables in runs/bench
	$(BIN)/python recipes/bench/training.py $(ARGS)
	$(BIN)/python recipes/bench/metric_loss.py
	$(BIN)/python recipes/bench/label_sets.py
	$(BIN)/python recipes/bench/losses.py
	$(BIN)/python recipes/bench/scale.py

clean: ## remove the virtual environment, runs and caches
	rm -rf $(VENV) $(LOWEST) runs .pytest_cache .ruff_cache .hypothesis *.egg-info
	find emo_hf recipes tests -name __pycache__ -type d -exec rm -rf {} +
