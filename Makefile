# Everything starts here; `make help` lists it. The work is done by kind/tool.py and by the tools in .venv.
PYTHON ?= python3
TOOL = $(PYTHON) kind/tool.py
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest
# Each process runs whole files, in the order of tests/support/file_order.py.
BY_FILE = --dist=loadfile --no-loadscope-reorder --durations=25 --durations-min=5
IMAGE_REGISTRY = imageclassifier
# Python keeps compiled modules, even if the shell forbids it: compiling those of TensorFlow takes each process 10 s.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: demo test help down clean venv kubernetes install-checkers cluster cluster-with-workers images models
.PHONY: install-yaml reference lint format types layers docs unit cluster-test workers-test bench bench-rollouts bench-judgement
.PHONY: set-version release attack train-demo bench-end-to-end bench-model bench-scale bench-verdicts

##@ The main commands
demo: ## Bring everything up on this machine and show it
	@$(TOOL) demo
train-demo: ## Train on images, and roll out the champion on the demo cluster (DATA=photographs MINUTES=10)
	@$(TOOL) train-demo
test: venv lint types layers docs unit cluster-test ## All checks: lint, types, layers, documentation, unit and cluster tests
	@echo "All checks passed."

##@ The laptop cluster
cluster: ## Create or repair the Kind cluster imageclassifier (NODE_IMAGE= BASE_IMAGE= SERVING_IMAGE=)
	@$(TOOL) cluster
cluster-with-workers: ## Create a second cluster with two workers, for tests of failing nodes
	@$(TOOL) cluster-with-workers
images: cluster ## Build our images and load them into the cluster
	@$(PYTHON) kind/build_images.py --load imageclassifier
kubernetes: ## Build Kubernetes, KWOK and the OpenTelemetry Collector, for tests without a cluster
	@$(TOOL) kubernetes
install-checkers: venv ## Build Helm, Traefik and the other checkers, unpack Prometheus, and install MLflow, for tests
	@$(TOOL) install-checkers
down: ## Remove our containers, networks and processes; keep the caches
	@$(TOOL) down
clean: ## Like down, and also remove the caches and logs
	@$(TOOL) clean

##@ The models
models: venv ## Build both pizza models, into models/
	@$(MAKE) --no-print-directory --jobs=2 $(foreach version,1 2,models/pizza-model/$(version)/saved_model.pb)
models/pizza-model/%/saved_model.pb: examples/pizza/v%/training.json examples/pizza/v%/learned.npz | venv
	@$(BIN)/imageclassifier-training export examples/pizza/v$* --name pizza-model --version $* --out models --replace

##@ Files made from sources
install-yaml: ## Generate the YAML, the kustomize bases and the chart (IMAGE_REGISTRY=registry.example.org/team SERVING_IMAGE=)
	@$(PYTHON) operator/install/make_files.py --image-registry $(IMAGE_REGISTRY) $(if $(SERVING_IMAGE),--serving-image $(SERVING_IMAGE))
reference: venv ## Generate parts of docs/: reference.md, the diagrams of rollouts.md and architecture.md
	@$(BIN)/python docs/make_reference.py
	@$(BIN)/python docs/make_rollouts.py
	@$(BIN)/python docs/make_architecture.py

##@ Releases (docs/releasing.md)
set-version: venv ## Write VERSION=x.y.z into the sources
	@$(BIN)/python kind/cut_release.py --set-version $(VERSION)
	@$(MAKE) --no-print-directory install-yaml
release: venv ## Cut a release into .build/release (VERSION=x.y.z IMAGE_REGISTRY=registry.example.org/team)
	@$(BIN)/python kind/cut_release.py "$(VERSION)" --image-registry "$(IMAGE_REGISTRY)" --serving-image "$(SERVING_IMAGE)" \
	  --url "$(RELEASE_URL)" --builder "$(BUILDER)"

##@ Checks, one by one
venv: ## Create the Python environment .venv from the locked requirements
	@$(TOOL) venv
lint: venv ## Check code and docstrings with ruff; check spelling, wording and links
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/python docs/check_wording.py
	@$(BIN)/python docs/check_links.py
format: venv ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
types: venv ## Check the type hints with mypy --strict
	@$(BIN)/mypy operator/src gateway/src training/src client/src model_server/src kind/laptop kind/images kind/release kind/tool.py kind/build_images.py kind/cut_release.py tests/support tests/bench/*.py
	@MYPYPATH=operator/install $(BIN)/mypy operator/install
	@for bench in $(wildcard tests/bench/*/); do MYPYPATH=$$bench:tests/bench/gateway $(BIN)/mypy $$bench || exit; done # their modules have equal names
layers: venv ## Check with import-linter which modules import which
	@$(BIN)/lint-imports
docs: venv ## Build the documentation site in .build/site; a broken link is an error
	@$(BIN)/zensical build --strict
unit: venv kubernetes install-checkers ## Run the tests that need no cluster; some use an API server without one
	@$(PYTEST) tests/cluster --collect-only --quiet --quiet  # a wrong import fails now, not in ten minutes
	@$(PYTEST) tests --ignore=tests/cluster --ignore=tests/bench -m "not cluster" --numprocesses=3 $(BY_FILE)  # two cores: half of the time, a test waits
cluster-test: venv images ## Run the tests on the Kind cluster
	@$(PYTEST) tests/cluster -m cluster --numprocesses=2 $(BY_FILE)
workers-test: venv ## Run the tests on a cluster with two workers, and remove it afterwards
	@$(TOOL) cluster-with-workers
	@$(PYTEST) tests/cluster -m workers --capture=no; result=$$?; $(TOOL) without-workers; exit $$result
bench: models ## Measure the gateway and the model server, each against a reference in the same run
	@$(BIN)/python tests/bench/gateway/run.py
	@$(BIN)/python tests/bench/gateway/fuzz.py --requests 100000
	@$(BIN)/python tests/bench/model_server_throughput.py models/pizza-model
bench-end-to-end: venv ## Measure the pizza model behind the whole path, beside what people would install instead (ARGUMENTS="--runs 3 --write")
	@$(BIN)/python tests/bench/end_to_end/run.py $(ARGUMENTS)
bench-model: venv ## Measure the exported pizza model by itself: runtimes, precisions, cores, batches (DATA=photographs ARGUMENTS=--write)
	@$(BIN)/python tests/bench/model_variants/run.py $(DATA) $(ARGUMENTS)
attack: venv ## Attack the gateway in a container while a well-behaved client uses it (ARGUMENTS="--only silent --write")
	@$(BIN)/python tests/bench/attack/run.py $(ARGUMENTS)
bench-rollouts: venv cluster ## Measure all kinds of rollouts on Kind under load (ARGUMENTS="--rows bump --write")
	@PYTHONPATH=kind $(BIN)/python tests/bench/rollouts/run.py $(ARGUMENTS)
bench-scale: venv kubernetes ## Measure the operator with 100 and 1,000 ImageClassifiers on simulated pods (ARGUMENTS="--objects 300 --write")
	@$(BIN)/python tests/bench/scale/run.py $(ARGUMENTS)
bench-verdicts: venv cluster ## Measure rollouts of versions that fail at random, on Kind (ARGUMENTS="--rollouts 4")
	@PYTHONPATH=kind:tests/cluster $(BIN)/python tests/bench/rollouts/verdicts.py $(ARGUMENTS)
bench-judgement: venv ## Simulate rollouts, and count the wrong decisions of the operator's analysis (ARGUMENTS="--histories 1000")
	@$(BIN)/python tests/bench/judgement/run.py $(ARGUMENTS)

help: ## Show this list
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*##/ {printf "  make %-22s%s\n", $$1, $$2}' $(MAKEFILE_LIST)
