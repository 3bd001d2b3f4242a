#!/bin/sh
# Runs once, on an empty database server: the login that stock-worker connects with, and its database.
# It is an ordinary login. CREATEROLE and BYPASSRLS let `stock-worker migrate` make the role `stock_worker` by itself;
# without them `migrate` prints the SQL that a DBA has to run.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 --set password="$STOCK_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE stock LOGIN CREATEROLE BYPASSRLS PASSWORD :'password';
CREATE DATABASE stock OWNER stock;
SQL
