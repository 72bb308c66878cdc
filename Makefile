# Everything a developer or a pipeline does, by name. A fresh clone needs Node.js >= 20.19 with npm,
# git and make: each target sets up what it needs, once.

.DEFAULT_GOAL := help
.PHONY: help setup setup-kafka setup-postgis setup-chromium setup-shells setup-prometheus lockfile build lint format test check check-rest test-unit test-quick test-integration test-security test-monitoring test-faults test-e2e soak fuzz guard demo stack bench bench-guard build-images image-check helm-check audit docs clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

# The stamp carries the version of Node: the Kafka client is compiled for one.
SETUP := node_modules/.kafnus-setup-$(shell node --version 2>/dev/null)
MANIFESTS := package.json pnpm-workspace.yaml pnpm-lock.yaml \
  $(wildcard libs/*/package.json services/*/package.json tools/*/package.json bench/package.json)

PNPM := node .tools/node_modules/pnpm/bin/pnpm.cjs
BIN := node_modules/.bin
# Each blocking call of a Kafka client holds a thread of Node's pool; the tests run several clients
# in a process. Fault tests that wait more than they work share a cluster and run side by side, as
# many as two cores take.
JEST := UV_THREADPOOL_SIZE=32 node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js --maxConcurrency=3

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

setup: $(SETUP) ## Install the packages and the native Kafka client (other targets do it by themselves)

$(SETUP): $(MANIFESTS) scripts/setup.sh
	@sh scripts/setup.sh
	@touch $@

setup-kafka: $(SETUP) ## Install what a local Apache Kafka needs: a JDK >= 17 and Maven
	@sh scripts/setup.sh kafka

setup-postgis: ## Install a PostgreSQL with PostGIS for the tests; no server is started
	@sh scripts/setup.sh postgis

setup-chromium: ## Install the browser in which the status page is tested
	@sh scripts/setup.sh chromium

setup-shells: ## Install zsh and fish, in which completion is tested
	@sh scripts/setup.sh shells

setup-prometheus: ## Unpack Prometheus for the tests; nothing is installed or started
	@sh scripts/setup.sh prometheus

lockfile: ## Bring pnpm-lock.yaml in line with the package.json files
	@sh scripts/setup.sh pnpm
	@$(PNPM) install --lockfile-only --no-frozen-lockfile

build: $(SETUP) ## Compile everything, tests type-checked included
	@$(BIN)/tsc -b
	@touch tools/cli/dist/.built # newer than every source: ./kafnus builds nothing

lint: $(SETUP) ## Check import directions, code style, formatting and the repository itself
	@$(BIN)/eslint .
	@$(BIN)/knip --no-progress
	@$(BIN)/prettier --check --log-level warn .
	@sh scripts/check-repository.sh

format: $(SETUP) ## Format all files
	@$(BIN)/prettier --write --log-level warn .

test: $(SETUP) ## Run what guards every change: lint, types, unit tests, and the quick tests on a real Kafka and PostGIS
	@node scripts/test.mjs quick

check: test ## Run everything: make test, then integration, e2e, security, monitoring, licences, chart and images
	@node scripts/test.mjs rest

check-rest: $(SETUP) # what make check runs after make test
	@node scripts/test.mjs rest

test-unit: $(SETUP) ## Run the tests that need no broker; ARGS: what Jest takes, e.g. ARGS=libs/ngsi-core
	@$(JEST) --ignoreProjects quick integration security monitoring faults e2e --maxWorkers=2 $(ARGS)

test-quick: build setup-kafka ## Run the tests on a real Kafka that guard every change: conformance, faults, one pipeline into PostGIS; ARGS as above
	@$(JEST) --selectProjects quick --runInBand $(ARGS)

test-integration: build setup-kafka ## Run the other tests on a real Kafka, which they start, and on PostGIS where it is installed; ARGS as above
	@$(JEST) --selectProjects integration --runInBand $(ARGS)

test-security: build setup-kafka ## Run the agents on a broker with TLS, logins and ACLs, and with one right less; ARGS as above
	@$(JEST) --selectProjects security --runInBand --verbose $(ARGS)

test-monitoring: build setup-kafka setup-prometheus ## Check dashboards, alerts and runbooks on agents at work, with a real Prometheus; ARGS as above
	@$(JEST) --selectProjects monitoring --runInBand $(ARGS)

test-faults: build setup-kafka ## Crash agents and brokers in every way and check that nothing is lost or doubled; ARGS as above
	@$(JEST) --selectProjects faults --runInBand --verbose $(ARGS)

test-e2e: build setup-kafka setup-postgis ## Follow notifications into PostGIS rows, and refusals into the error table; ARGS as above
	@$(JEST) --selectProjects e2e --runInBand --verbose $(ARGS)

soak: build setup-kafka ## Run everything under load and random faults for MINUTES=10, and watch memory; ARGS=--help
	@node test/soak/run-soak.mjs --minutes $(or $(MINUTES),10) $(ARGS)

fuzz: build setup-kafka ## Send generated records of any content to the agents for MINUTES=10: none may stop one or disappear; ARGS=--help
	@node test/fuzz/run-fuzz.mjs --minutes $(or $(MINUTES),10) $(ARGS)

guard: $(SETUP) setup-kafka ## Take away what exactly-once rests on, piece by piece in a copy: a test must notice each; ARGS=--help
	@node scripts/mutation-guard.mjs $(ARGS)

demo: build ## Watch the agents at work, without any set-up; ARGS: what `kafnus demo` takes
	@./kafnus demo $(ARGS)

stack: build setup-kafka setup-postgis ## Run Kafka, PostGIS, Kafka Connect and the agents until Ctrl-C; ARGS=--help
	@./kafnus stack $(ARGS)

bench: build setup-kafka ## Measure everything, peers included, in about 25 minutes; one agent in a minute: ARGS=--quick
	-@[ -n "$(ARGS)" ] || sh scripts/setup.sh postgis
	@node bench/dist/main.js $(ARGS)

bench-guard: build setup-kafka ## Fail when a decision costs more than its budget: allocations, time and CPU by yardsticks of the same run
	@node bench/dist/guard-main.js

build-images: ## Build the images of the agents with Docker or buildah; AGENTS, TAG, REGISTRY, BASE_IMAGE, STAND_IN: docs/containers.md
	@sh scripts/images/build.sh

image-check: build setup-kafka ## Build the images, look into them, run them hardened, and as the chart renders them, against a real Kafka
	@sh scripts/images/check.sh

audit: $(SETUP) ## Check the licences and the known weaknesses of what is installed; ARGS=--strict
	@node scripts/audit.mjs $(ARGS)

docs: build ## Write what is made from the code: the reference pages of docs/, deploy/dashboards, the chart's copies
	@node scripts/docs/main.mjs

helm-check: build ## Check the chart: lint, tests, schemas, and a real control plane; ARGS=--write brings generated files up to date
	@sh scripts/helm/check.sh $(ARGS)

clean: ## Remove what was built; installed packages and downloads stay
	@rm -rf libs/*/dist services/*/dist tools/*/dist bench/dist .cache/test coverage
	@find . -name '*.tsbuildinfo' -not -path '*/node_modules/*' -delete
