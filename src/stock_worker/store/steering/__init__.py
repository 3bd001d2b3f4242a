"""What people steer: locations, places of items, alert rules, settings, alerts. Law: nothing here moves stock.

Each function takes a connection that acts as `stock_worker` and runs one transaction; times are PostgreSQL's clock.
What cannot be done is a value (`refused`). Locks are taken in the order of batches: locations, then settings or items.
"""
