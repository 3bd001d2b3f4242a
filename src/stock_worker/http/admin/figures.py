"""Figures as a person reads them. Law: the site's time zone, the reader's signs, and never another value.

Words are English, so months are too; what differs between readers of English are the signs within numbers, which come
from Accept-Language. Money is rounded to cents where it is shown, half to even, and nowhere else. Source: contract
section 1 (values).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_THIN: Final = "\N{NARROW NO-BREAK SPACE}"
_SPACE: Final = "\N{NO-BREAK SPACE}"
_MINUS: Final = "\N{MINUS SIGN}"


class Signs(NamedTuple):
    """What stands between thousands, and before decimals."""

    group: str
    decimal: str


ENGLISH: Final = Signs(",", ".")
_POINTED: Final = Signs(".", ",")
_SPACED: Final = Signs(_SPACE, ",")
_BY_LANGUAGE: Final[Mapping[str, Signs]] = {
    "en": ENGLISH,
    **dict.fromkeys(("he", "ja", "ko", "th", "zh"), ENGLISH),
    **dict.fromkeys(("da", "de", "el", "es", "hr", "id", "it", "nl", "pt", "ro", "sl", "tr", "vi"), _POINTED),
    **dict.fromkeys(("bg", "cs", "fi", "hu", "lt", "lv", "nb", "no", "pl", "ru", "sk", "sv", "uk"), _SPACED),
    "fr": Signs(_THIN, ","),
    "de-at": Signs(_SPACE, ","),
    "de-ch": Signs("\N{RIGHT SINGLE QUOTATION MARK}", "."),
    "es-mx": ENGLISH,
    "pt-pt": _SPACED,
}
"""By language, and by language and country where those differ, as CLDR has them."""


def signs_of(accepted: str) -> Signs:
    """Choose the signs of the first language of an Accept-Language that is known; English where none is."""
    wanted = []
    for position, part in enumerate(accepted.lower().split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((-float(weight or 1), position, tag.strip()))
        except ValueError:
            continue
    for _, _, tag in sorted(wanted):
        for name in (tag, tag.partition("-")[0]):
            if name in _BY_LANGUAGE:
                return _BY_LANGUAGE[name]
    return ENGLISH


class Figures(NamedTuple):
    """How figures are written for one reader at one site. `currency` is None where the site has none."""

    signs: Signs
    zone: ZoneInfo
    currency: str | None

    def number(self, value: int) -> str:
        """Write a count."""
        return self._signed(format(value, ","))

    def change(self, value: int) -> str:
        """Write a count with its sign."""
        return self._signed(format(value, "+,"))

    def money(self, value: Decimal) -> str:
        """Write an amount, without the currency."""
        return self._signed(format(value, ",.2f"))

    def days(self, value: float) -> str:
        """Write a number of days, to a tenth."""
        return self._signed(format(value, ",.1f"))

    def moment(self, value: datetime) -> str:
        """Write a time, to the minute, at the site."""
        local = value.astimezone(self.zone)
        return f"{local.day} {local:%b %Y, %H:%M}"

    def exact(self, value: datetime) -> str:
        """Write a time, to the second, with its zone."""
        local = value.astimezone(self.zone)
        return f"{local.day} {local:%b %Y, %H:%M:%S %Z}"

    def amount(self, text: str) -> str:
        """Read an amount that the reader typed, as decimal text; whether it is one is for the API to say."""
        return text.strip().replace(self.signs.decimal, ".") if self.signs.decimal != "." else text.strip()

    def _signed(self, text: str) -> str:
        signs = {ord(","): self.signs.group, ord("."): self.signs.decimal, ord("-"): _MINUS}
        return text.translate(signs)
