"""What is asked of the books. Law: one snapshot a question, plain values out, and each statement names its site.

A function takes a connection that is in a transaction, as `stock_api` (row level security then says the site again) or
as the worker. Rows are mappings with the contract's names; money is Decimal, ids are text. Source: contract sections 2
and 7; the statements are in `queries/`.
"""
