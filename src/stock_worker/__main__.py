"""`python -m stock_worker` is `stock-worker`."""

from stock_worker.cli import main

main()
