"""What PostgreSQL knows of the schema `stock`, as text that two databases can be compared by.

Not Alembic's view: since 1.19.2 that compares CHECKs by name only, and knows no grant, trigger or policy.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

OURS = "relnamespace = 'stock'::regnamespace AND relname NOT LIKE 'alembic\\_version%'"
ACL = """ARRAY(
        SELECT concat(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, ': ', privilege_type,
                      CASE WHEN is_grantable THEN ' with grant option' ELSE '' END)
        FROM aclexplode({0}) ORDER BY 1)"""

CATALOGS: Mapping[str, str] = {
    "schema": f"""
        SELECT nspname, pg_get_userbyid(nspowner), {ACL.format("nspacl")}, obj_description(oid)
        FROM pg_namespace WHERE nspname = 'stock'""",
    "relations": f"""
        SELECT relname, relkind, relpersistence, relreplident, relhastriggers, relhasrules, relispartition,
               pg_get_userbyid(relowner), reloptions, relrowsecurity, relforcerowsecurity, reltablespace::text,
               (SELECT amname FROM pg_am WHERE pg_am.oid = relam), relacl IS NULL, {ACL.format("relacl")},
               obj_description(pg_class.oid)
        FROM pg_class WHERE {OURS}""",
    "columns": f"""
        SELECT relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
               attstorage, attcompression, attcollation::regcollation::text, attisdropped, attstattarget, attoptions,
               pg_get_expr(adbin, adrelid), {ACL.format("attacl")}, col_description(attrelid, attnum)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {OURS} AND attnum > 0""",
    "sequences": f"""
        SELECT relname, seqtypid::regtype::text, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle,
               refobjid::regclass::text, refobjsubid, deptype
        FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
        LEFT JOIN pg_depend ON objid = seqrelid AND refclassid = 'pg_class'::regclass
        WHERE {OURS}""",
    "constraints": f"""
        SELECT relname, conname, contype, pg_get_constraintdef(pg_constraint.oid), convalidated, condeferrable,
               condeferred, connoinherit
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE {OURS}""",
    "indexes": f"""
        SELECT pg_get_indexdef(indexrelid), indisvalid, indisready, indisreplident, indisclustered
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE {OURS}""",
    "triggers": f"""
        SELECT relname, pg_get_triggerdef(pg_trigger.oid), tgenabled
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE {OURS} AND NOT tgisinternal""",
    "functions": f"""
        SELECT pg_get_functiondef(oid), pg_get_userbyid(proowner), proacl IS NULL, {ACL.format("proacl")}
        FROM pg_proc WHERE pronamespace = 'stock'::regnamespace""",
    "policies": f"""
        SELECT relname, polname, polcmd, polpermissive, polroles::regrole[]::text, pg_get_expr(polqual, polrelid),
               pg_get_expr(polwithcheck, polrelid)
        FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid WHERE {OURS}""",
    "types": """
        SELECT typname, typtype FROM pg_type
        WHERE typnamespace = 'stock'::regnamespace AND typname NOT LIKE '%alembic\\_version'""",
    "rules": f"""
        SELECT relname, pg_get_ruledef(pg_rewrite.oid) FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class
        WHERE {OURS}""",
    "statistics": """
        SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
        WHERE stxnamespace = 'stock'::regnamespace""",
    "default grants": f"""
        SELECT pg_get_userbyid(defaclrole), defaclobjtype, {ACL.format("defaclacl")} FROM pg_default_acl
        WHERE defaclnamespace = 'stock'::regnamespace""",
}


async def rows_of(connection: "asyncpg.Connection", catalog: str) -> set[str]:
    """Return what one catalog says of the schema, a line a row."""
    return {" | ".join(str(value) for value in row) for row in await connection.fetch(CATALOGS[catalog])}
