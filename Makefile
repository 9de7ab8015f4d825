# What can be done in a checkout. `make help` lists it.
#
# Needs a Rust toolchain, Python 3.10 or later with pip, and npm; reaches nothing but their package registries. Variables of the
# server (REKOLLECT_*, DATABASE_URL) are passed through, further flags in ARGS.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
FUZZ_SECONDS ?= 60
# `--dev --sanitizer none` builds in a quarter of the time, and looks at less.
FUZZ_BUILD ?=
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
# Not optimised: building them would take longer than they run.
TOOL := CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --quiet --debug --root target/tools
IMAGE := rekollect
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The first of these that works here builds the image (BUILDER=podman chooses). BUILD_ARGS are further arguments of its `build`.
BUILDER ?= $(shell for each in docker podman buildah; do if $$each info > /dev/null 2>&1; then echo $$each; break; fi; done)
ENGINE ?= $(BUILDER)
# Of the two formats that podman and buildah write, only this one has room for a health check.
FORMAT := $(if $(filter podman buildah,$(BUILDER)),--format docker)
LABEL := org.opencontainers.image
PACK := $(or $(REKOLLECT_PACK),standard)

export REKOLLECT_MODELS_DIR ?= models
export REKOLLECT_TEST_PHOTOS ?= tests/photos
export REKOLLECT_BIN ?= $(or $(CARGO_TARGET_DIR),target)/release/rekollect
export REKOLLECT_RUST_CLIENT ?= $(or $(CARGO_TARGET_DIR),target)/clients/debug/rekollect-rust-client
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# ONNX Runtime in Python and in the unit tests would report to its maker. The server sees to it by itself.
export ORT_DISABLE_TELEMETRY := 1

NODE_MODULES := node_modules/.package-lock.json
RUST_CLIENT := --manifest-path tests/clients/rust/Cargo.toml
TEST_PYTHON := .venv-test/bin/python
SETUP := $(PYTHON) models/setup.py --models-dir "$$REKOLLECT_MODELS_DIR"
LOGS := target/test-logs
SKIPS := $(LOGS)/skips.txt

.NOTPARALLEL:
.PHONY: help serve build setup setup-tests setup-clients test test-durability test-containers test-image image soak screenshots lint lint-images lint-workflows deny accuracy bench bench-attributes bench-degraded bench-detection bench-garbage bench-quality bench-grouping bench-growth bench-liveness bench-memory bench-millions bench-orientation bench-overload bench-rival bench-search bench-sessions bench-signatures bench-transfer bench-turned gallery train-attributes fuzz clean tools

help:  ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1	\2/p' Makefile | expand -t 26

serve: build  ## Set up, build and start the server (ARGS="--listen ..."; REKOLLECT_PACK=compact for another pack)
	@exec "$$REKOLLECT_BIN" serve $(ARGS)

build: setup console/dist/index.html  ## The release binary
	@printf '== building the server\n'
	@cargo build --release --locked

# Names of files, not of the folder: a browser's build leaves no trace in what it is built from.
console/dist/index.html: console/$(NODE_MODULES) $(wildcard console/*.mjs console/tsconfig.json console/src/* console/src/*/*)
	@printf '== building the console\n'
	@npm run --prefix console --silent build

setup: tools  ## ONNX Runtime and the weights of the pack
	@printf '== models: pack %s\n' '$(PACK)'
	@$(SETUP) --pack $(PACK)

test: build setup-tests setup-clients  ## Every test, on SQLite and Postgres, and the linters of Dockerfile and compose file
	@set -eu -o pipefail; rm -rf $(LOGS); mkdir -p $(LOGS); export REKOLLECT_TEST_SKIPS="$$PWD/$(SKIPS)"; failed=; \
	step() { name=$$1; shift; printf '\n== %s\n' "$$name"; "$$@" 2>&1 | tee "$(LOGS)/$$name.log" || failed="$$failed $$name"; }; \
	if [ -z "$${REKOLLECT_MODEL_MIRROR:-}" ] && [ ! -e "$$REKOLLECT_MODELS_DIR/yunet-n.onnx" ]; then \
	  echo 'pack accurate: its weights come from their publishers, whom tests do not ask (make setup REKOLLECT_PACK=accurate does, or name a mirror)' >> $(SKIPS); \
	elif ! $(SETUP) --pack accurate; then echo 'pack accurate: the mirror does not have it whole' >> $(SKIPS); fi; \
	step cargo $(TEST_PYTHON) tests/postgres.py -- cargo test --release --locked; \
	step models $(TEST_PYTHON) -m pytest -rs --color=no tests/models; \
	step clients $(TEST_PYTHON) tests/postgres.py -- $(TEST_PYTHON) -m pytest -rs --color=no --numprocesses 3 --dist loadfile --no-loadscope-reorder tests/clients; \
	step packaging $(TEST_PYTHON) tests/postgres.py -- $(TEST_PYTHON) -m pytest -rs --color=no tests/packaging; \
	step images $(MAKE_COMMAND) --no-print-directory lint-images; \
	printf '\n== skipped, and why\n'; \
	{ sort -u $(SKIPS) 2> /dev/null || true; sed -n 's/^SKIPPED //p' $(LOGS)/*.log; } | sed 's/^/  /' | grep . || echo '  nothing'; \
	printf '\n== total\n'; if [ -n "$$failed" ]; then echo "failed:$$failed"; fi; \
	{ grep -hE '^test result:|^=+ .* in [0-9.]+s' $(LOGS)/*.log || true; } | { grep -oE '[0-9]+ (passed|failed|errors?|skipped|ignored)' || true; } | awk \
	  '{ n[$$2] += $$1 } END { printf "rekollect: %d passed, %d failed, %d skipped\n", n["passed"], n["failed"] + n["error"] + n["errors"], n["skipped"] + n["ignored"] }'; \
	[ -z "$$failed" ]

setup-tests: tools .venv-test/installed .venv-test/openvino/installed
	@printf '== photos for the tests, and the packs that the registries carry\n'
	@$(SETUP) --photos "$$REKOLLECT_TEST_PHOTOS"
	@$(SETUP) --pack compact

setup-clients: tools tests/clients/js/$(NODE_MODULES) tests/console/$(NODE_MODULES) tests/packaging/$(NODE_MODULES)
	@printf '== the client in Rust\n'
	@cargo build --locked $(RUST_CLIENT) --target-dir "$(or $(CARGO_TARGET_DIR),target)/clients"

%/$(NODE_MODULES): %/package.json %/package-lock.json
	@printf '== JavaScript packages of %s\n' '$*'
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund
	@touch $@

screenshots: build setup-tests setup-clients  ## The README's pictures of the console anew; needs Chromium
	@REKOLLECT_SCREENSHOTS="$$PWD/docs/images" $(TEST_PYTHON) -m pytest -q tests/clients/test_console.py -k screenshots

image:  ## The container image `rekollect`, by docker, podman or buildah
	@[ -n '$(BUILDER)' ] || { echo 'none of docker, podman and buildah works here: install one, or start its service'; exit 1; }
	@revision=$$(git describe --always --abbrev=40 --exclude '*' --dirty 2> /dev/null || echo unknown); \
	$(BUILDER) build $(FORMAT) --tag $(IMAGE) --label $(LABEL).version=$(VERSION) --label $(LABEL).revision="$$revision" \
	  --label $(LABEL).source="$$(git config --get remote.origin.url || echo unknown)" $(BUILD_ARGS) .

# Not a part of `make test`: it wants an engine, and a base image for each stage.
test-image: image setup-tests  ## Build the image, run it as strictly as in production, and call it (ENGINE=docker when buildah built it)
	@if [ '$(ENGINE)' != '$(BUILDER)' ]; then buildah push --quiet $(IMAGE) $(ENGINE)-daemon:$(IMAGE):latest; fi
	REKOLLECT_TEST_ENGINE=$(ENGINE) $(TEST_PYTHON) -m pytest -rs --color=no tests/image

test-containers: setup-tests  ## The examples with testcontainers, in a Docker engine that has the image (ONLY=testcontainers_in_python)
	$(TEST_PYTHON) -m pytest -rs --color=no tests/clients/test_examples.py -k "$(or $(ONLY),testcontainers_in)"

lint: tools lint-images lint-workflows console/$(NODE_MODULES)  ## Format, clippy, types of the console, who imports whom, Dockerfile and compose file
	cargo fmt --check
	cargo fmt --check $(RUST_CLIENT)
	cargo fmt --check --manifest-path examples/testcontainers-rust/Cargo.toml
	cargo clippy --release --locked --all-targets -- -D warnings
	for feature in '' client console otlp s3; do cargo clippy --release --locked --no-default-features --features "$$feature" -- -D warnings; done
	RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --no-deps
	npm run --prefix console --silent check
	$(PYTHON) tests/rooms.py

deny: tools  ## Licences, sources and double versions of every crate (ARGS=advisories asks the database of advisories, at its own host)
	@$(TOOL) cargo-deny --version $(CARGO_DENY)
	@target/tools/bin/cargo-deny --locked check $(or $(ARGS),bans licenses sources)

lint-images: .venv-test/installed
	.venv-test/bin/hadolint Dockerfile
	if [ -x .venv-test/bin/docker-compose ]; then \
	  .venv-test/bin/docker-compose --file docker-compose.yml config --quiet; \
	  env $$(sed -n 's/=$$/=x/p' .env.example) .venv-test/bin/docker-compose --file compose.production.yml config --quiet; \
	  ! .venv-test/bin/docker-compose --file compose.production.yml --env-file /dev/null config --quiet 2> /dev/null; \
	else echo 'SKIPPED the compose files: the compose command line is packaged for Python 3.11 and later only'; fi

lint-workflows: .venv-test/installed
	.venv-test/bin/actionlint
	if command -v shellcheck > /dev/null; then shellcheck .ci/run .github/*.sh tests/image/*.sh; else echo 'SKIPPED scripts: there is no shellcheck'; fi

accuracy: build .venv-test/installed  ## Accuracy on labelled pairs in the LFW layout: DIR=lfw [PAIRS=pairs.txt] [GROUPS=groups.csv] [ENDPOINT=http://...]
	@$(TEST_PYTHON) tests/accuracy.py $(if $(PAIRS),--pairs "$(PAIRS)") $(if $(GROUPS),--groups "$(GROUPS)") $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") $(ARGS) -- \
	  "$(or $(DIR),$(error say where the photos are: make accuracy DIR=lfw))"

bench: build setup-tests  ## Speed, start and memory, next to the floor (ARGS="--pack accurate")
	@$(TEST_PYTHON) benches/bench.py $(ARGS)

bench-attributes: build setup-tests  ## What the attributes are worth, and cost (DATA=folder with crops.zip and labels.csv)
	@$(TEST_PYTHON) benches/attributes.py $(DATA) $(ARGS)

bench-degraded: build setup-tests  ## Which faces are found and known again in poor photos (DATA=folder with crops.zip and labels.csv)
	@for pack in standard compact; do $(SETUP) --pack $$pack; done
	@$(TEST_PYTHON) benches/degraded.py $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-detection: build setup-tests  ## Which faces are found, by their size (ARGS=accurate)
	@$(TEST_PYTHON) benches/detection.py $(ARGS)

bench-quality: build setup-tests  ## What each level of the quality filter leaves out (ARGS=accurate)
	@$(TEST_PYTHON) benches/quality.py $(ARGS)

bench-garbage: build setup-tests  ## How much is stored that is no readable face (ARGS="compact --without DIR"; DIR has pictures without faces)
	@$(TEST_PYTHON) benches/garbage.py $(ARGS)

bench-growth: build setup-tests  ## What a collection's size costs, to a million faces, on both stores (ARGS="--sizes 1000,10000")
	@$(TEST_PYTHON) tests/postgres.py -- $(TEST_PYTHON) benches/growth.py $(ARGS)

bench-liveness: build setup-tests  ## How soon /healthz answers while 64 callers search a million faces and one indexes (ARGS="--size 100000")
	@$(TEST_PYTHON) benches/liveness.py $(ARGS)

bench-rival: build setup-tests  ## Next to open-recognition, on the same photos (CHECKOUT=folder of open-recognition, with its .venv)
	@$(TEST_PYTHON) benches/rival.py $(ARGS) --checkout "$(or $(CHECKOUT),$(error say where open-recognition is: make bench-rival CHECKOUT=folder))"

bench-search: build setup-tests  ## The engines of search, and usearch, on the same vectors (ARGS="--size 1000000")
	@$(TEST_PYTHON) benches/search.py $(ARGS)

bench-sessions: build setup-tests  ## What ONNX Runtime's settings are worth, and batches, and threads
	@$(TEST_PYTHON) benches/sessions.py $(ARGS)

bench-overload: build setup-tests  ## Ten times the load that it can bear, and crowds of slow clients
	@$(TEST_PYTHON) benches/overload.py $(ARGS)

soak: build setup-tests  ## Every operation at random against a model of what should be there (MINUTES=30)
	@$(TEST_PYTHON) tests/soak.py --minutes $(or $(MINUTES),30) $(ARGS)

test-durability: build setup-tests  ## 100 kills on each store and on gallery files, a database that is away for 20 s, a full disk
	@REKOLLECT_TEST_KILLS=100 REKOLLECT_TEST_OUTAGE=20 $(TEST_PYTHON) tests/postgres.py -- $(TEST_PYTHON) -m pytest -rs tests/clients/test_durability.py tests/clients/test_gallery_files.py

bench-memory: build setup-tests  ## Memory while many photos are indexed, and with a second pack (ARGS="--photos 300")
	@$(TEST_PYTHON) benches/memory.py $(ARGS)

bench-millions: build setup-tests  ## Millions of faces on one machine (ARGS="--size 20000000 --folder FOLDER", which needs 30 GB there)
	@$(TEST_PYTHON) tests/postgres.py -- $(TEST_PYTHON) benches/millions.py $(ARGS)

bench-grouping: build setup-tests  ## How well and how fast faces are grouped (ARGS="--photos FOLDER", with a sub-folder a person)
	@$(TEST_PYTHON) benches/grouping.py $(ARGS)

bench-orientation: build setup-tests  ## How often a turned photo is told to be turned, and still recognised
	@$(TEST_PYTHON) benches/orientation.py $(ARGS)

train-attributes: .venv-train/installed  ## Train models/traits.onnx anew: DATA=folder with crops.zip and labels.csv (CelebA, research only)
	@.venv-train/bin/python training/train.py --data "$(or $(DATA),$(error say where the crops are: make train-attributes DATA=folder))" \
	  --out "$$REKOLLECT_MODELS_DIR/traits.onnx" $(ARGS)

.venv-train/installed: training/requirements.txt
	@printf '== Python packages for training (PyTorch: several GB)\n'
	@rm -rf .venv-train && $(PYTHON) -m venv .venv-train
	@.venv-train/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r training/requirements.txt
	@touch $@

gallery: build setup-tests  ## Draw what is found on photos, for a look: a page in gallery/ (DIR=folder of photos)
	@$(TEST_PYTHON) tests/gallery.py $(if $(DIR),"$(DIR)") $(ARGS)

bench-signatures: build setup-tests  ## What checking a signature costs
	@$(TEST_PYTHON) benches/signatures.py $(ARGS)

bench-transfer: build setup-tests  ## Export and import of 100,000 faces, from SQLite to Postgres and back
	@$(TEST_PYTHON) benches/transfer.py $(ARGS)

bench-turned: build setup-tests  ## Whether faces that lie turned in an upright photo are found and known again (ARGS="--cost OTHER_BINARY")
	@$(TEST_PYTHON) benches/turned.py $(ARGS)

fuzz: tools  ## Fuzz the parsers of requests, signatures, policies and images, a minute each (FUZZ_SECONDS=600 for longer); needs a nightly toolchain
	@rustup run nightly rustc --version > /dev/null || { echo 'a nightly toolchain is missing: rustup toolchain install nightly'; exit 1; }
	@$(TOOL) cargo-fuzz --version $(CARGO_FUZZ)
	@for target in wire signature policy decode exif; do printf '== fuzzing %s\n' "$$target"; mkdir -p fuzz/corpus/$$target; \
	  PATH="$$PWD/target/tools/bin:$$PATH" CARGO_PROFILE_DEV_DEBUG=0 cargo +nightly fuzz run --fuzz-dir fuzz $(FUZZ_BUILD) "$$target" fuzz/corpus/$$target fuzz/seeds/$$target -- \
	  -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1; done

clean:  ## Remove what was built and fetched, but not data
	rm -rf target .venv-test .venv-train .venv-models models/.cache models/runtime $(filter-out models/traits.onnx,$(wildcard models/*.onnx)) tests/photos tests/clients/js/node_modules tests/console/node_modules tests/packaging/node_modules console/node_modules console/dist

tools:
	@command -v cargo > /dev/null || { echo 'cargo is missing: install a Rust toolchain with rustup'; exit 1; }
	@command -v npm > /dev/null || { echo 'npm is missing: install Node.js (Debian: apt-get install npm)'; exit 1; }
	@command -v $(PYTHON) > /dev/null || { echo '$(PYTHON) is missing: install Python 3.10 or later, or name one with PYTHON=...'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo '$(PYTHON) is older than 3.10: name a newer one with PYTHON=...'; exit 1; }
	@$(PYTHON) -c 'import pip, venv' 2> /dev/null || { echo '$(PYTHON) has no pip or no venv: install them (Debian: apt-get install python3-pip python3-venv)'; exit 1; }

# Without ensurepip (Debian packages it apart) the pip outside installs into the environment.
.venv-test/openvino/installed: .venv-test/installed tests/openvino.txt
	@mkdir -p $(@D)
	@case "$$(uname -sm)" in 'Linux x86_64') printf '== ONNX Runtime with OpenVINO (a download of 80 MB)\n'; \
	  $(TEST_PYTHON) -m pip install --quiet --require-hashes --no-deps --only-binary :all: --python-version 3.11 --implementation cp \
	    --platform manylinux_2_28_x86_64 --target $(@D) --upgrade -r tests/openvino.txt;; esac
	@touch $@

.venv-test/installed: tests/requirements.txt
	@printf '== Python packages for the tests (a download of about 200 MB)\n'
	@rm -rf .venv-test
	@if $(PYTHON) -c 'import ensurepip' 2> /dev/null; then $(PYTHON) -m venv .venv-test; pip="$(TEST_PYTHON) -m pip"; \
	else $(PYTHON) -m venv --without-pip .venv-test; pip="$(PYTHON) -m pip --python $(TEST_PYTHON)"; fi; \
	$$pip install --quiet --require-hashes --only-binary :all: -r tests/requirements.txt
	@touch $@
