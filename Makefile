# make setup makes .venv with everything; the others call it.
PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
BIN := .venv/bin
STAMP := .venv/.skygarden

.PHONY: setup demo test chaos bench proto

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	touch $@

demo: setup
	$(BIN)/skygarden demo

# Two processes with a thread each: threads that wait for each other on busy cores make a test take three times as long.
test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What happens to learners, workers and the lines between them, drawn from 20 seeds, and to machines of a Ray cluster,
# from 4; the tests have three of them, and one.
chaos: setup
	SKYGARDEN_CHAOS=20 SKYGARDEN_CHAOS_RAY=4 $(BIN)/python -m pytest --verbose --capture=no tests/chaos

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/env.py
	$(BIN)/python bench/policy.py
	$(BIN)/python bench/train.py
	$(BIN)/python bench/rollout.py
	$(BIN)/python bench/learner.py
	$(BIN)/python bench/recovery.py
	$(BIN)/python bench/window.py
	$(BIN)/python bench/capture.py

# Makes rollout/wire anew from proto/.
proto: setup
	mkdir -p build
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=build --pyi_out=build skygarden/rollout/v1/rollout.proto
	mv build/skygarden/rollout/v1/rollout_pb2.py* rollout/wire/
