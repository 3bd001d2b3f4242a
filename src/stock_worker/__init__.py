"""stock-worker: the service a shop trusts with how many are left.

Law: every stock change is one immutable ledger row, applied once per reference, in one PostgreSQL transaction.
"""

__version__ = "0.1.0"
