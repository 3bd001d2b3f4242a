"""Contract section 7, who may: which tokens count, and that no other does."""

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from stock_worker.http.problems import Problem
from stock_worker.http.tokens import KeySet, Principal, Role, SharedKey, Verifier, tell_of_a_short_key
from stock_worker.settings import Settings, SettingsError
from tests.flow.running import settings_for
from tests.http.running import DAY_S, KEY, SITE, USER

NOW: Final = int(time.time())
CLAIMS: Final[dict[str, Any]] = {
    "sub": USER,
    "name": "Ada",
    "role": "org_admin",
    "sites": [SITE],
    "exp": NOW + DAY_S,
    "aud": "stock",
    "iss": "https://issuer.test",
}
RSA: Final = [rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(3)]
CURVE: Final = ec.generate_private_key(ec.SECP256R1())


def claims(**changed: object) -> dict[str, Any]:
    """The claims of a good token with some of them changed; None leaves one out."""
    return {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}


def by_hand(header: object, payload: object, signature: bytes = b"", *, raw_header: bytes | None = None) -> str:
    """A token that the library would not make."""
    said = raw_header if raw_header is not None else json.dumps(header).encode()
    parts = (said, json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def pem(number: int) -> bytes:
    """A public key, as it is published."""
    return (
        RSA[number]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def hs256(payload: object, secret: bytes) -> str:
    """Sign with a secret that the library refuses to take for one."""
    import hashlib  # noqa: PLC0415 - only here
    import hmac  # noqa: PLC0415 - only here

    signed = by_hand({"alg": "HS256", "typ": "JWT", "kid": "k0"}, payload).rpartition(".")[0]
    mac = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return signed + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def shared(**changed: object) -> str:
    """A token signed with the shared key."""
    return jwt.encode(claims(**changed), KEY, "HS256")


def verifier() -> Verifier:
    """Who reads tokens of the shared key, with an audience and an issuer."""
    return Verifier(SharedKey(KEY), audience="stock", issuer="https://issuer.test")


# ---------------------------------------------------------------- a shared key


async def test_a_good_token_says_who_asks() -> None:
    assert await verifier().principal(shared()) == Principal(USER, "Ada", Role.ORG_ADMIN, frozenset([SITE]))


async def test_what_a_token_leaves_out() -> None:
    said = await verifier().principal(shared(sub="ci", name=None, sites=None, role="platform_admin"))
    assert (said.name, said.actor_id, said.sites) == ("ci", None, frozenset())


async def test_without_an_audience_and_an_issuer_set_they_are_not_asked_for() -> None:
    assert await Verifier(SharedKey(KEY)).principal(shared(aud="others", iss="others"))
    assert await Verifier(SharedKey(KEY)).principal(shared(aud=None, iss=None))


async def test_clocks_may_be_half_a_minute_apart() -> None:
    assert await verifier().principal(shared(exp=int(time.time()) - 20))
    assert await verifier().principal(shared(nbf=int(time.time()) + 20))


def _of_nobodys_algorithm() -> str:
    return by_hand({"alg": "none", "typ": "JWT"}, CLAIMS)


REFUSED: Final = {
    "expired": (shared(exp=NOW - 60), "expired"),
    "without exp": (shared(exp=None), "exp"),
    "exp no time": (shared(exp="tomorrow"), "Expiration"),
    "exp beyond all times": (hs256({**CLAIMS, "exp": float("inf")}, KEY.encode()), "must be an integer"),
    "not yet valid": (shared(nbf=NOW + DAY_S), "not yet valid"),
    "issued in the future": (shared(iat=NOW + DAY_S), "not yet valid"),
    "another audience": (shared(aud="others"), "Audience"),
    "no audience": (shared(aud=None), "aud"),
    "another issuer": (shared(iss="https://others.test"), "issuer"),
    "no issuer": (shared(iss=None), "iss"),
    "none": (_of_nobodys_algorithm(), "alg"),
    "None": (by_hand({"alg": "None", "typ": "JWT"}, CLAIMS), "alg"),
    "none with our signature": (
        by_hand({"alg": "none"}, CLAIMS, base64.urlsafe_b64decode(shared().rpartition(".")[2] + "==")),
        "alg",
    ),
    "another secret": (jwt.encode(CLAIMS, KEY[::-1], "HS256"), "Signature"),
    "an empty secret": (hs256(CLAIMS, b""), "Signature"),
    "HS512 of our secret": (jwt.encode(CLAIMS, KEY * 2, "HS512"), "alg"),
    "RS256 where a shared key is set": (jwt.encode(CLAIMS, RSA[0], "RS256"), "alg"),
    "changed after signing": (
        ".".join([by_hand({}, claims(role="platform_admin")).split(".")[1] if n == 1 else part
                  for n, part in enumerate(shared().split("."))]),
        "Signature",
    ),
    "without sub": (shared(sub=None), "sub"),
    "an empty sub": (shared(sub=""), "sub"),
    "sub no text": (hs256({**CLAIMS, "sub": 7}, KEY.encode()), "Subject"),
    "without a role": (shared(role=None), "role"),
    "an unknown role": (shared(role="root"), "role must be one of"),
    "role a list": (shared(role=["viewer"]), "role must be one of"),
    "role an object": (shared(role={"viewer": True}), "role must be one of"),
    "sites no list": (shared(sites=SITE), "sites must be a list"),
    "sites an object": (shared(sites={SITE: True}), "sites must be a list"),
    "a site that is none": (shared(sites=[SITE, "*"]), "sites must be UUIDs"),
    "a site that is no text": (shared(sites=[None]), "sites must be UUIDs"),
    "too many sites": (hs256({**CLAIMS, "sites": [SITE] * 10_001}, KEY.encode()), "sites must be a list"),
    "NUL in the name": (shared(name="A\0da"), "NUL"),
    "a lone surrogate in the name": (hs256({**CLAIMS, "name": "A\ud800"}, KEY.encode()), "NUL"),
    "claims no object": (hs256([1], KEY.encode()), "payload"),
    "empty": ("", "segments"),
    "one word": ("nonsense", "segments"),
    "two parts": (shared().rpartition(".")[0], "segments"),
    "no base64": ("ä.ö.ü", ""),
    "a header nested deep": (by_hand(None, CLAIMS, raw_header=b"[" * 30_000), "recursion"),
    "a header that is no object": (by_hand([], CLAIMS), "header"),
    "a kid that is no text": (by_hand({"alg": "HS256", "kid": 7}, CLAIMS), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_every_other_token_is_refused(name: str) -> None:
    token, words = REFUSED[name]
    problem = await _refused(verifier(), token)
    assert words.lower() in problem.detail.lower(), problem.detail
    assert problem.headers is not None
    assert problem.headers["WWW-Authenticate"].startswith("Bearer")


async def _refused(of: Verifier, token: str) -> Problem:
    with pytest.raises(Problem) as caught:
        await of.principal(token)
    assert (caught.value.code, caught.value.status) == ("unauthenticated", 401)
    assert KEY not in caught.value.detail
    return caught.value


# ---------------------------------------------------------------- a key set


@dataclass
class Issuer:
    """A little server that publishes a key set, and counts how often it is asked."""

    url: str = ""
    document: bytes = b'{"keys": []}'
    status: int = 200
    asked: int = 0
    now: float = field(default=1_000.0)

    def publish(self, *numbers: int, more: tuple[dict[str, Any], ...] = ()) -> None:
        """Publish these keys and no others."""
        keys = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA[number].public_key()))
            | {"kid": f"k{number}", "use": "sig"}
            for number in numbers
        ]
        self.document = json.dumps({"keys": [*keys, *more]}).encode()

    def verifier(self) -> Verifier:
        """Who reads its tokens; `now` is the time that it goes by."""
        return Verifier(KeySet(self.url, clock=lambda: self.now), audience="stock", issuer="https://issuer.test")

    def sign(self, number: int, kid: str | None = "", **changed: object) -> str:
        """A token of one of its keys, under the key's own id unless another is given."""
        named = f"k{number}" if kid == "" else kid
        return jwt.encode(claims(**changed), RSA[number], "RS256", headers={"kid": named} if named else None)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real server on a port of its own."""
    one = Issuer()
    with _serving(one):
        one.publish(0)
        yield one


@contextmanager
def _serving(one: Issuer) -> Iterator[None]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one.asked += 1
            self.send_response(one.status)
            self.end_headers()
            self.wfile.write(one.document)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    one.url = f"http://127.0.0.1:{server.server_port}/jwks"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # the end is looked for so often
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_token_of_a_published_key_counts_and_the_set_is_read_once(issuer: Issuer) -> None:
    of = issuer.verifier()
    for _ in range(5):
        assert (await of.principal(issuer.sign(0))).name == "Ada"
    assert issuer.asked == 1


async def test_a_new_key_is_taken_up_when_a_token_names_it(issuer: Issuer) -> None:
    of = issuer.verifier()
    await of.principal(issuer.sign(0))
    issuer.publish(0, 1)
    issuer.now += 11
    assert await of.principal(issuer.sign(1))
    assert await of.principal(issuer.sign(0))
    assert issuer.asked == 2


async def test_a_key_that_vanished_counts_no_more_after_its_time(issuer: Issuer) -> None:
    of = issuer.verifier()
    await of.principal(issuer.sign(0))
    issuer.publish(1)
    issuer.now += 299
    assert await of.principal(issuer.sign(0))
    issuer.now += 2
    await _refused(of, issuer.sign(0))
    assert await of.principal(issuer.sign(1))


async def test_a_set_that_was_emptied_leaves_no_key(issuer: Issuer) -> None:
    of = issuer.verifier()
    await of.principal(issuer.sign(0))
    issuer.publish()
    issuer.now += 301
    await _refused(of, issuer.sign(0))


async def test_a_key_id_that_somebody_made_up_does_not_have_us_ask_each_time(issuer: Issuer) -> None:
    of = issuer.verifier()
    await of.principal(issuer.sign(0))
    issuer.now += 11
    for number in range(20):
        await _refused(of, issuer.sign(0, kid=f"made up {number}"))
    assert issuer.asked == 2


async def test_without_a_key_id_the_only_key_counts_and_of_several_none(issuer: Issuer) -> None:
    assert await issuer.verifier().principal(issuer.sign(0, kid=None))
    issuer.publish(0, 1)
    await _refused(issuer.verifier(), issuer.sign(0, kid=None))


async def test_while_the_issuer_is_away_what_is_known_counts(issuer: Issuer) -> None:
    of = issuer.verifier()
    await of.principal(issuer.sign(0))
    issuer.status, issuer.document = 500, b"oops"
    issuer.now += 1_000
    assert await of.principal(issuer.sign(0))


@pytest.mark.parametrize("document", [b"oops", b"[]", b'{"keys": 7}', b"[" * 50_000])
async def test_without_any_key_known_it_is_the_servers_fault_and_not_the_askers(
    issuer: Issuer, document: bytes
) -> None:
    issuer.document = document
    of = issuer.verifier()
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            await of.principal(issuer.sign(0))
        assert caught.value.code == "unavailable"
    assert issuer.asked == 1


async def test_keys_of_other_kinds_and_for_other_ends_are_none_and_hold_nobody_up(issuer: Issuer) -> None:
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(KEY.encode()).decode(), "kid": "shared", "alg": "HS256"}
    for_encryption = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA[1].public_key())) | {"kid": "k1", "use": "enc"}
    issuer.publish(0, more=(secret, for_encryption, {"kty": "later"}, {}))
    of = issuer.verifier()
    assert await of.principal(issuer.sign(0))
    await _refused(of, jwt.encode(CLAIMS, KEY, "HS256", headers={"kid": "shared"}))
    await _refused(of, issuer.sign(1))


async def test_a_key_of_a_curve_counts(issuer: Issuer) -> None:
    published = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key())) | {"kid": "curve"}
    issuer.publish(0, more=(published,))
    assert await issuer.verifier().principal(jwt.encode(CLAIMS, CURVE, "ES256", headers={"kid": "curve"}))


async def test_a_public_key_is_no_secret(issuer: Issuer) -> None:
    of = issuer.verifier()
    published = issuer.document
    for secret in (pem(0), pem(0).strip(), published, json.dumps(json.loads(published)["keys"][0]).encode()):
        await _refused(of, hs256(CLAIMS, secret))


@pytest.mark.parametrize(
    "name", ["expired", "not yet valid", "another audience", "another issuer", "none", "an unknown role"]
)
async def test_a_key_set_refuses_what_a_shared_key_refuses(issuer: Issuer, name: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "expired": {"exp": NOW - 60},
        "not yet valid": {"nbf": NOW + DAY_S},
        "another audience": {"aud": "others"},
        "another issuer": {"iss": "others"},
        "an unknown role": {"role": "root"},
    }
    token = _of_nobodys_algorithm() if name == "none" else issuer.sign(0, **changes[name])
    await _refused(issuer.verifier(), token)


# ---------------------------------------------------------------- settings


def _settings(**more: object) -> Settings:
    return settings_for("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "", **more)


def test_settings_without_any_key_are_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="STOCK_JWT_KEY or STOCK_JWKS_URL"):
        Verifier.of(_settings())


@pytest.mark.parametrize(("length", "warnings"), [(31, 1), (32, 0)])
def test_a_short_key_is_told_of_once_and_taken(caplog: pytest.LogCaptureFixture, length: int, warnings: int) -> None:
    settings = _settings(jwt_key="k" * length)
    Verifier.of(settings)
    with caplog.at_level(logging.WARNING):
        tell_of_a_short_key(settings)
    assert len(caplog.records) == warnings
    assert not any("k" * length in record.getMessage() for record in caplog.records)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_token_of_a_short_key_counts() -> None:
    assert await Verifier(SharedKey("short")).principal(jwt.encode(CLAIMS, "short", "HS256"))
