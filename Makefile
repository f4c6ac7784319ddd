# `make help` lists the targets. Everything installs into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
# The packages of `make loaders`; those that pin much that they do not need here come without their dependencies.
LOADERS := litdata==0.2.76 datatrove==0.10.1 datasets brotli zstd python-snappy catalogue cached-path importlib_resources \
	safetensors omegaconf google-cloud-storage dataclass-extensions bettermap xxhash
LOADERS_ALONE := megatron-core==0.16.1 ai2-olmo-core==3.0.0 mosaicml-streaming==0.13.0
# What `make demo` prepares, and with how much memory.
INPUT ?=
MAX_RSS ?= 512M
DEMO_SIZE ?= 200MB
# What `make vmkills` boots.
KERNELS ?= 5.10 6.1 6.12

.DEFAULT_GOAL := help
.PHONY: help setup demo test check screens live vm bench campaign kills runs vmruns logspeed fuzz vmkills costs profiles loaders clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 14

setup: $(READY) ## install oomguard and what its tests need into .venv

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11"; echo "  try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "error: Python's venv module does not work here"; echo "  try: sudo apt-get install python3-venv"; exit 1; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(RUN) -m compileall -q oomguard
	@touch $@

demo: $(READY) ## the main job on real input: make demo [INPUT=file] [MAX_RSS=512M]
	@sh tools/demo.sh "$(RUN)" "$(MAX_RSS)" "$(DEMO_SIZE)" $(if $(INPUT),"$(INPUT)")

test: check ## lint, types, and all tests; says what was skipped and why
	$(RUN) -m pytest

check: $(READY) ## lint and types only
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

screens: $(READY) ## write tests/screens anew; review reads the diff
	$(RUN) -m pytest -q tests/cli tests/results --update-screens

live: $(READY) ## only the tests that need a real memory cgroup (root)
	$(RUN) -m pytest -m live

vm: $(READY) ## cgroup v2 in a virtual machine (root, Debian, about 3 minutes)
	OOMGUARD_VM=1 $(RUN) -m pytest tests/vm

bench: $(READY) .venv-bench/ready ## oomguard beside its rivals, answers checked; writes benchmarks/record
	$(RUN) -m benchmarks.compare --write-readme

.venv-bench/ready:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check 'datatrove[processing]' tokenizers orjson
	@touch $@

campaign: $(READY) ## 1 GB and 15 GB of text under 512M and 256M (30 GB of disk, 10 minutes)
	$(RUN) -m benchmarks.budget_campaign

kills: $(READY) ## 50 kills at random moments, then resume: the same sha256 each time
	$(RUN) -m benchmarks.kill_campaign

runs: $(READY) ## 50 runs over budget of each program: the line is named each time (10 minutes)
	$(RUN) -m benchmarks.run_campaign

vmruns: $(READY) ## the same in a virtual machine, on cgroup v2, as often as 7 minutes allow (root)
	OOMGUARD_VM=1 $(RUN) -m tests.vm.vmruns

logspeed: $(READY) ## a gigabyte of log: diagnose beside grep -c, seconds and memory (5 GB of disk, 5 minutes)
	$(RUN) -m benchmarks.log_speed

fuzz: $(READY) ## 100,000 damaged logs: nothing is raised, no victim is invented (15 minutes)
	$(RUN) -m benchmarks.log_mutations 100000

vmkills: $(READY) ## real kills on kernels 5.10, 6.1 and 6.12, by the kernel and by other killers (root, 10 minutes)
	tests/vm/build.sh $(KERNELS)
	$(RUN) -m tests.vm.vmkills $(KERNELS)

costs: $(READY) .venv-costs/ready ## what the usual ways to hold a corpus take, beside what `check` says (5 minutes)
	.venv-costs/bin/python -m benchmarks.trap_costs

profiles: $(READY) .venv-costs/ready ## how far `profile` is from the truth: peak, spike, forecast, ladder, lines, cost (10 minutes)
	.venv-costs/bin/python -m benchmarks.profile_campaign

loaders: .venv-loaders/ready ## the real loaders of each output format read what oomguard writes (2 GB of disk, 10 minutes)
	.venv-loaders/bin/python -m pytest tests/loaders -W default -rs

# A CPU build of torch where pip finds one, and what each loader imports; one that cannot be installed is skipped.
.venv-loaders/ready:
	$(PYTHON) -m venv .venv-loaders
	.venv-loaders/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 || echo "no torch: most loaders are skipped"
	.venv-loaders/bin/pip install --quiet --disable-pip-version-check pytest hypothesis psutil rich tiktoken typer pyarrow \
		tokenizers transformers humanize rapidfuzz regex nltk loguru multiprocess dill
	for package in $(LOADERS); do .venv-loaders/bin/pip install --quiet --disable-pip-version-check $$package || true; done
	for package in $(LOADERS_ALONE); do .venv-loaders/bin/pip install --quiet --disable-pip-version-check --no-deps $$package || true; done
	.venv-loaders/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv-costs/ready:
	$(PYTHON) -m venv .venv-costs
	.venv-costs/bin/pip install --quiet --disable-pip-version-check --editable '.[stack]' datasets memray pandas
	@touch $@

clean: ## remove what these targets made
	rm -rf $(VENV) demo bench-data .venv-bench .venv-costs .venv-loaders
