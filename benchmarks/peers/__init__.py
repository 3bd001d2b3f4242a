"""The same work in the ways it is usually done: same messages in, same rows, same events out."""
