"""Judges of what is stored. Law: no code is shared with the deciding core, so that no error is."""
