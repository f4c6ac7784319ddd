# `make help` lists the targets. Everything installs into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
# The packages of `make loaders`; those that pin much that they do not need here come without their dependencies.
LOADERS := litdata==0.2.76 datatrove==0.10.1 datasets brotli zstd python-snappy catalogue cached-path importlib_resources \
	safetensors omegaconf google-cloud-storage dataclass-extensions bettermap xxhash
LOADERS_ALONE := megatron-core==0.16.1 ai2-olmo-core==3.0.0 mosaicml-streaming==0.13.0
# What `make demo` reads, and with how much memory.
INPUT ?=
MAX_RSS ?= 256M
DEMO_SIZE ?= 60MB
# How long `make fuzz-core` tries.
FUZZ_SECONDS ?= 3600
# What `make vmkills` boots.
KERNELS ?= 5.10 6.1 6.12
# How many tests run side by side, one more than there are processors, as a test often waits; and how often a property is
# tried: EXAMPLES=thorough is about eight times as often.
JOBS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
EXAMPLES ?= oomguard
# Which mutants `make mutants` makes, and which corpora and programs `make bands` and `make forecasts`; and of those, how many.
SEED ?= 1
TRIALS ?= 200
# What `make wheel` and `make versions` run: all tests of `make check`, unless TESTS names files.
TESTS ?=
# What `make versions` tries.
VERSIONS ?= lowest 3.12 3.13
# MORE: further options of pytest, such as MORE=--last-failed.
MORE ?=
# Bytecode is kept, whatever the environment says: to rewrite every test's asserts anew is 5 s of CPU time for each worker.
PYTEST = PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -q --hypothesis-profile=$(EXAMPLES) $(MORE)
CLUSTER ?= cluster
# Where there are live tests: to collect all others takes each worker 5 s.
LIVE = $(shell grep -l 'mark\.live' $$(find tests -name 'test_*.py' | sort))
BESIDE = -n $(JOBS) --maxprocesses 8

# What limits, freezes and kills: nine tenths of it must be seen by a test.
GUARDS = oomguard/supervision/launch.py,oomguard/supervision/supervisor.py,oomguard/supervision/watched_job.py,oomguard/supervision/holding.py,oomguard/supervision/releasing.py,oomguard/supervision/pace.py,oomguard/supervision/reaper.py,oomguard/supervision/rules/limits.py,oomguard/supervision/backends/polling.py,oomguard/supervision/backends/polled_memory.py,oomguard/supervision/backends/tree_members.py,oomguard/kernel/cgroup/freezer.py,oomguard/kernel/terminal.py

.DEFAULT_GOAL := help
.PHONY: help setup demo readme docs man check core wheels fuzz-core lint test beside coverage mutants wheel versions screens live vm cluster bench campaign kills runs vmruns logspeed fuzz prose vmkills costs bands forecasts profiles reports loaders clean scripts faults overshoot

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

setup: $(READY) ## install oomguard and what its tests need into .venv (a minute)

$(READY): pyproject.toml
	@$(PYTHON) -c '' 2>/dev/null || \
		{ echo "error: $(PYTHON) cannot be run"; echo "  try: make PYTHON=python3 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11"; echo "  try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing oomguard and what its tests need into $(VENV): 350 MB, usually a minute"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "error: Python's venv module does not work here"; echo "  try: sudo apt-get install python3-venv"; exit 1; }
	$(VENV)/bin/pip install --disable-pip-version-check --editable '.[dev]'
	$(RUN) -m compileall -q oomguard
	@touch $@

demo: $(READY) ## a script stopped for memory, and the same job done in bounds: make demo [INPUT=file] [MAX_RSS=256M] (30 seconds)
	@sh tools/demo.sh "$(RUN)" "$(MAX_RSS)" "$(DEMO_SIZE)" $(if $(INPUT),"$(INPUT)")

check: lint ## lint, types, import contracts, and all pure and fast tests (under 90 seconds on two cores)
	$(PYTEST) $(BESIDE) -m "not slow and not live and not vm and not cluster"

core: ## compile the encoder core in place (cc, or pip install ziglang)
	$(PYTHON) hatch_build.py

wheels: .venv-wheels/ready ## dist/*.whl for x86-64 and arm64, glibc and musl, all from this machine
	@for target in x86_64-linux-gnu.2.17 aarch64-linux-gnu.2.17 x86_64-linux-musl aarch64-linux-musl; do \
		OOMGUARD_WHEEL=$$target .venv-wheels/bin/python -m hatchling build -t wheel || exit 1; done

.venv-wheels/ready:
	$(PYTHON) -m venv .venv-wheels
	.venv-wheels/bin/pip install --quiet --disable-pip-version-check hatchling ziglang
	@touch $@

fuzz-core: $(READY) ## an hour of hostile text for the encoder core, with sanitizers; by coverage where clang is found
	sh tools/fuzz_core.sh "$(RUN)" $(FUZZ_SECONDS)

lint: $(READY) ## lint, types and import contracts only
	$(RUN) -m ruff check --quiet .
	$(RUN) -m ruff format --check --quiet .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache

test: lint ## all that this machine can run but virtual machines (about 11 minutes on two cores); lists what was skipped and why
	$(MAKE) --no-print-directory beside
	$(MAKE) --no-print-directory live

beside: $(READY) ## of make test: what may run side by side
	$(PYTEST) $(BESIDE) -m "not live and not vm and not cluster"

coverage: $(READY) ## what the tests run, child processes counted; leaves .coverage and htmlcov/
	rm -f .coverage .coverage.*
	$(RUN) -m coverage run -m pytest -q $(BESIDE) -m "not live and not vm and not cluster"
	$(RUN) -m coverage run -m pytest -q -m "live and not vm"
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage html --quiet
	$(RUN) -m coverage report
	@echo "what limits, freezes and kills:"
	$(RUN) -m coverage report --include="$(GUARDS)" --fail-under=90

mutants: $(READY) ## 100 small faults in what limits, freezes and kills: would the fast tests notice? (15 minutes)
	$(RUN) tools/mutants.py $(SEED) 100

wheel: $(READY) ## build the wheel, install it without the source tree, and run the tests of `make check` on it
	sh tools/try_wheel.sh $(RUN) $(TESTS)

versions: $(READY) ## the tests of `make check` with the lowest allowed versions, and on Python 3.12 and 3.13 where they are
	TESTS="$(TESTS)" sh tools/try_versions.sh $(RUN) $(VERSIONS)

screens: $(READY) ## write tests/screens anew; review reads the diff
	$(RUN) -m pytest -q tests/cli tests/machine_report tests/profiling tests/swap --update-screens

live: $(READY) ## only the tests that limit real processes (root): most three at a time, then the others alone
	$(PYTEST) -n 3 --no-loadscope-reorder -m "live and not vm" $(LIVE)

vm: $(READY) ## cgroup v2 in a virtual machine (root, Debian, about 3 minutes)
	OOMGUARD_VM=1 $(PYTEST) -m vm

cluster: $(READY) ## a real Slurm and a real Ray on this machine (root; Debian's slurmctld slurmd munge, pip's ray)
	$(PYTEST) -m "$(CLUSTER)" tests/cluster

faults: $(READY) ## each feature under each fault, 600 rounds, then planted links, 1000 (root, strace; an hour and a half on two cores)
	$(RUN) -m tests.faults.campaign --rounds 600
	$(RUN) -m tests.faults.planted --rounds 1000

bench: $(READY) .venv-bench/ready .venv-bench-tokenizers/ready ## oomguard beside its rivals, answers checked; writes benchmarks/record
	$(RUN) -m benchmarks.compare --write-readme

.venv-bench/ready:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check 'datatrove[processing]' tokenizers orjson
	@touch $@

.venv-bench-tokenizers/ready:
	$(PYTHON) -m venv .venv-bench-tokenizers
	.venv-bench-tokenizers/bin/pip install --quiet --disable-pip-version-check --pre 'tokenizers>=1.0.0rc3' numpy
	@touch $@

campaign: $(READY) ## 1 GB and 15 GB of text under 512M and 256M (30 GB of disk, 10 minutes)
	$(RUN) -m benchmarks.budget_campaign

kills: $(READY) ## 50 kills at random moments, then resume: the same sha256 each time
	$(RUN) -m benchmarks.kill_campaign

runs: $(READY) ## 50 runs over budget of each program: the line is named each time (10 minutes)
	$(RUN) -m benchmarks.run_campaign

overshoot: $(READY) ## 1,000 runs of programs that do their worst: statuses, kernel kills, how far over the limit (root, 20 minutes)
	$(RUN) -m benchmarks.overshoot_campaign --runs 1000

vmruns: $(READY) ## the same in a virtual machine, on cgroup v2, as often as 7 minutes allow (root)
	OOMGUARD_VM=1 $(RUN) -m tests.vm.vmruns

logspeed: $(READY) ## a gigabyte of log: diagnose beside grep -c, seconds and memory (5 GB of disk, 5 minutes)
	$(RUN) -m benchmarks.log_speed

fuzz: $(READY) ## 100,000 damaged logs: nothing is raised, no victim is invented (15 minutes)
	$(RUN) -m benchmarks.log_mutations 100000

prose: $(READY) ## code and documentation given as logs: none of them names a kill (2 minutes)
	$(RUN) -m benchmarks.log_prose

vmkills: $(READY) ## real kills on kernels 5.10, 6.1 and 6.12, by the kernel and by other killers (root, 10 minutes)
	tests/vm/build.sh $(KERNELS)
	$(RUN) -m tests.vm.vmkills $(KERNELS)

costs: $(READY) .venv-costs/ready ## what the usual ways to hold a corpus take, beside what `check` says (5 minutes)
	.venv-costs/bin/python -m benchmarks.trap_costs

bands: $(READY) ## 200 corpora, some of them hard on samples: plan's tokens, peak and time hold the truth (40 minutes; TRIALS=40: a fifth of it)
	$(RUN) -m benchmarks.plan_bands --trials $(TRIALS) --seed $(SEED)

forecasts: $(READY) ## 200 programs ended at 10 to 90 % of their input, and 200 spikes: profile's forecast and run's "at most" hold the truth (25 minutes; TRIALS=40: a fifth of it)
	$(RUN) -m benchmarks.forecast_bands --trials $(TRIALS) --seed $(SEED)

scripts: $(READY) ## check of 1,000 files of the standard library and site-packages: no traceback, under 300 MB and 5 s each (10 minutes)
	OOMGUARD_CHECK_FILES=1000 $(PYTEST) tests/script_analysis/test_campaign.py

profiles: $(READY) .venv-costs/ready ## how far `profile` is from the truth: peak, spike, forecast, ladder, lines, cost (10 minutes)
	.venv-costs/bin/python -m benchmarks.profile_campaign

reports: $(READY) .venv-costs/ready ## 26 public reports of killed programs: do check, profile, run and diagnose lead to the cause and a cure? (root, 10 minutes)
	.venv-costs/bin/python -m benchmarks.public_reports

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
	.venv-costs/bin/pip install --quiet --disable-pip-version-check --editable '.[stack]' datasets memray pandas \
		joblib tokenizers sentencepiece scikit-learn 'dask[distributed]' openpyxl matplotlib ray pytest
	@touch $@

readme: $(READY) ## run the commands of README.md, and write what they say into it (2 minutes)
	@test -f demo/corpus.txt || { mkdir -p demo; $(RUN) -m benchmarks.corpus --size $(DEMO_SIZE) --out demo/corpus.txt; }
	$(RUN) tools/readme.py

docs: $(READY) ## write docs/cli.md, docs/api.md, docs/json.md and the man page anew
	$(RUN) tools/reference.py

man: $(READY) ## write man/oomguard.1 anew; read it with: man ./man/oomguard.1
	$(RUN) tools/reference.py man

clean: ## remove what these targets made
	rm -rf $(VENV) demo bench-data .venv-bench .venv-costs .venv-wheels dist .venv-tries .coverage .coverage.* htmlcov .venv-loaders
