# Each target does all of its own set-up in .venv.
.PHONY: demo test lint bench

demo:
	sh scripts/demo.sh

test:
	sh scripts/test.sh

lint:
	sh scripts/setup.sh dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

bench:
	sh scripts/setup.sh bench
	.venv/bin/python -m bench
