# Nightjar: the verbs. `make` alone lists them.
SHELL := /bin/bash
NODE := node_modules/.bin/node
ROUNDS ?= 200
INPUTS ?= 1000000
MODEL ?= ../shared/data/salt2/models/salt2-4

.DEFAULT_GOAL := help
.PHONY: help install demo test check peers bench torture tables bundle cloudnight synth golden validate format

help: ## list these verbs
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: node_modules/.package-lock.json ## install the packages, at the versions of the lockfile

node_modules/.package-lock.json: package.json package-lock.json
	@npm ci --no-fund --no-audit --loglevel=error
	@touch $@

demo: install ## simulate a small night and run it through the whole broker, here, without a cloud
	@bin/demo

test: install ## run the tests
	@mkdir -p .nightjar
	@$(NODE) --test --test-concurrency=2 --test-reporter=dot --test-reporter-destination=stdout \
	  --test-reporter=spec --test-reporter-destination=.nightjar/test.log 'test/**/*.test.ts'; \
	  status=$$?; echo; grep -E '^ *﹣' .nightjar/test.log; \
	  [ $$status = 0 ] || sed -n '/failing tests:/,$$p' .nightjar/test.log; \
	  grep -E '^ℹ ' .nightjar/test.log; exit $$status

check: install ## see that format and types are right
	@node_modules/.bin/prettier --check --log-level=warn .
	@node_modules/.bin/tsc --noEmit
	@[ ! -d infra/node_modules ] || node_modules/.bin/tsc -p infra

format: install ## put the format right
	@node_modules/.bin/prettier --write --log-level=warn .

peers: install ## install what is compared with, at pinned versions, into .peers
	@test/peers/install.sh

bench: install ## measure, beside named peers in the same run, and print tables
	@for script in bench/*.bench.ts; do $(NODE) $$script || exit 1; done

tables: install ## derive the compact model tables from a full model: make tables MODEL=DIRECTORY
	@$(NODE) salt2/tables/main.ts $(MODEL)

torture: install ## kill -9 the broker and the Kafka intake ROUNDS times (200), audit; fuzz gateways and control
	@$(NODE) test/night/torture.ts --rounds $(ROUNDS)
	@$(NODE) --disable-warning=TimeoutNegativeWarning test/consumer/kafka/torture.ts --rounds $(ROUNDS)
	@$(NODE) test/gateways/hpfeeds/fuzz.ts --inputs $(INPUTS)
	@$(NODE) test/gateways/voevent/fuzz.ts --inputs $(INPUTS)
	@$(NODE) test/control/fuzz.ts --inputs $(INPUTS)

bundle: install ## make one bundle a function, and one for the machines, into dist/
	@$(NODE) functions/bundle.ts
	@$(NODE) cli/bundle.ts

cloudnight: install ## run a night of 20,000 alerts through Google's emulators, killing on the way
	@NIGHTJAR_NIGHT_ALERTS=20000 $(NODE) --test test/cloud/night.test.ts

synth: bundle ## write the cloud stack as Terraform JSON
	@cd infra && npm ci --no-fund --no-audit --loglevel=error && ../$(NODE) main.ts

golden: install ## write down what the stacks have, for their test to hold them to
	@$(NODE) test/infra/golden.ts

validate: ## let terraform or tofu check what "make synth" wrote, where they and the provider are at hand
	@infra/validate.sh
