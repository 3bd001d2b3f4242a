"""A site's items in memory, so that lists, sums and alerts of all of them answer in milliseconds.

Law: an answer is that of the request's own snapshot. What is held is brought up to it before it is asked, and is
dropped where that fails. The database stays the only source: what is shown of an item is read from there.
"""
