# Needs Python >= 3.11 and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
# processes that keep no bytecode compile every module anew
unexport PYTHONDONTWRITEBYTECODE
export MUTOSCOPE_CACHE ?= $(CURDIR)/.cache

.PHONY: help setup check test test_slow test_browser metrics_see quickstart quickstart_ag2vid quickstart_sa_gcn quickstart_glass pictures bench soak docs \
	test_lowest lock clean

help:
	@echo "make setup       create .venv with the pinned packages"
	@echo "make quickstart  train, evaluate and write outputs/quickstart/report.html (three and a half minutes of one core of a Xeon with AVX-512)"
	@echo "make quickstart_ag2vid  the same for video from action graphs (films its data first; five minutes of training, a quarter of an hour in all)"
	@echo "make quickstart_sa_gcn  SA-GCN and two of its ablations on skeletons (five minutes of one core each, and their evaluation)"
	@echo "make quickstart_glass  video that one steers, from unlabelled clips of drawn characters (ten minutes of one core)"
	@echo "make check       lint, format and types"
	@echo "make test        the test suite in WORKERS=2 processes; MUTOSCOPE_TEST_PATIENCE=4 waits four times as long"
	@echo "make test_slow   compiled networks, notebooks, and whole programs that are launched, killed or installed"
	@echo "make test_browser  reports in Chromium, where there is one"
	@echo "make metrics_see  which metric sees what, drawn anew for the page on metrics"
	@echo "make docs        the documentation, build/docs/index.html"
	@echo "make pictures    the moving pictures of the README, from what the quickstarts left"
	@echo "make test_lowest before a release: the suite with the lowest versions that pyproject.toml allows"
	@echo "make bench       benchmarks;  make soak: longer checks;  make clean: remove what was built"

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python >= 3.11 is needed; found $$($(PYTHON) --version). Set PYTHON=<path of a newer one>."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	command -v uv >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --requirements requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# one thread a process, so that processes do not wait for each other; a file's tests stay together, as its fixtures do
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
test: setup
	$(PYTEST) -m "not slow"

test_slow: setup
	$(PYTEST) -m slow

# interrupted, each of these goes on where it was
quickstart: setup
	$(BIN)/python train.py experiment=quickstart ckpt=last
	$(BIN)/python evaluate.py checkpoint=outputs/quickstart/checkpoints/last.ckpt out=outputs/quickstart
	@echo "Open outputs/quickstart/report.html in a browser."

quickstart_ag2vid: setup
	$(BIN)/python train.py experiment=quickstart_ag2vid ckpt=last
	$(BIN)/python evaluate.py checkpoint=outputs/quickstart_ag2vid/checkpoints/last.ckpt out=outputs/quickstart_ag2vid
	@echo "Open outputs/quickstart_ag2vid/report.html in a browser."

# the paper's model, without past frames, and with convolutions instead of its graph
SA_GCN := $(BIN)/python train.py experiment=quickstart_sa_gcn trainer.threads=1 ckpt=last
quickstart_sa_gcn: setup
	$(SA_GCN)
	$(SA_GCN) name=quickstart_sa_gcn_no_past model.graph.kept=0
	$(SA_GCN) name=quickstart_sa_gcn_cnn model.graph.layer=cnn model.graph.kernel=[3,3]
	$(BIN)/python evaluate.py checkpoint=outputs/quickstart_sa_gcn/checkpoints/last.ckpt out=outputs/quickstart_sa_gcn \
		'beside={no past frames: outputs/quickstart_sa_gcn_no_past/checkpoints/last.ckpt, CNN: outputs/quickstart_sa_gcn_cnn/checkpoints/last.ckpt}'
	@echo "Open outputs/quickstart_sa_gcn/report.html in a browser."

quickstart_glass: setup
	$(BIN)/python train.py experiment=quickstart_glass ckpt=last
	$(BIN)/python evaluate.py checkpoint=outputs/quickstart_glass/checkpoints/last.ckpt out=outputs/quickstart_glass
	@echo "Open outputs/quickstart_glass/report.html in a browser."

bench: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_kinetic_gan.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_ag2vid.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_sa_gcn.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_glass.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_convolution.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_nearest.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_fvd.py
	$(BIN)/python tests/benchmarks/bench_startup.py

# one per model, from what its quickstart left
pictures: setup
	$(BIN)/python docs/pictures.py

# reports in Chromium, which is looked for on the path, or named by CHROMIUM
test_browser: setup
	$(BIN)/python -m pytest tests/browser

# which metric sees what, for the page on metrics
metrics_see: setup
	$(BIN)/python docs/metrics_see.py

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Open build/docs/index.html in a browser."

# a part of it: make test_lowest TESTS=tests/metrics
TESTS ?=
LOWEST := build/lowest
test_lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(TESTS)

$(LOWEST)/.installed: pyproject.toml
	test -x $(BIN)/uv || test -n "$$(command -v uv)" || { echo "uv is needed; make setup brings it."; exit 1; }
	test -x $(LOWEST)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(LOWEST)
	$(UV) pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	touch $@

soak: setup
	$(BIN)/python -m pytest tests/soak --timeout 3600

# versions only: the index is the installer's own
lock:
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean:
	rm -rf $(VENV) .cache build docs/generated dist outputs multirun htmlcov .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
