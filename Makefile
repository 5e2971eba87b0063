# What a developer does here. `make run` serves the demo client, `make test` is what CI runs.
#
#   make run PYTHON=python3.12     another interpreter
#   make test WORKERS=8            more tests at once
#   make bench BENCH=--quick       options of bench/turn.py
#   make image DOCKER=podman       what builds the image; IMAGE has options for it
#   make release RELEASE=--help    options of release/build.py

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BENCH ?=
DOCKER ?= docker
IMAGE ?=
RELEASE ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadgroup
LIBRARIES := signaling stun turn

# Browser tests drive the system's Chromium.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-long lint format types coverage coverage-libraries environment system bench docs image release lock clean

help:
	@echo 'make run        serve the demo client; configuration, certificate and secrets in run/'
	@echo 'make test       lint, types, coverage gate, all tests but the long ones'
	@echo 'make test-long  all tests'
	@echo 'make lint       ruff: rules and format'
	@echo 'make format     ruff: mend what can be mended'
	@echo 'make types      mypy'
	@echo 'make coverage   all tests but the long ones, with a report in htmlcov/'
	@echo 'make bench      how TURN does beside coturn, see docs/benchmarks.md'
	@echo 'make docs       what the guides take from the code, and a site of them: build/site'
	@echo 'make image      a container image, see docs/container.md'
	@echo 'make release    sdist, wheel and ZIP of a version in dist/, see docs/releases.md'
	@echo 'make lock       release/requirements.txt: the libraries that an image and a ZIP have'
	@echo 'make clean      remove everything that was made, except run/'

run: $(VENV)/.for-running run/server.ini
	exec $(BIN)/tornado-webrtc --conf run/server.ini

run/server.ini: | $(VENV)/.for-running
	$(BIN)/tornado-webrtc init run

test: system lint types coverage-libraries
	$(PYTEST)

test-long: system environment
	$(PYTEST) -m ''

lint: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: environment
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: environment
	$(BIN)/mypy

coverage: system environment
	$(PYTEST) --cov --cov-report=term --cov-report=html

# Each pure library is covered by its own tests alone, every branch.
coverage-libraries: environment
	@set -e; for library in $(LIBRARIES); do \
		$(PYTEST) -q tests/$$library --cov=tornado_webrtc.$$library --cov-fail-under=100; \
	done

bench: environment
	$(BIN)/python bench/turn.py $(BENCH)

# Podman and Buildah leave the health check out unless the format is Docker's.
image:
	BUILDAH_FORMAT=docker $(DOCKER) build --tag tornado-webrtc $(IMAGE) \
		--build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' tornado_webrtc/__init__.py)" \
		--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" .

release: $(VENV)/.for-releasing
	$(BIN)/python release/build.py $(RELEASE)

lock: $(VENV)/.for-releasing
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --extra jwt --extra redis --extra uvloop \
		--output-file release/requirements.txt pyproject.toml

environment: $(VENV)/.for-testing

# A stamp is older than what the environment was made from: make it anew.
$(VENV)/.for-running: $(VENV)/.made
	$(PIP) install --editable .
	@touch $@

$(VENV)/.for-testing: $(VENV)/.made
	$(PIP) install --editable '.[test,lint,docs]'
	@touch $@

$(VENV)/.for-releasing: $(VENV)/.made
	$(PIP) install --editable '.[release]'
	@touch $@

$(VENV)/.made: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'This needs Python 3.11 or newer, and $(PYTHON) is none.'; \
		echo 'Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)'; \
		exit 1; \
	} >&2
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Programs that tests drive; Debian's packages have the same names. RUNLEVEL=1 keeps
# what comes with a service from starting it.
system:
	@missing=; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
		command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v turnutils_uclient >/dev/null || missing="$$missing coturn"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v faketime >/dev/null || missing="$$missing faketime"; \
	test -x /usr/sbin/nginx || command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	test -x /usr/sbin/nft || command -v nft >/dev/null || missing="$$missing nftables"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	command -v buildah >/dev/null || missing="$$missing buildah"; \
	command -v mmdebstrap >/dev/null || missing="$$missing mmdebstrap"; \
	test -e /usr/share/keyrings/debian-archive-keyring.gpg || \
		missing="$$missing debian-archive-keyring"; \
	command -v shellcheck >/dev/null || missing="$$missing shellcheck"; \
	command -v aws >/dev/null || missing="$$missing awscli"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	command -v jq >/dev/null || missing="$$missing jq"; \
	echo '#include <openssl/evp.h>' | cc -E - >/dev/null 2>&1 || \
		missing="$$missing gcc libc6-dev libssl-dev"; \
	if [ -z "$$missing" ]; then \
		: ; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && \
			RUNLEVEL=1 apt-get install -q -y --no-install-recommends $$missing; \
	else \
		echo "The tests need$$missing; on Debian: sudo apt-get install$$missing" >&2; \
		exit 1; \
	fi

docs: environment
	$(BIN)/python tests/docs/test_commands.py
	$(BIN)/python tests/docs/test_reference.py
	$(BIN)/python -m tests.docs.test_metrics_guide
	$(BIN)/python -m sphinx -W -q -b html docs build/site

clean:
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
