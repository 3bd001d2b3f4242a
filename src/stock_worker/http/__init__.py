"""The API. Law: it reads as `stock_api`, writes through `handle_batch` alone, and answers errors as problem details.

Who asks is known before anything is read: the token says which sites, PostgreSQL's row level security says it again.
Everything that changes stock is the same command that Kafka brings, gathered with those of other requests.
Source: contract section 7.
"""
