# Everything starts here; `make help` lists it. The work is done by kind/tool.py and by the tools in .venv.
PYTHON ?= python3
TOOL = $(PYTHON) kind/tool.py
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest
# Two processes, which take the files in their order: the slow ones stand first.
IN_TWO = --numprocesses=2 --dist=loadfile --no-loadscope-reorder
IMAGE_REGISTRY = imageclassifier

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: demo test help down clean venv kubernetes cluster cluster-with-workers images models
.PHONY: install-yaml reference lint format types layers docs unit cluster-test workers-test bench bench-rollouts bench-judgement
.PHONY: attack bench-scale bench-verdicts

##@ The two commands
demo: ## Bring everything up on this machine and show it
	@$(TOOL) demo
test: venv lint types layers docs unit cluster-test ## All checks: lint, types, layers, documentation, unit and cluster tests
	@echo "All checks passed."

##@ The laptop cluster
cluster: ## A Kind cluster named imageclassifier, created or mended (NODE_IMAGE= BASE_IMAGE= SERVING_IMAGE=)
	@$(TOOL) cluster
cluster-with-workers: ## A second cluster with two workers, for tests of failing nodes
	@$(TOOL) cluster-with-workers
images: cluster ## Build our images and load them into the cluster
	@$(PYTHON) kind/build_images.py --load imageclassifier
kubernetes: ## Build Kubernetes and KWOK as programs, for tests against a bare API server
	@$(TOOL) kubernetes
down: ## Remove every container, network and process of ours; what was made stays cached
	@$(TOOL) down
clean: ## As down, and remove the caches and logs too
	@$(TOOL) clean

##@ The models
models: venv ## Both pizza models, in models/
	@$(MAKE) --no-print-directory --jobs=2 $(foreach version,1 2,models/pizza-model/$(version)/saved_model.pb)
models/pizza-model/%/saved_model.pb: examples/pizza/v%/training.json examples/pizza/v%/learned.npz | venv
	@$(BIN)/imageclassifier-training export examples/pizza/v$* --name pizza-model --version $* --out models --replace

##@ Files made from sources
install-yaml: ## The installation's YAML, checked in (IMAGE_REGISTRY=registry.example.org/team for your own images)
	@$(PYTHON) operator/install/render.py --image-registry $(IMAGE_REGISTRY) >operator/install/install.yaml
	@$(PYTHON) operator/install/render.py --image-registry $(IMAGE_REGISTRY) --one-namespace \
	  >operator/install/install-one-namespace.yaml
reference: venv ## The generated parts of docs/: reference.md, the diagrams of rollouts.md and architecture.md
	@$(BIN)/python docs/make_reference.py
	@$(BIN)/python docs/make_rollouts.py
	@$(BIN)/python docs/make_architecture.py

##@ Checks, one by one
venv: ## The Python environment .venv, from the locked requirements
	@$(TOOL) venv
lint: venv ## ruff: rules, docstrings and formatting; spelling; wording; links
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/python docs/check_wording.py
	@$(BIN)/python docs/check_links.py
format: venv ## Put the formatting right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
types: venv ## mypy, strict
	@$(BIN)/mypy operator/src gateway/src training/src model_server/src kind/laptop kind/images kind/tool.py kind/build_images.py tests/support tests/bench/*.py
	@for bench in $(wildcard tests/bench/*/); do MYPYPATH=$$bench $(BIN)/mypy $$bench || exit; done # their modules have equal names
layers: venv ## import-linter: which part may know which
	@$(BIN)/lint-imports
docs: venv ## The documentation site in .build/site; a broken link is an error
	@$(BIN)/zensical build --strict
unit: venv kubernetes ## Tests that need no cluster (a bare API server at most)
	@$(PYTEST) tests/cluster --collect-only --quiet --quiet  # a wrong import fails now, not in ten minutes
	@$(PYTEST) tests --ignore=tests/cluster --ignore=tests/bench -m "not cluster" $(IN_TWO)
cluster-test: venv images ## Tests on the Kind cluster
	@$(PYTEST) tests/cluster -m cluster $(IN_TWO)
workers-test: venv ## Tests on a cluster with two workers, which is removed afterwards
	@$(TOOL) cluster-with-workers
	@$(PYTEST) tests/cluster -m workers; result=$$?; $(TOOL) without-workers; exit $$result
bench: models ## Measure the gateway and the model server, each beside a reference in the same run
	@$(BIN)/python tests/bench/gateway/run.py
	@$(BIN)/python tests/bench/gateway/fuzz.py --requests 100000
	@$(BIN)/python tests/bench/model_server_throughput.py models/pizza-model
attack: venv ## Attack the gateway in a container while a good client uses it (ARGUMENTS="--only silent --write")
	@$(BIN)/python tests/bench/attack/run.py $(ARGUMENTS)
bench-rollouts: venv cluster ## Rollouts of every kind on Kind under load (ARGUMENTS="--rows bump --write")
	@PYTHONPATH=kind $(BIN)/python tests/bench/rollouts/run.py $(ARGUMENTS)
bench-scale: venv ## A hundred and a thousand ImageClassifiers on fake pods (ARGUMENTS="--objects 300 --write")
	@$(BIN)/python tests/bench/scale/run.py $(ARGUMENTS)
bench-verdicts: venv cluster ## Rollouts of versions that fail by chance, on Kind (ARGUMENTS="--rollouts 4")
	@PYTHONPATH=kind $(BIN)/python tests/bench/rollouts/verdicts.py $(ARGUMENTS)
bench-judgement: venv ## Simulated rollouts by the operator's own verdicts (ARGUMENTS="--histories 1000")
	@$(BIN)/python tests/bench/judgement/run.py $(ARGUMENTS)

help: ## This list
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*##/ {printf "  make %-22s%s\n", $$1, $$2}' $(MAKEFILE_LIST)
