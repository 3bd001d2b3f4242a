"""Bytes and core values. Law: whatever bytes arrive, what comes out is a value of `core`; nothing raises."""
