"""What the contract promises, sentence by sentence, each with the tests that show it.

`promises.toml` is the table, `test_coverage.py` holds it to the tests that there are, and `python -m
tests.laws.coverage` holds it to the tests that passed and writes docs/coverage.md.
"""
