"""Rows in PostgreSQL: tables, named statements, load and save. Law: no decision is taken here."""
