# `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode
# Tests wait as often as they compute, so more of them run at once than there are cores.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
PYTEST := $(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal --durations=10

# ROLLOUT=latest: the same with servers that take the highest version they find. `down` and `status` need none.
ifdef ROLLOUT
export UNDERSTUDY_ROLLOUT := $(ROLLOUT)
endif

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up down status test prove platform conformance look images push pin mutants lint lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.run ## the environment in .venv, from the lock; PYTHON=python3.12 chooses the interpreter

setup-dev: $(VENV)/.dev ## the same and what tests and linters need

demo: $(VENV)/.run ## the whole story on this machine: retrain, release, refuse a bad model, roll back; ROLLOUT=pinned|latest
	@$(BIN)/python -m embedded demo

up: $(VENV)/.run ## start Airflow, MLflow and the replicas, and wait until all of them answer; ROLLOUT=pinned|latest
	@$(BIN)/python -m embedded up

down: ## end all of it
	@test ! -e $(VENV)/.run || $(BIN)/python -m embedded down

status: $(VENV)/.run ## what is up, and which version serves
	@$(BIN)/python -m embedded status

# The tests start hundreds of interpreters: what is compiled stays, also where the environment says that it should not.
test prove platform: export PYTHONDONTWRITEBYTECODE =

# mypy runs beside the tests. What it finds comes after them, where it is seen, and the log is in .venv/types.log.
test: lint ## what every commit must pass: linters, types, import contracts, tests and a share of the hunts
	$(BIN)/lint-imports
	@$(BIN)/mypy > $(VENV)/types.log 2>&1 & types=$$!; \
	$(PYTEST) -m "not stack and not platform and (not hunt or share)"; tests=$$?; \
	wait $$types || { types=failed; cat $(VENV)/types.log; }; \
	[ $$tests -eq 0 ] || echo "make test: tests failed, see above"; \
	[ $$types != failed ] || echo "make test: types are wrong, see above"; \
	[ $$tests -eq 0 ] && [ $$types != failed ]

HUNTS ?= hunt
prove: $(VENV)/.dev ## the hunts at full strength: kills, made-up histories, storms, bad networks
	@$(PYTEST) -m "$(HUNTS)"

platform: $(VENV)/.dev ## build the images on stand-ins for their bases, and run every service of docker-compose.yaml, without a container engine
	@$(BIN)/pytest --numprocesses=2 --dist=loadfile --durations=10 -m platform

# By the environment, because the value may have several lines.
conformance: export COMMAND ?=
conformance: $(VENV)/.run ## check what is stated about TensorFlow Serving on a real one: SERVER=host:port or COMMAND=..., see docs/conformance.md
	@$(BIN)/python -m tests.conformance --server='$(SERVER)' --rest='$(REST)' --command="$$COMMAND" \
		--folder='$(or $(FOLDER),var/conformance)' --models='$(MODELS)' $(if $(JSON),--json='$(JSON)')

look: $(VENV)/.dev ## look at the stack of `make demo`, which is up, in headless Chromium
	@$(BIN)/pytest -m stack tests/browser

mutants: $(VENV)/.dev ## plant bugs in copies of the product, and see whether the tests find them
	@$(BIN)/python -m tests.mutants -- --numprocesses=$(WORKERS) --dist=worksteal

images: ## build the images of docker/: with the tags `local` and the code version; GPU=1, ENGINE=docker|podman|buildah, BUILD_ARGS=...
	@docker/pin --offline || true # only a hint
	docker/images build

push: ## push the images with the code version: REGISTRY=registry.example.com/team; GPU=1
	@docker/images push

pin: ## write the digests of the base images into docker/*/Dockerfile and docker-compose.yaml; needs the registries
	docker/pin

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# The laptop's lock first: all others take their versions from it, so that an image runs what the tests ran.
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url
IMAGE_PLATFORM := --python-platform x86_64-manylinux_2_28 --python-version 3.11.4
LAPTOP_LOCKS := -c requirements.txt -c requirements-dev.txt
IMAGE_LOCKS := pipeline/requirements=verbs-image pipeline/requirements-gpu=verbs-image-gpu airflow/requirements=airflow-image \
  mlflow/requirements=mlflow-image gateway/requirements=gateway-image requirements-sbom=sbom

lock: $(VENV)/.uv ## resolve the dependencies anew into requirements*.txt, and into the locks of the images
	$(COMPILE) --group laptop --universal --python-version 3.11 -o requirements.txt
	$(COMPILE) --group sign --universal --python-version 3.11 -c requirements.txt -o requirements-sign.txt
	$(COMPILE) --group dev --universal --python-version 3.11 -c requirements.txt -o requirements-dev.txt
	@# Tsuru's platform `python` installs it by itself, on any platform.
	$(COMPILE) --group embedded-server --universal -c requirements.txt -o examples/tsuru/python/requirements.txt
	@# Images are built for one platform. Without the last number 3.11 is 3.11.0, for which there are older packages.
	@for lock in $(IMAGE_LOCKS); do set -x; \
	  $(COMPILE) --group "$${lock#*=}" $(IMAGE_PLATFORM) $(LAPTOP_LOCKS) -o "docker/$${lock%=*}.txt" || exit; \
	done
	@# Nothing runs in what is installed from this: only messages are taken out of it, so it has no dependencies.
	$(COMPILE) --group messages --no-deps $(IMAGE_PLATFORM) $(LAPTOP_LOCKS) -o docker/gateway/requirements-messages.txt

# Each stamp is as old as the last install from its lock, so that a second call is instant and a changed lock installs.
$(VENV)/.uv: requirements-bootstrap.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit(f"$(PYTHON) is Python {v.major}.{v.minor}, and this needs 3.11, 3.12 or 3.13: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	@touch $@

$(VENV)/.run: $(VENV)/.uv requirements.txt bin/understudy
	@echo "installing from requirements.txt; the first time takes a few minutes"
	$(INSTALL) -r requirements.txt
	@# So that the command `understudy` and `python -m embedded` work whatever the working directory is.
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "understudy.pth").write_text("$(CURDIR)\n")'
	@install -m 755 bin/understudy $(BIN)/understudy
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(INSTALL) -r requirements.txt -r requirements-dev.txt
	@touch $@
