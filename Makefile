# make scene_attention installs what is missing and renders videos/scene_attention.mp4.
# ARGS passes options on: make scene_attention ARGS="--quality draft"

# Which Python builds the environment (default: the python3 on the PATH).
export PYTHON

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
RENDER_READY := $(VENV)/.ready-render
DOCS_READY := $(VENV)/.ready-docs
TESTS_READY := $(VENV)/.ready-tests

# Two processes fit a small machine: each may hold torch and a model.
TEST_PROCESSES ?= 2

.PHONY: help setup test test-slow test-all lint trace constraints messages coverage bench readme docs publish clean always

help:
	@echo "make scene_NAME   render a scene to videos/ (see: python render.py --list)"
	@echo "make setup        build the environment in $(VENV)"
	@echo "make test         install what the tests need and run them (8 minutes)"
	@echo "make test-all     run the slow tests too"
	@echo "make coverage     say which lines of extract no test runs; fails under 93 %"
	@echo "make lint         check style and types"
	@echo "make trace        make the traces that come with the project again"
	@echo "make constraints  write the versions installed here to filmkit/constraints.txt"
	@echo "make messages     bring the catalogues of other languages up to date with the code"
	@echo "make bench        measure edits, films, frames and the page to explore (ARGS=--help)"
	@echo "make readme       draw the pictures of the README again"
	@echo "make docs         build the website: films, gallery, documentation (a quarter of an hour at first)"
	@echo "make publish      build it, and push it to the branch gh-pages (SITE=https://its.address/)"
	@echo "make clean        remove the environment and caches; videos stay"

setup: $(RENDER_READY)

$(RENDER_READY): pyproject.toml scripts/setup.sh
	scripts/setup.sh render
	@touch $@

$(DOCS_READY): pyproject.toml scripts/setup.sh
	scripts/setup.sh docs
	@touch $(RENDER_READY) $@

$(TESTS_READY): pyproject.toml scripts/setup.sh
	scripts/setup.sh tests
	@touch $(RENDER_READY) $(DOCS_READY) $@

scene_%: always $(RENDER_READY)
	$(VENV_PYTHON) render.py $@ $(ARGS)

# Tests start hundreds of processes, which would each compile the project where Python is told to
# write no bytecode.
COMPILED := $(VENV_PYTHON) -m compileall -q extract filmkit scenes

test: $(TESTS_READY)
	$(COMPILED)
	$(VENV_PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "not slow" $(ARGS)

# Apart from `make test`, which it would make slower. 94 % of the lines of extract when it was written.
coverage: $(TESTS_READY)
	$(VENV_PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "not slow" tests/extract \
		--cov=extract --cov-report=term-missing:skip-covered --cov-fail-under=93 $(ARGS)

# In the order of tests/conftest.py: the longest tests stand alone in their files, and would come
# last otherwise.
test-slow: $(TESTS_READY)
	$(COMPILED)
	$(VENV_PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder -m slow \
		$(ARGS)

test-all: test test-slow

lint: $(TESTS_READY)
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m mypy
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(VENV_PYTHON) -m scripts.check_pages

trace: $(TESTS_READY)
	$(VENV_PYTHON) -m extract --model smollm2-packaged --no-conversion \
		--out assets/traces/smollm2-135m.safetensors
	$(VENV_PYTHON) -m extract convert --heal 3 --out assets/traces/smollm2-135m.safetensors
	$(VENV_PYTHON) -m extract published

constraints: $(RENDER_READY)
	$(VENV_PYTHON) scripts/constraints.py

messages: $(RENDER_READY)
	$(VENV_PYTHON) -m filmkit.tools.messages $(ARGS)

bench: $(TESTS_READY)
	$(VENV_PYTHON) -m tests.speed $(ARGS)

readme: $(TESTS_READY)
	$(VENV_PYTHON) -m tests.readme_pictures

# Where the website will be, which networks that show a link to it have to know.
export SITE

# All of it anew, so that nothing is left of what there was; films come from the cache.
docs: $(DOCS_READY)
	rm -rf build/doctrees docs/_build docs/files docs/scenes
	$(VENV_PYTHON) -m docs.draw_site $(ARGS)
	$(VENV_PYTHON) -m docs.draw_reference docs/reference
	$(VENV_PYTHON) -m docs.draw_recipes docs/recipes.md docs/pictures
	$(VENV_PYTHON) -m docs.draw_recipes docs/room.md docs/pictures
	$(VENV_PYTHON) -m sphinx -q -W --keep-going -d build/doctrees -b html docs docs/_build
	@echo docs/_build/index.html

publish:
	@test -n "$(SITE)" || { echo "say where it will be: make publish SITE=https://its.address/" >&2; exit 2; }
	$(MAKE) docs
	$(VENV)/bin/ghp-import --no-jekyll --push docs/_build

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
