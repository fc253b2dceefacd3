# Everything this repository can do, from Python 3.12 and make alone: `make` lists the targets.
#
# Knows how to find Python, fill .venv and start the tools; what is analysed and how is the package's business.
# Paths in rules are relative because make cannot handle blanks in names; the checkout itself may lie anywhere.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: help fit dashboard test test-all check bench clean unusable

VENV_PYTHON := .venv/bin/python
INSTALL := $(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --no-input --retries 8 -c constraints.txt
OPEN := $(if $(filter Darwin,$(shell uname)),open,xdg-open)
PYTEST := $(VENV_PYTHON) -m pytest -q --durations=10

# --- environment of every recipe ---------------------------------------------------------------------------------------
# Another active environment, or settings meant for another Python, must not leak into .venv.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS __PYVENV_LAUNCHER__
unexport PYTHONDONTWRITEBYTECODE PYTHONOPTIMIZE
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT PIP_NO_DEPS PIP_DRY_RUN
export PIP_USER := 0
export PYTHONNOUSERSITE := 1
export PYTHON POSTS

# Compiled models and fonts are kept inside the checkout. PyTensor splits its flags at commas unless they are quoted.
comma := ,
quoted_folder := "$(subst ",\",$(subst \,\\,$(CURDIR)))/.cache/pytensor"
export PYTENSOR_FLAGS := base_compiledir=$(quoted_folder)$(if $(PYTENSOR_FLAGS),$(comma)$(PYTENSOR_FLAGS))
export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba
export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib

# One thread for each test worker: two workers with all cores each are slower than one.
test test-all: export OMP_NUM_THREADS := 1
test test-all: export OPENBLAS_NUM_THREADS := 1
test test-all: export MKL_NUM_THREADS := 1
test test-all: export NUMBA_NUM_THREADS := 1

# --- targets -----------------------------------------------------------------------------------------------------------
help: ## list these targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

# The tool ends with code 4 when its own checks withhold every conclusion: an answer, so make does not fail on it.
fit: .venv/.installed ## fit the bundled sample, or POSTS=path; further options of the tool in ARGS="..."
	@mkdir -p .cache
	@[ -n "$$(ls -A .cache/numba 2>/dev/null)" ] || \
	  echo "First fit here: compiling takes up to a minute. Later fits start in seconds."
	@touch .cache/fit-started; code=0; \
	$(VENV_PYTHON) -m influbayes.fit $${POSTS:+"$$POSTS"} $(ARGS) || code=$$?; \
	find runs -name report.html -newer .cache/fit-started 2>/dev/null | while IFS= read -r report; do \
	  echo "Report: $$report"; \
	  echo "To open it: $(OPEN) \"$$report\"   (or drag the file into a browser)"; \
	done; \
	case $$code in \
	  0) ;; \
	  1) echo "make fit: a defect of the tool, not of your data (exit code 1). Its message is above." ;; \
	  2) echo "make fit: the tool does not understand an option in ARGS or POSTS (exit code 2). Its message is above." ;; \
	  3) echo "make fit: the data or the specification was refused (exit code 3). What to mend is said above." ;; \
	  4) echo "make fit: finished; the tool withheld its conclusions (exit code 4). Why is said above."; code=0 ;; \
	  5) echo "make fit: the results could not be written (exit code 5). Its message is above." ;; \
	  130) echo "make fit: interrupted; nothing was written (exit code 130)." ;; \
	  *) echo "make fit: the tool ended unexpectedly (exit code $$code)." ;; \
	esac; exit $$code

dashboard: .venv/.installed ## look at the runs in runs/ in a browser; where there is none, at the samples
	@$(VENV_PYTHON) -m influbayes.dashboard $(ARGS)

test: .venv/.installed ## the ordinary tests, in minutes
	@code=0; $(PYTEST) -n 2 --dist loadgroup -m "not slow" || code=1; \
	if [ $$code = 0 ]; then echo "make test: all passed"; else echo "make test: FAILED, see above"; fi; exit $$code

test-all: .venv/.installed ## every test, the long ones too
	@code=0; $(PYTEST) -n 2 --dist loadgroup || code=1; \
	if [ $$code = 0 ]; then echo "make test-all: all passed"; else echo "make test-all: FAILED, see above"; fi; exit $$code

check: .venv/.installed ## format, lint, types, import contracts
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy
	$(VENV_PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

# R and its packages are the machine's: what is missing is named and left out.
bench: .venv/.bench ## the speed comparisons, in minutes; ARGS="--full" for a million posts and an hour or two
	$(VENV_PYTHON) benchmarks/speed.py $(ARGS)
	$(VENV_PYTHON) benchmarks/attribution_speed.py

clean: ## remove .venv, caches and build products; runs/ stays
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist src/*.egg-info
	find . -path ./runs -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# --- .venv -------------------------------------------------------------------------------------------------------------
# A stamp is removed before a step and written after it, so that it stands only beside a whole .venv. It holds the path of
# the checkout: an editable install points there, and a copied or moved checkout would run the code of the old place.
# `unusable` is a prerequisite only when .venv must be made anew; a changed pyproject.toml alone installs into the old one.
unusable := $(shell \
	[ "$$(cat .venv/.installed 2>/dev/null)" = "$$(pwd -P)" ] && $(VENV_PYTHON) -I -c 'import pip' >/dev/null 2>&1 || echo unusable)

.venv/.installed: pyproject.toml constraints.txt $(unusable)
	@if [ -n "$(unusable)" ]; then $(make_venv); fi
	@rm -f .venv/.installed
	@echo "Installing the packages of constraints.txt into .venv: a few minutes the first time."
	@$(INSTALL) -e ".[test]" || { echo "make: the installation failed, see above. Run make again: it starts afresh."; exit 1; }
	@pwd -P > .venv/.installed

.venv/.bench: .venv/.installed
	@rm -f .venv/.bench
	@$(INSTALL) -e ".[test,bench]"
	@touch .venv/.bench

# Prints the version; ends well only for a Python that can make .venv. Written so that Python 2 can run it as well.
define PROBE
import sys
sys.stdout.write("%d.%d.%d" % sys.version_info[:3])
if sys.version_info < (3, 12):
    sys.exit(1)
try:
    import ensurepip, venv
except ImportError:
    sys.stdout.write(" without venv or ensurepip")
    sys.exit(1)
endef
export PROBE

# A command that exists may still fail (pyenv's shims do, where no such version is installed): only running it tells.
make_venv = \
	chosen=; found=; \
	for python in "$$PYTHON" python3.12 python3 python; do \
	  [ -n "$$python" ] || continue; \
	  if ! command -v "$$python" >/dev/null 2>&1; then state="not there"; \
	  elif state=$$("$$python" -c "$$PROBE" 2>/dev/null); then chosen=$$python; break; \
	  else state=$${state:-does not run}; fi; \
	  found="$$found$${found:+, }$$python: $$state"; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "make: needs Python 3.12 or newer with venv and ensurepip (say which with PYTHON=/path/to/python). Found: $$found." >&2; \
	  exit 1; \
	fi; \
	echo "Making .venv with $$chosen ($$state)."; \
	rm -rf .venv && "$$chosen" -m venv .venv || exit 1
