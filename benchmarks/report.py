"""What is written. Law: every round goes to CSV as it was; the tables are made of those rows and nothing else.

A part that was not run keeps its table: each stands in docs/performance.md between markers of its own.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import expiry, indexes, mix, page, reads
from benchmarks.contenders import EVERYBODY, OURS
from benchmarks.cpu import NOISY_CORES, Used
from benchmarks.expiry import Expiry
from benchmarks.growth import FILLED, FRESH, Growth
from benchmarks.indexes import WITH, WITHOUT, Indexes
from benchmarks.measure import Round
from benchmarks.mix import ALONE, MIXED, Mix
from benchmarks.openloop import Latency, Memory, ms_within
from benchmarks.page import Seen
from benchmarks.reads import Reads, Told
from benchmarks.workload import DISTRIBUTIONS

DOCS: Final = Path(__file__).parents[1] / "docs"
NOISE_NOTE: Final = f"\\* others, or the hypervisor, used more than {NOISY_CORES} cores meanwhile"
_OWN: Final = ("contender", "database", "broker", "benchmark")
_ROUND_HEAD: Final = (
    *("distribution", "contender", "round", "orders", "seconds", "orders_per_s", "rejected"),
    *(f"cores_{name}" for name in (*_OWN, "others", "stolen")),
    "noisy",
)


def throughput_table(rounds: Sequence[Round]) -> str:
    """Show everybody on everything: median (least to most) in orders/s, and ours over the better idiomatic peer."""
    present = [one for one in EVERYBODY if any(done.contender == one.name for done in rounds)]
    lines = [_row(["orders/s", *(one.name for one in present), "times idiomatic"])]
    lines.append(_row(["---", *("--:" for _ in present), "--:"]))
    for distribution in DISTRIBUTIONS:
        here = [done for done in rounds if done.distribution == distribution.name]
        if here:
            cells = [_spread([done for done in here if done.contender == one.name]) for one in present]
            lines.append(_row([distribution.words, *cells, _ratio(here)]))
    words = [f"- {one.name}: {one.words}" for one in present]
    return "\n".join([*lines, "", NOISE_NOTE, "", *words, "", _cpu_table(rounds)])


def latency_table(rows: Sequence[Latency]) -> str:
    """Show latency by share of the peak: medians of the rounds (least to most)."""
    lines = [_row(["share of the zipf peak", "orders/s", "p50 ms", "p99 ms", "max ms", "generator late by ms"])]
    lines.append(_row(["---", *["--:"] * 5]))
    for share in dict.fromkeys(row.share for row in rows):
        here = [row for row in rows if row.share == share]
        mark = "\\*" if any(row.used.noisy for row in here) else ""
        kinds = zip(*((row.p50_ms, row.p99_ms, row.max_ms, row.behind_ms) for row in here), strict=True)
        cells = [_middle(figures) for figures in kinds]
        lines.append(_row([f"{share:.0%}{mark}", f"{here[0].orders_per_s:,.0f}", *cells]))
    return "\n".join([*lines, "", NOISE_NOTE])


def growth_table(done: Growth) -> str:
    """Show fresh against filled."""
    lines = [_row(["ledger", "orders/s"]), _row(["---", "--:"])]
    for which, words in ((FRESH, "fresh"), (FILLED, f"{done.rows:,} movements")):
        lines.append(_row([words, _spread([one for one in done.rounds if one.distribution == which])]))
    pairs = len(done.rounds) // 2
    return "\n".join([*lines, "", f"{done.slower:+.1%} slower (medians of {pairs} alternating pairs).", "", NOISE_NOTE])


def indexes_table(done: Indexes) -> str:
    """Show the engine with the reads' indexes against without."""
    lines = [_row(["the reads' indexes", "orders/s"]), _row(["---", "--:"])]
    lines += [
        _row([which, _spread([one for one in done.rounds if one.distribution == which])]) for which in (WITH, WITHOUT)
    ]
    pairs = len(done.rounds) // 2
    limit = f"limit {indexes.SLOWER_MAX:.0%}"
    words = f"{done.slower:+.1%} slower with them, the median of {pairs} alternating pairs ({limit})."
    return "\n".join([*lines, "", words, "", NOISE_NOTE])


def memory_table(done: Memory) -> str:
    """Show resident memory by minute."""
    minutes = range(1, len(done.by_minute) + 1)
    lines = [_row(["minute", *map(str, minutes)]), _row(["---", *("--:" for _ in minutes)])]
    lines.append(_row([f"resident MB{_mark(done.used)}", *(f"{size / 2**20:.0f}" for size in done.by_minute)]))
    words = f"At {done.orders_per_s:,.0f} orders/s; minute {len(done.by_minute)} is {done.growth:.3f} of minute 2."
    return "\n".join([*lines, "", words])


def mix_table(done: Mix) -> str:
    """Show orders alone against the mix, and what became of the mix's commands."""
    lines = [_row(["commands", "commands/s"]), _row(["---", "--:"])]
    by_kind = {which: [one for one in done.rounds if one.distribution == which] for which in (ALONE, MIXED)}
    lines += [_row([which, _spread(rounds)]) for which, rounds in by_kind.items()]
    pairs = len(done.outcomes)
    words = f"The mix runs at {done.ratio:.2f} of orders alone (floor {mix.FLOOR}; medians of {pairs} pairs)."
    became = ", ".join(f"{done.share(outcome):.1%} {outcome}" for outcome in _outcomes(done))
    counted = (
        "Every record counts as one command. Of 110 in the mix 60 are orders, 10 reservations, 10 the fulfilments of\n"
        "earlier reservations, 10 cancellations, 10 returns, 5 restocks and 5 adjustments."
    )
    return "\n".join(
        [*lines, "", words, f"Of all commands of the mixed rounds: {became}.", "", counted, "", NOISE_NOTE]
    )


def expiry_table(done: Expiry) -> str:
    """Show orders with and without a pile of reservations that expires."""
    lines = [_row(["phase", "orders/s", "expiries/s", "seconds"]), _row(["---", *["--:"] * 3])]
    for phase in done.phases:
        figures = (f"{phase.orders / phase.seconds:,.0f}", f"{phase.expiries / phase.seconds:,.0f}")
        lines.append(_row([f"{phase.kind}{_mark(phase.used)}", *figures, f"{phase.seconds:.1f}"]))
    words = (
        f"Orders keep {done.ratio:.2f} of their speed (floor {expiry.FLOOR}). {done.expired:,} reservations took "
        f"{done.took_s:.0f} s, from their time to the last one's event."
    )
    checked = "None expired early, none twice; each gave back what it held."
    return "\n".join([*lines, "", words, checked, "", NOISE_NOTE])


def reads_table(done: Reads) -> str:
    """Show what each kind of request took, by how many processes the API had; then who worked, and the adjustments."""
    tables = [_endpoints_table(processes, load.endpoints) for processes, load in done.loads.items()]
    lines = [_row(["beside that", "orders/s", "their p99 ms", "cores: API", "worker", "database", "client"])]
    lines.append(_row(["---", *["--:"] * 6]))
    for processes, load in done.loads.items():
        figures = (f"{load.orders_per_s:,.0f}", f"{load.order_p99_ms:,.0f}")
        cores = (load.used.own[name] for name in ("api", "contender", "database", "client"))
        cells = [*figures, *(f"{each:.2f}" for each in cores)]
        lines.append(_row([f"{_processes(processes)}{_mark(load.used)}", *cells]))
    first = [
        f"- First request of a site, {_processes(processes)}: "
        + "; ".join(f"{told.name} {told.ms(0.5):,.0f} ms, at most {told.ms(1.0):,.0f}" for told in load.first)
        for processes, load in done.loads.items()
    ]
    return "\n".join([*tables, *lines, "", *first, "", *_writes_lines(done), "", NOISE_NOTE])


def page_table(seen: Seen) -> str:
    """Show what a person waits for at the page."""
    lines = [_row(["in the browser", "times", "p50 ms", "p95 ms", "max ms", "limit ms", "met"])]
    lines.append(_row(["---", *["--:"] * 5, "---"]))
    for name, took, limit_ms in _seen(seen):
        figures = (f"{ms_within(took, part):,.0f}" for part in (0.5, page.PART, 1.0))
        is_met = ms_within(took, page.PART) <= limit_ms
        lines.append(_row([name, str(len(took)), *figures, f"{limit_ms:,.0f}", _met(is_met)]))
    words = f"The first view at a process that has not seen the site: {1_000 * seen.first_s:,.0f} ms."
    size = f"{seen.transferred / 1_000:,.0f} kB on the wire without pictures (limit {page.BYTES_MAX / 1_000:,.0f})"
    beside = f"{seen.sites.items:,} items at one site, {seen.orders_per_s:,.0f} orders/s beside it"
    return "\n".join([*lines, "", f"{words} A view with an empty cache: {size}. {beside}."])


def page_rows(seen: Seen) -> list[Sequence[object]]:
    """Give every view and adjustment as a row of CSV, the fastest first."""
    rows: list[Sequence[object]] = [("what", "ms", "limit_ms")]
    for name, took, limit_ms in _seen(seen):
        rows += [(name, f"{1_000 * each:.1f}", limit_ms) for each in took]
    return rows


def _seen(seen: Seen) -> Sequence[tuple[str, Sequence[float], float]]:
    return (
        ("first view, to its rows", seen.views, page.VIEW_MAX_MS),
        ("adjustment, to its changed row", seen.adjustments, page.ADJUST_MAX_MS),
    )


def mix_rows(done: Mix) -> list[Sequence[object]]:
    """Give the rounds as rows of CSV, a mixed one with what became of its commands; `orders` are commands here."""
    names, became = _outcomes(done), iter(done.outcomes)
    head, *rounds = round_rows(done.rounds)
    rows: list[Sequence[object]] = [(*head, *names)]
    for one, row in zip(done.rounds, rounds, strict=True):
        counted = next(became) if one.distribution == MIXED else {}
        rows.append([*row, *(counted.get(name, "") for name in names)])
    return rows


def expiry_rows(done: Expiry) -> list[Sequence[object]]:
    """Give the phases as rows of CSV."""
    rows: list[Sequence[object]] = [("phase", "seconds", "orders", "expiries", "waited_s", *_ROUND_HEAD[-7:])]
    for one in done.phases:
        figures = (f"{one.seconds:.2f}", one.orders, one.expiries, f"{one.waited_s:.2f}")
        rows.append([one.kind, *figures, *_used_cells(one.used)])
    return rows


def round_rows(rounds: Iterable[Round]) -> list[Sequence[object]]:
    """Give the rounds as rows of CSV, the head first."""
    rows: list[Sequence[object]] = [_ROUND_HEAD]
    for done in rounds:
        figures = [done.number, done.orders, f"{done.seconds:.2f}", f"{done.orders_per_s:.0f}", done.rejected]
        rows.append([done.distribution, done.contender, *figures, *_used_cells(done.used)])
    return rows


def latency_rows(done: Iterable[Latency]) -> list[Sequence[object]]:
    """Give the latencies as rows of CSV."""
    head = (
        "share",
        "round",
        "orders_per_s",
        "orders",
        "p50_ms",
        "p99_ms",
        "max_ms",
        "generator_late_ms",
        *_ROUND_HEAD[-7:],
    )
    rows: list[Sequence[object]] = [head]
    for one in done:
        figures = (one.p50_ms, one.p99_ms, one.max_ms, one.behind_ms)
        start = [f"{one.share:.2f}", one.number, f"{one.orders_per_s:.0f}", one.orders]
        rows.append([*start, *(f"{figure:.1f}" for figure in figures), *_used_cells(one.used)])
    return rows


def memory_rows(done: Memory) -> list[Sequence[object]]:
    """Give the memory as rows of CSV."""
    head = ("minute", "resident_bytes", "orders_per_s")
    return [head, *((minute, int(size), f"{done.orders_per_s:.0f}") for minute, size in enumerate(done.by_minute, 1))]


def reads_rows(done: Reads) -> list[Sequence[object]]:
    """Give what each kind of request took as rows of CSV; the orders and the cores are those of the whole load."""
    head = ("processes", "part", "request", "requests", "failed", "p50_ms", "p99_ms", "max_ms", "limit_ms", "met")
    cores = ("api", "contender", "database", "broker", "client")
    rows: list[Sequence[object]] = [(*head, "orders_per_s", *(f"cores_{name}" for name in cores), "others", "noisy")]
    writes = (("writes", (done.writes.closed, done.writes.opened), done.writes.used, ""),)
    for processes, load in done.loads.items():
        parts = (("first", load.first, load.used, ""), ("load", load.endpoints, load.used, f"{load.orders_per_s:.0f}"))
        for part, told, used, orders in parts if rows[1:] else (*parts, *writes):
            whose = [*(f"{used.own.get(name, 0.0):.2f}" for name in cores), f"{used.others:.2f}"]
            for each in told:
                figures = [len(each.seconds), each.failed, *(f"{each.ms(part_of):.1f}" for part_of in (0.5, 0.99, 1.0))]
                met = "" if each.limit_ms is None else each.is_met
                row = (processes, part, each.name, *figures, each.limit_ms or "", met)
                rows.append([*row, orders, *whose, "noisy" if used.noisy else ""])
    return rows


def write(tables: Mapping[str, str], rows: Mapping[str, Sequence[Sequence[object]]], docs: Path) -> None:
    """Write the CSV files, and each table between its markers in performance.md."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in rows.items():
        with (folder / f"{name}.csv").open("w", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows(lines)
    page = docs / "performance.md"
    text = page.read_text() if page.exists() else ""
    for name, table in tables.items():
        block = f"<!-- bench:{name} -->\n{table}\n<!-- /bench:{name} -->"
        found = re.compile(rf"<!-- bench:{name} -->.*?<!-- /bench:{name} -->", re.DOTALL)
        parts = found.split(text, maxsplit=1)
        text = block.join(parts) if len(parts) > 1 else f"{text}\n{block}\n"
    page.write_text(text)


def _endpoints_table(processes: int, endpoints: Sequence[Told]) -> str:
    lines = [_row([_processes(processes), "requests", "p50 ms", "p99 ms", "max ms", "limit ms", "met"])]
    lines.append(_row(["---", *["--:"] * 5, "---"]))
    for told in endpoints:
        figures = (f"{told.ms(part):,.0f}" for part in (0.5, 0.99, 1.0))
        failed = f", {told.failed} failed" if told.failed else ""
        limit = f"{told.limit_ms:,.0f}"
        lines.append(_row([told.name, f"{len(told.seconds):,}", *figures, limit, f"{_met(told.is_met)}{failed}"]))
    return "\n".join([*lines, ""])


def _writes_lines(done: Reads) -> list[str]:
    opened, peak, aim = done.writes.opened, done.writes.peak_per_s, reads.PEAK_MIN
    peak_words = f"{peak:,.0f}/s as fast as they are answered (aim {aim:,.0f}: {_met(peak >= aim)})"
    figures = f"p50 {opened.ms(0.5):,.0f}, p99 {opened.ms(0.99):,.0f}, max {opened.ms(1.0):,.0f} ms"
    limit = f"limit {reads.WRITE_MAX_MS:,.0f}: {_met(opened.is_met)}"
    return [
        f"Adjustments, without orders, over {reads.WRITERS} connections: {peak_words}.",
        f"At {reads.WRITES_PER_S:,.0f}/s: {figures} ({limit}){_mark(done.writes.used)}.",
    ]


def _processes(many: int) -> str:
    return f"{many} process{'es' if many > 1 else ''} of the API"


def _met(is_met: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if is_met else "**no**"


def _outcomes(done: Mix) -> list[str]:
    """Name what became of the mix's commands, the most frequent first."""
    return sorted({name for each in done.outcomes for name in each}, key=done.share, reverse=True)


def _spread(rounds: Sequence[Round]) -> str:
    if not rounds:
        return ""
    mark = "\\*" if any(done.used.noisy for done in rounds) else ""
    return _middle([done.orders_per_s for done in rounds], mark)


def _middle(figures: Sequence[float], mark: str = "") -> str:
    return f"{median(figures):,.0f}{mark} ({min(figures):,.0f} to {max(figures):,.0f})"


def _ratio(rounds: Sequence[Round]) -> str:
    by_name: dict[str, list[float]] = {}
    for done in rounds:
        by_name.setdefault(done.contender, []).append(done.orders_per_s)
    peers = [median(speeds) for name, speeds in by_name.items() if name.startswith("idiomatic")]
    return f"{median(by_name[OURS.name]) / max(peers):.1f}" if peers and OURS.name in by_name else ""


def _cpu_table(rounds: Sequence[Round]) -> str:
    """Show whose CPU an order took on zipf, in ms, medians."""
    lines = [_row(["CPU ms an order, zipf", *_OWN[:3]]), _row(["---", *["--:"] * 3])]
    for one in EVERYBODY:
        here = [done for done in rounds if done.contender == one.name and done.distribution == DISTRIBUTIONS[0].name]
        if here:
            cells = [median([1_000 * done.used.own.get(who, 0.0) / done.orders_per_s for done in here]) for who in _OWN]
            lines.append(_row([one.name, *(f"{cell:.2f}" for cell in cells[:3])]))
    return "\n".join(lines)


def _used_cells(used: Used) -> list[object]:
    figures = [*(used.own.get(name, 0.0) for name in _OWN), used.others, used.stolen]
    return [*(f"{figure:.2f}" for figure in figures), "noisy" if used.noisy else ""]


def _mark(used: Used) -> str:
    return "\\*" if used.noisy else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
