"""What a shop came to. Law: judges that know nothing of each other, the oracle and the audits, must all be content.

The oracle reads what was sent and what came out; `verify` and `rebuild --dry-run` read what is stored. A run in which
fewer than half of the commands moved stock proves little, and fails.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.harness import Shop
from tests.chaos.life import Life
from tests.oracle.oracle import judge

KINDS: Final = ("lost", "doubled", "inversions", "gaps", "wrong")
AUDITS: Final = (("verify",), ("rebuild", "--dry-run"))
"""What the stored rows say of themselves, and what the ledger says of them."""
_SIGTERM_MAX_S: Final = 25.0
_TELL_MAX: Final = 20


@dataclass(slots=True)
class Verdict:
    """What was judged, and what was wrong with it; verdicts add up."""

    sent: int = 0
    commands: int = 0
    moved: int = 0
    told_again: int = 0
    expiries: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        """Take another shop's verdict into this one."""
        for name in ("sent", "commands", "moved", "told_again", "expiries"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.outcomes += other.outcomes
        self.codes += other.codes
        self.failures += other.failures

    @property
    def word(self) -> str:
        """The verdict in a word, or with the first failure."""
        return f"{len(self.failures)} failures, first: {self.failures[0]}" if self.failures else "clean"

    def figures(self) -> list[tuple[str, str]]:
        """The figures of a report."""
        share = self.moved / self.commands if self.commands else 0.0
        return [
            ("records sent", f"{self.sent:,}"),
            ("commands (a reference counts once)", f"{self.commands:,}"),
            ("of them moved stock", f"{share:.0%}"),
            ("events that came twice, with the same ce_id", f"{self.told_again:,}"),
            *((kind, str(self.faults[kind])) for kind in KINDS),
            ("expiries", f"{self.expiries:,}"),
            ("drifts that `verify` and `rebuild --dry-run` found", str(self.faults["drifts"])),
        ]


async def end_well(lives: Iterable[Life]) -> list[str]:
    """Ask workers to end; says what was wrong with how they did (contract section 8: 0 within 25 s)."""
    asked = [life for life in lives if life.code is None]
    for life in asked:
        life.signal(signal.SIGTERM)
    codes = await asyncio.gather(*(life.ended(_SIGTERM_MAX_S) for life in asked), return_exceptions=True)
    return [
        f"{life.member} was asked to end and gave {code}: {life.said(800)}"
        for life, code in zip(asked, codes, strict=True)
        if code != 0
    ]


async def judge_shop(shop: Shop) -> Verdict:
    """Judge a shop that is drained; its workers are asked to end first."""
    failures = await end_well(shop.alive)
    received = await shop.received()
    judgement = await asyncio.to_thread(judge, shop.sent, received, shop.steering)
    failures += judgement.faults[:_TELL_MAX]
    if judgement.moved_share < 0.5:
        failures.append(f"only {judgement.moved_share:.0%} of the commands moved stock")
    verdict = Verdict(
        sent=len(shop.sent),
        commands=judgement.commands,
        moved=judgement.moved,
        told_again=judgement.redelivered_events,
        expiries=judgement.expiries,
        faults=Counter({kind: len(getattr(judgement, kind)) for kind in KINDS}),
        outcomes=judgement.outcomes,
        codes=judgement.codes,
        failures=failures,
    )
    for audit in AUDITS:
        said = await shop.run(*audit)
        if said.code != 0:
            drifts = said.said(100_000).splitlines()
            verdict.faults["drifts"] += len(drifts) - 1
            verdict.failures += [f"{' '.join(audit)}: {drift}" for drift in drifts[:_TELL_MAX]]
    return verdict
