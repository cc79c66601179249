# make setup makes .venv with everything; the others call it.
PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
BIN := .venv/bin
STAMP := .venv/.skygarden

.PHONY: setup demo test bench proto

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	touch $@

demo: setup
	$(BIN)/skygarden demo

test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/python -m pytest --quiet

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/env.py
	$(BIN)/python bench/policy.py
	$(BIN)/python bench/train.py
	$(BIN)/python bench/rollout.py

# Makes rollout/wire anew from proto/.
proto: setup
	mkdir -p build
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=build --pyi_out=build skygarden/rollout/v1/rollout.proto
	mv build/skygarden/rollout/v1/rollout_pb2.py* rollout/wire/
