# Everything runs in .venv, which the first target makes. PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
ADVISORIES ?= pypi

.PHONY: quickstart test test-all check fmt models bench docs gallery sbom audit-deps clean

quickstart: .venv/.usable  ## The main job on the phantom: install, generate with the models that ship, evaluate.
	$(BIN)/echosyn quickstart quickstart

test: .venv/.installed  ## The default tests (minutes).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test-all: .venv/.installed  ## All tests, the slow ones too.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m ""

check: .venv/.installed  ## Format, lint, types, import contract, generated docs.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

fmt: .venv/.installed  ## Format and sort imports; regenerate docs.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python docs/generate.py

models: .venv/.installed  ## Make the models that ship anew, in build/models/packed (hours; goes on where it stopped).
	OMP_NUM_THREADS=1 $(BIN)/python docs/recipes/models.py build/models
	OMP_NUM_THREADS=1 $(BIN)/python docs/recipes/references.py build/models/packed --stills build/models

SIZE ?= small
RESULTS ?= build/bench
bench: .venv/.installed  ## Every benchmark at its smallest, in build/bench; docs/benchmarks.md says how its figures are made.
	$(BIN)/python benchmarks/run_all.py --size $(SIZE) --out $(RESULTS) $(NAMES)
	$(BIN)/python docs/comparison.py $(RESULTS) > build/benchmarks.md

docs: .venv/.installed  ## The docs site, in build/site; to search it: python -m http.server -d build/site.
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/mkdocs build --strict

gallery: .venv/.usable  ## The videos of docs/gallery.md anew.
	OMP_NUM_THREADS=1 $(BIN)/python docs/pictures/gallery.py docs/gallery

sbom: .venv/.usable  ## What an installation consists of, as CycloneDX, in build/sbom.json.
	$(BIN)/pip install --quiet --disable-pip-version-check cyclonedx-bom
	mkdir -p build && $(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-file build/sbom.json .venv
	$(BIN)/python -c "import echosyn, json, pathlib; file = pathlib.Path('build/sbom.json'); found = json.loads(file.read_text()); \
	  found['metadata']['component']['version'] = echosyn.__version__; file.write_text(json.dumps(found, indent=2))"

audit-deps: .venv/.usable  ## Known weaknesses of what an installation consists of; asks pypi.org, or osv.dev with ADVISORIES=osv.
	mkdir -p build && $(BIN)/pip freeze --exclude-editable | sed 's/+.*//' > build/installed.txt
	$(BIN)/pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip --vulnerability-service $(ADVISORIES) --requirement build/installed.txt \
	  || { echo "audit-deps: not passed. A weakness is listed above, or no advisory database was reached."; exit 1; }

.venv/.usable: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[eval]'
	touch $@

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
