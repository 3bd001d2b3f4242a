"""The decisions, pure: no I/O, no clock, no randomness; whatever the moment brings is passed in.

Law: deciding a command twice on the same state gives the same outcome, movements, events and ids.
"""
