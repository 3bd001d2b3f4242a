"""Who asks. Law: a token counts only if this service's key signed it, in the one way we expect, for us, and in time.

A shared key means HS256 and nothing else; a key set means the algorithms of its keys and never a shared one, so that a
public key cannot be taken for a secret. `none` is no algorithm. Source: contract section 7, who may.
"""

import asyncio
import contextlib
import json
import logging
import re
import time
import urllib.request
import warnings
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from stock_worker.http.problems import Problem
from stock_worker.log import one_line, say
from stock_worker.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

SHARED: Final = "HS256"
KEY_MIN_BYTES: Final = 32
"""Of a shared key, RFC 7518 section 3.2: as many as the hash has."""
# The library says it of each token, in a voice of its own; it is said once, at start.
warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)

_PUBLIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_REQUIRED: Final = ("exp", "sub", "role")
_LEEWAY_S: Final = 30
"""How far the clocks of who signs and who reads may be apart."""
_SITES_MAX: Final = 10_000
_NAME_MAX: Final = 2_000
_UNFIT: Final = re.compile("[\0\ud800-\udfff]")
"""What no text here may have (contract section 1); the name is booked as the actor."""

_KEYS_LAST_S: Final = 300.0
_ASK_AGAIN_S: Final = 10.0
"""A key id that nobody knows has the key set read again, but not more often: anybody can make one up."""
_KEYS_TIMEOUT_S: Final = 5.0
_NEVER: Final = float("-inf")


class Role(StrEnum):
    """What somebody may do: read, write own sites, or everything."""

    VIEWER = "viewer"
    ORG_ADMIN = "org_admin"
    PLATFORM_ADMIN = "platform_admin"


class Principal(NamedTuple):
    """Who asks, as the token says. `sites` are canonical ids; a platform_admin needs none."""

    subject: str
    name: str
    role: Role
    sites: frozenset[str]

    @property
    def actor_id(self) -> str | None:
        """The subject where it is a UUID."""
        return _uuid(self.subject)


class Keys(Protocol):
    """Where the key of a token is."""

    algorithms: tuple[str, ...]

    async def key_of(self, token: str) -> Any:  # noqa: ANN401 - a key, of whatever kind the library takes
        """Give the key that must have signed this token. Raises jwt.InvalidTokenError."""


class SharedKey:
    """One secret, known to who signs and who reads."""

    algorithms: tuple[str, ...] = (SHARED,)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def key_of(self, token: str) -> str:
        """Give the secret, whatever the token says of its key."""
        del token
        return self._secret


class KeySet:
    """The public keys behind a URL (JWKS), read again when they are old and when a token names one that is new."""

    algorithms: tuple[str, ...] = _PUBLIC

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._fetch, self._clock = url, fetch or _fetch, clock
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._read_at = self._asked_at = _NEVER
        self._reading = asyncio.Lock()

    async def key_of(self, token: str) -> jwt.PyJWK:
        """Give the key that the token names; the only one there is where it names none."""
        key_id = jwt.get_unverified_header(token).get("kid")
        if self._clock() - self._read_at > _KEYS_LAST_S or self._found(key_id) is None:
            await self._read()
        if (key := self._found(key_id)) is None:
            raise jwt.InvalidKeyError("no key of that id")
        return key

    def _found(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _read(self) -> None:
        """Read the key set; what was known stays where that fails."""
        async with self._reading:
            if self._clock() - self._asked_at >= _ASK_AGAIN_S:
                self._asked_at = self._clock()
                try:
                    self._keys = _public_keys(await self._fetch(self._url))
                except (OSError, ValueError, RecursionError) as error:
                    say(logger, logging.WARNING, "the keys of STOCK_JWKS_URL cannot be read", error=one_line(error))
                else:
                    self._read_at = self._clock()
            if self._read_at == _NEVER:
                raise Problem("unavailable", "the keys of tokens cannot be read; try again")


class Verifier:
    """Reads tokens. `audience` and `issuer` are checked where they are set."""

    def __init__(self, keys: Keys, *, audience: str | None = None, issuer: str | None = None) -> None:
        self._keys, self._audience, self._issuer = keys, audience, issuer

    @classmethod
    def of(cls, settings: Settings) -> "Verifier":
        """Make the one that the settings ask for. Raises SettingsError where they name no key."""
        keys: Keys
        if settings.jwt_key is not None:
            keys = SharedKey(settings.jwt_key.get_secret_value())
        elif settings.jwks_url is not None:
            keys = KeySet(settings.jwks_url)
        else:
            raise SettingsError(
                "STOCK_JWT_KEY or STOCK_JWKS_URL is not set; set the one that the API's tokens come with"
            )
        return cls(keys, audience=settings.jwt_audience, issuer=settings.jwt_issuer)

    async def principal(self, token: str) -> Principal:
        """Say who holds this token. Raises Problem: unauthenticated, and what is wrong with it."""
        try:
            claims = jwt.decode(
                token,
                await self._keys.key_of(token),
                algorithms=list(self._keys.algorithms),
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": list(_REQUIRED), "verify_aud": self._audience is not None},
            )
        except (jwt.InvalidTokenError, jwt.InvalidKeyError) as error:
            raise unauthenticated(f"the token is not valid: {error}") from None
        return _principal(claims)


def expires_at(token: str) -> float:
    """Say when a token that was verified ends, in seconds of the epoch."""
    return float(jwt.decode(token, options={"verify_signature": False})["exp"])


def signed(settings: Settings, holder: Principal, now: datetime, ends: datetime) -> str:
    """Make a token that says of its holder what `Verifier` reads, for development. The settings have a shared key."""
    assert settings.jwt_key is not None, "a key set has no key to sign with"
    claims = {
        "sub": holder.subject,
        "name": holder.name,
        "role": holder.role.value,
        "sites": sorted(holder.sites),
        "iat": now,
        "exp": ends,
        "aud": settings.jwt_audience,
        "iss": settings.jwt_issuer,
    }
    told = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(told, settings.jwt_key.get_secret_value(), SHARED)


def tell_of_a_short_key(settings: Settings) -> None:
    """Warn of a shared key that is easier to guess than the signature is to forge."""
    if settings.jwt_key is None or len(settings.jwt_key.get_secret_value().encode()) >= KEY_MIN_BYTES:
        return
    say(logger, logging.WARNING, f"STOCK_JWT_KEY is short; give it {KEY_MIN_BYTES} bytes or more (RFC 7518)")


def unauthenticated(detail: str) -> Problem:
    """Say that nobody is known to ask, and how to be."""
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="stock-worker"'})


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject, name, sites = claims["sub"], claims.get("name"), claims.get("sites", [])
    try:
        role = Role(claims["role"])
    except ValueError:
        raise unauthenticated(f"the token's role must be one of: {', '.join(Role)}") from None
    if not isinstance(sites, list) or len(sites) > _SITES_MAX:
        raise unauthenticated("the token's sites must be a list of ids")
    known = [_uuid(site) for site in sites]
    if None in known:
        raise unauthenticated("the token's sites must be UUIDs")
    called = name if isinstance(name, str) and name.strip() else subject
    if not subject or _UNFIT.search(subject + called):
        raise unauthenticated("the token's sub and name must be text without NUL and lone surrogates")
    return Principal(subject, called[:_NAME_MAX], role, frozenset(site for site in known if site))


def _uuid(text: object) -> str | None:
    try:
        return str(UUID(text)) if isinstance(text, str) else None
    except ValueError:
        return None


def _public_keys(document: bytes) -> dict[str | None, jwt.PyJWK]:
    """Read a key set; what is for something else, or of a kind that nobody here knows, is no key. Raises ValueError."""
    read = json.loads(document)
    if not isinstance(read, dict) or not isinstance(read.get("keys"), list):
        raise ValueError("this is no key set")  # noqa: TRY004 - what cannot be read is one thing to whoever asked
    keys = {}
    for each in read["keys"]:
        with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, AttributeError):
            key = jwt.PyJWK(each)
            if key.algorithm_name in _PUBLIC and key.public_key_use in {None, "sig"}:
                keys[key.key_id] = key
    return keys


async def _fetch(url: str) -> bytes:
    def read() -> bytes:
        with urllib.request.urlopen(url, timeout=_KEYS_TIMEOUT_S) as answer:  # noqa: S310 - the operator's own URL
            body: bytes = answer.read()
        return body

    return await asyncio.to_thread(read)
