# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make run [FOR=30]     the agent with example probes: here, or in the lab
#   make test             everything but what is long, the lab included
#   make long             the tests that make test leaves out
#   make dev              what a developer needs
#   make bench [BENCH='--only events --kernel 6.1']
#                         what an event, a compile and a scrape cost, beside the peers
#   make check            style, types, unit and golden tests; no root
#   make man              the manual pages: build/man
#   make completion       what shells complete: packaging/completion/made
#   make editors          for Vim and for editors that read TextMate grammars: build/editors
#   make fuzz [SEED=n] [PROGRAMS=300]
#                         ten thousand made-up programs and as many changed scripts: an hour or two
#   make torture [KERNEL=debug|6.1|6.12|7.2] [FOR=minutes] [SOAK=minutes] [SEED=n]
#                         guests under all kinds of fire at once, and then the service at full speed;
#                         debug: a kernel that checks itself, built once
#   make kernels [KERNELS='5.10 6.1-rt']
#                         the handlers' tests on every kernel of the lab, one after the other, and a table
#                         (build/kernels has each kernel's output); hours for all of them
#   make deb              Debian packages in build/deb, without network
#   make rpm              RPM packages in build/rpm, without network
#   make lab [CMD='...'] [KERNEL=6.12] [SHARE=folder]
#                         one command (or a shell) in a fresh guest

PY       := .venv/bin/python
export PYTHONPATH := packaging
C_FILES  = $(filter-out tests/golden/codegen/%,$(shell git ls-files 'runtime/*.c' 'runtime/*.h' 'tests/*.c' 'tests/*.h'))
export CMD

# a guest emulates on one thread and has 1 GiB
WORKERS ?= 4
FUZZ_SEED = $(or $(SEED),$(shell date +%Y%m%d))

.PHONY: man completion editors run test long fuzz torture kernels bench dev check format lab deb rpm golden clean

run: host
	@$(PY) -m lab.demo $(if $(FOR),--for $(FOR)) $(if $(KERNEL),--kernel $(KERNEL))

test: host table
	@$(PY) -m lab build --kernel $(or $(KERNEL),6.1)
	@$(MAKE) -s lint
	@$(PY) -m pytest -n auto --maxprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
		--durations 20 -m 'not long' tests

long: host table
	@$(PY) -m pytest -v -m long tests

fuzz: host table
	@echo 'SEED=$(FUZZ_SEED)'
	@FUZZ_PROGRAMS=$(or $(PROGRAMS),10000) FUZZ_LOCATIONS=100 FUZZ_SEED=$(FUZZ_SEED) $(PY) -m pytest -n auto --timeout 14400 \
		tests/language tests/compiler/frontend/test_parser_fuzz.py

torture: host table
	@echo 'SEED=$(FUZZ_SEED)'
	@$(PY) -m tests.torture --kernel $(or $(KERNEL),6.1) --for $(or $(FOR),10) --soak $(or $(SOAK),$(FOR),10) \
		--seed $(FUZZ_SEED)

kernels: host table
	@$(PY) -m tests.kernels $(KERNELS)

bench: host table
	@$(PY) -m tests.bench $(BENCH)

dev: python table

check: python table lint
	@FUZZ_PROGRAMS=40 $(PY) -m pytest -q -n auto --dist loadfile -m 'not lab and not host' tests

lint:
	@$(PY) packaging/check_commits.py
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check -q .
	@$(PY) -m mypy
	@.venv/bin/lint-imports >build/lint-imports.log 2>&1 || { cat build/lint-imports.log; exit 1; }
	@if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(C_FILES); \
	else echo 'clang-format is not installed: the C is not checked'; fi

format: python
	@$(PY) -m ruff check -q --fix . ; $(PY) -m ruff format -q .
	@clang-format -i $(C_FILES)

lab: host
	@$(PY) -m lab run --kernel $(or $(KERNEL),6.1) $(if $(SHARE),--share '$(SHARE)') \
		$(if $(CMD),--cmd "$$CMD")

# needs Debian's tools only: dpkg-dev debhelper dh-python python3-lark
deb:
	@packaging/build_deb.sh
	@ls build/deb/*.deb

# needs rpmbuild, and what the spec's BuildRequires name
rpm:
	@packaging/build_rpm.sh
	@ls build/rpm/*.rpm

golden: python
	@$(PY) -m tests.golden.test_golden --update

man: table
	@command -v scdoc >/dev/null || $(MAKE) -s host
	@$(PY) -m manual build/man

completion: table
	@$(PY) -m completion packaging/completion/made

editors: table
	@$(PY) -m editors build/editors

# the parser's tables, which an installed package carries
table: python
	@mkdir -p build
	@[ compiler/frontend/grammar.bin -nt compiler/frontend/grammar.lark ] || PYTHONPATH=. $(PY) -m compiler.frontend.parser --build-table

.PHONY: python host table lint
python:
	@packaging/setup.sh python
	@mkdir -p build

host:
	@packaging/setup.sh host
	@mkdir -p build

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache compiler/frontend/grammar.bin
