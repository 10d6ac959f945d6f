# `make` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# Scripts with modules beside them, which find each other as Python does when one is run.
BENCHMARKS := $(addprefix benchmarks/,. planner feature_maps onnxruntime order)
BENCHMARK_TYPES = MYPYPATH=../benchmarks:../$$folder:../examples:../tests bin/mypy \
	--config-file ../pyproject.toml --no-namespace-packages --follow-imports=silent
SOURCES := $(shell git ls-files condense_compiler passes targets native pyproject.toml 2>/dev/null)

.DEFAULT_GOAL := help

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(INSTALLED): $(VENV)/bin/python $(SOURCES)
	$(BIN)/pip install --quiet ".[test]"
	@touch $@

.PHONY: install
install: $(INSTALLED)  ## Create .venv and install the package with its test tools

.PHONY: demo
demo: $(INSTALLED)  ## Compile the example network, print the report, leave the artefacts in out/
	@mkdir -p out
	$(BIN)/python examples/condensation_net.py --k 4 --width 0.5 --size 224 -o out/condensation_net.onnx
	$(BIN)/condense compile out/condensation_net.onnx -o out/condensation_net
	@echo "artefacts: out/condensation_net"; ls -l out/condensation_net

.PHONY: test
test: lint native pytest  ## Run every check

.PHONY: lint
lint: $(INSTALLED)  ## Formatting, lint rules and types, Python and Rust
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml -p condense_compiler
	cd $(VENV) && MYPYPATH=../examples:../tests bin/mypy --config-file ../pyproject.toml --explicit-package-bases ../examples
	cd $(VENV) && for folder in $(BENCHMARKS); do $(BENCHMARK_TYPES) ../$$folder/*.py || exit 1; done
	cd native && cargo fmt --check && cargo clippy --quiet --release --all-targets -- -D warnings

.PHONY: native
native:  ## Rust tests
	cd native && cargo test --quiet --release

.PHONY: sanitize
sanitize:  ## Rust tests under AddressSanitizer (needs a nightly toolchain)
	cd native && RUSTFLAGS=-Zsanitizer=address cargo +nightly test --quiet --release \
		--target $(HOST) -p condense-kernels -p condense-planner -p condense-scheduler

.PHONY: miri
miri:  ## Small cases of the planner under Miri (needs a nightly toolchain with Miri)
	cd native && MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p condense-planner

.PHONY: pytest
pytest: $(INSTALLED)  ## Python tests
	$(BIN)/pytest -n auto -q

# How many networks `make fuzz` checks: make fuzz GRAPHS=500
GRAPHS ?= 10000

.PHONY: fuzz
fuzz: $(INSTALLED)  ## Check random networks (GRAPHS of them), and damaged files; minutes to hours
	$(BIN)/python tests/fuzz/run.py --graphs $(GRAPHS)
	$(BIN)/python tests/fuzz/mutate.py

.PHONY: lowest
lowest:  ## Tests with the lowest declared version of each dependency, several of ONNX Runtime
	$(PYTHON) .ci/lowest.py $(VENV)-lowest

.PHONY: docs
docs: $(INSTALLED)  ## Write the generated pages, then the site into site/
	$(BIN)/python docs/make_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "site: site/index.html; with search: $(BIN)/mkdocs serve"

.PHONY: format
format: $(INSTALLED)  ## Rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd native && cargo fmt

.PHONY: clean
clean:  ## Remove everything that can be made again
	rm -rf $(VENV) $(VENV)-lowest out site build native/target *.egg-info
