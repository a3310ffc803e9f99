# One door to everything. `make help` lists the targets; every target that needs .venv makes it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# -- variables, set on the command line: make fcn32s VOC_DIR=/data/VOCdevkit/VOC2011 ...
PYTHON  ?= python3
OLDEST  ?= python3.10
RUNS    ?= runs
GPU     ?=
VOC_DIR ?=
SBD_DIR ?=
NYUD_DIR     ?=
SIFTFLOW_DIR ?=
CONTEXT_DIR  ?=
WEIGHTS ?=
ITERS   ?=
NAME    ?= lenet
MODEL   ?= voc-fcn8s
ARGS    ?=
TIER    ?= not slow

PY     := .venv/bin/python
READY  := .venv/.stamp
# Each core takes neighbouring tests, which share what they set up, and in the end some of those of another.
PYTEST := $(PY) -m pytest -n auto --dist worksteal
CODE   := engine nets solvers surgery voc_layers fcn dev tests benchmarks examples $(wildcard *.py)

DEVICE := $(if $(GPU),--gpu $(GPU),--cpu)
DATA   := $(if $(VOC_DIR),--voc-dir $(VOC_DIR)) $(if $(SBD_DIR),--sbd-dir $(SBD_DIR))
NYUD   := $(if $(NYUD_DIR),--nyud-dir $(NYUD_DIR))
SIFT   := $(if $(SIFTFLOW_DIR),--siftflow-dir $(SIFTFLOW_DIR))
CONTEXT := $(if $(VOC_DIR),--voc-dir $(VOC_DIR)) $(if $(CONTEXT_DIR),--context-dir $(CONTEXT_DIR))
# What the run of a model is trained on: its name begins with its data set's.
FOLDERS = $(if $(filter nyud-%,$@),$(NYUD),$(if $(filter siftflow-%,$@),$(SIFT),$(if $(filter pascalcontext-%,$@),$(CONTEXT),$(DATA))))
SOLVE   = $(PY) solve.py $@ $(DEVICE) --runs $(RUNS) $(FOLDERS) $(if $(ITERS),--iters $(ITERS))
BASE   := $(if $(WEIGHTS),--weights $(WEIGHTS))

# $(call unless-trained,MODEL): that model's target, unless its run holds weights already.
unless-trained = $(if $(wildcard $(addprefix $(RUNS)/$(1)/snapshot/,*.caffemodel *.caffemodel.h5)),,$(1))

.PHONY: help setup demo example notebook site test slow oldest tiny lint format types nets fcn32s fcn16s fcn8s fcn8s-atonce fcn-alexnet \
        voc-fcn32s voc-fcn16s voc-fcn8s voc-fcn8s-atonce voc-fcn-alexnet voc-fcn32s-fixed voc-fcn-googlenet \
        nyud-fcn32s-color nyud-fcn32s-hha nyud-fcn32s-color-d nyud-fcn32s-color-hha siftflow-fcn32s siftflow-fcn16s \
        siftflow-fcn8s pascalcontext-fcn32s pascalcontext-fcn16s pascalcontext-fcn8s score proto docs bench bench-parts \
        reliability fuzz clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  variables: GPU (empty: CPU)  VOC_DIR  SBD_DIR  NYUD_DIR  SIFTFLOW_DIR  CONTEXT_DIR  WEIGHTS (classifier)  ITERS  RUNS=$(RUNS)  MODEL=$(MODEL)  NAME=$(NAME)"
	@echo "             PYTHON=$(PYTHON) (makes .venv)  ARGS (passed on to the command)"

# -- set-up: one stamp file, so that nobody has to call it
setup: $(READY)  ## make .venv with the pinned requirements (every other target does it when needed)

$(READY): requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

# -- the paper on a laptop
demo: $(READY)  ## classifier -> 32s -> 16s -> 8s on drawn images: table, curves, contact sheet in RUNS/demo
	$(PY) -m fcn demo --runs $(RUNS) $(ARGS)

example: $(READY)  ## run examples/NAME.py in RUNS/examples, where its files stay: make example NAME=lenet
	mkdir -p $(RUNS)/examples/$(NAME)
	cd $(RUNS)/examples/$(NAME) && $(CURDIR)/$(PY) $(CURDIR)/examples/$(NAME).py

notebook: $(READY)  ## run examples/from-shapes-to-fcn.ipynb; it stays, with what it shows, in RUNS/examples
	$(PY) -m dev.run_notebook examples/from-shapes-to-fcn.ipynb $(RUNS)/examples/from-shapes-to-fcn

# -- checks
test: $(READY)  ## lint, then the tests that need minutes; nothing to download. TIER= for the slow ones too
	$(MAKE) lint
	$(PYTEST) -m "$(TIER)" $(ARGS)

slow: $(READY)  ## the tests that `make test` leaves out
	$(PYTEST) -m slow $(ARGS)

oldest: build/oldest/.stamp  ## the same tests on OLDEST=python3.10 with the lowest versions that pyproject.toml promises
	build/oldest/bin/python -m pytest -n auto -m "not slow" $(ARGS)

build/oldest/.stamp: constraints-oldest.txt pyproject.toml
	$(OLDEST) -m venv build/oldest
	build/oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt \
	    -e '.[test,report,lmdb,draw,fast,onnx,safetensors]' hatchling
	touch $@

tiny: $(READY)  ## ten seconds: parse, forward, backward, one step; the architecture rules
	$(PY) -m pytest -q tests/test_tiny.py tests/test_architecture.py

lint: $(READY)  ## ruff: mistakes, complexity, format; long files are named
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --quiet --check $(CODE)
	@$(PY) -m dev.sizes

format: $(READY)  ## format, sort imports and mend what ruff can mend by itself
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

types: $(READY)  ## mypy on the engine, the toolkit and the benchmarks
	$(PY) -m mypy

# -- nets and training; a stage first makes the stage it starts from
nets: $(READY)  ## write every model's prototxts to RUNS/nets
	$(PY) -m nets --out $(RUNS)/nets $(ARGS)

fcn32s: voc-fcn32s              ## train FCN-32s from the classifier WEIGHTS
fcn16s: voc-fcn16s              ## train FCN-16s from FCN-32s
fcn8s: voc-fcn8s                ## train FCN-8s from FCN-16s
fcn8s-atonce: voc-fcn8s-atonce  ## train FCN-8s in one stage from the classifier WEIGHTS
fcn-alexnet: voc-fcn-alexnet    ## train FCN-AlexNet from the classifier WEIGHTS

voc-fcn32s-fixed:     ## FCN-32s of which only the last layer learns, from WEIGHTS (VGG16)
voc-fcn-googlenet:    ## FCN-GoogLeNet from WEIGHTS (GoogLeNet)
nyud-fcn32s-color:    ## NYUDv2, colour, from WEIGHTS (VGG16); NYUD_DIR
nyud-fcn32s-hha:      ## NYUDv2, HHA, from WEIGHTS
nyud-fcn32s-color-d:  ## NYUDv2, early fusion of colour and depth, from WEIGHTS
nyud-fcn32s-color-hha:  ## NYUDv2, late fusion of the nets on colour and on HHA
siftflow-fcn32s:      ## SIFT Flow, two labelings, from WEIGHTS (VGG16); SIFTFLOW_DIR; then siftflow-fcn16s, -fcn8s
pascalcontext-fcn32s:  ## PASCAL-Context from WEIGHTS (VGG16); VOC_DIR, CONTEXT_DIR; then pascalcontext-fcn16s, -fcn8s

voc-fcn32s voc-fcn8s-atonce voc-fcn-alexnet voc-fcn32s-fixed voc-fcn-googlenet \
nyud-fcn32s-color nyud-fcn32s-hha nyud-fcn32s-color-d siftflow-fcn32s pascalcontext-fcn32s: $(READY)
	$(SOLVE) $(BASE) $(ARGS)

nyud-fcn32s-color-hha: $(READY) $(foreach parent,nyud-fcn32s-color nyud-fcn32s-hha,$(call unless-trained,$(parent)))
	$(SOLVE) $(ARGS)

# $(call finer,DATASET): the stages of a chain after the first.
define finer
$(1)-fcn16s: $(READY) $(call unless-trained,$(1)-fcn32s)
	$$(SOLVE) $$(ARGS)

$(1)-fcn8s: $(READY) $(call unless-trained,$(1)-fcn16s)
	$$(SOLVE) $$(ARGS)

endef
$(foreach dataset,voc siftflow pascalcontext,$(eval $(call finer,$(dataset))))

score: $(READY)  ## score the run of MODEL, on the images that it knows: accuracies, IU per class, the paper's row
	$(PY) score.py $(RUNS)/$(MODEL) $(DEVICE) $(if $(filter voc-%,$(MODEL)),$(DATA)) $(ARGS)

# -- for those who change the engine
proto: build/protoc/.stamp  ## generate caffe_pb2.py from caffe.proto, with a compiler in an environment of its own
	build/protoc/bin/python dev/generate_proto.py

build/protoc/.stamp: dev/generate_proto.py
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/pip install --quiet --disable-pip-version-check 'grpcio-tools==1.62.3' setuptools
	touch $@

docs: $(READY)  ## generate docs/compat.md, docs/layers.md, the tables of recipes and scores, the drawn pictures
	$(PY) -m dev.generate_compat
	$(PY) -m dev.generate_tables
	$(PY) -m dev.draw_pictures

site: docs  ## the documents as pages in build/site, which open from the disk
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

bench: $(READY) build/peers/.stamp  ## time, memory and agreement beside other libraries; ARGS=--quick for a look
	$(PY) -m benchmarks $(ARGS)

bench-parts: $(READY)  ## what weights, data, scoring and small nets cost, beside the obvious alternatives
	$(PY) -m benchmarks.parts.weights
	$(PY) -m benchmarks.parts.data
	$(PY) -m benchmarks.parts.scoring
	$(PY) -m benchmarks.parts.small
	$(PY) -m benchmarks.parts.updates
	$(PY) -m benchmarks.parts.paths
	$(PY) -m benchmarks.parts.memory
	$(PY) -m benchmarks.parts.ranks
	$(PY) -m benchmarks.parts.ranks --paper
	$(PY) -m benchmarks.parts.gpu

reliability: $(READY)  ## 200 kills, failing disks, memory over thousands of steps, planted faults; ARGS=--short for a look
	$(PY) -m benchmarks.reliability $(ARGS)

fuzz: $(READY)  ## 100,000 inputs of any bytes for each format that is read; ARGS="--format NAME --inputs N --seed N"
	$(PY) -m benchmarks.fuzz $(ARGS)

build/peers/.stamp: benchmarks/requirements-peers.txt requirements.txt constraints.txt
	$(PYTHON) -m venv build/peers
	grep -v '^#' benchmarks/requirements-peers.txt | while read -r name; do \
	    build/peers/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt "$$name" \
	        || echo "left out: $$name"; done
	touch $@

clean:  ## remove caches, builds, and what `make demo`, `nets` and `example` wrote; .venv and your runs stay
	rm -rf build dist engine/*.egg-info $(RUNS)/demo $(RUNS)/nets $(RUNS)/examples .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -not -path './.venv/*' -prune -exec rm -rf {} +
