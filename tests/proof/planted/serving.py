"""Faults of the API: who may, which site, once, where a list and a stream go on, what is told. Caught over HTTP."""

from typing import Final

from tests.proof.planted.fault import Edit, Fault

ACCESS: Final = "tests/http/test_access.py::"
ALERTS: Final = "tests/http/test_alerts.py::"
AVAILABILITY: Final = "tests/http/test_availability.py::"
HISTORY: Final = "tests/http/test_history.py::"
INJECTION: Final = "tests/http/test_injection.py::"
ITEMS: Final = "tests/http/test_items.py::"
LETTERS: Final = "tests/http/test_dead_letters.py::"
PROBLEMS: Final = "tests/http/test_problems.py::"
REPORTS: Final = "tests/http/test_reports.py::"
STREAM: Final = "tests/http/test_stream.py::"
TOKENS: Final = "tests/http/test_tokens.py::"
WATCH: Final = "tests/http/test_watch.py::"
WRITES: Final = "tests/http/test_writes.py::"

FAULTS: Final = (
    # ---------------------------------------------------------------- who may
    Fault(
        "an expired token counts",
        "Section 7, access: who had a token once may read and write for ever.",
        (Edit("http/tokens.py", 'options={"require": ', 'options={"verify_exp": False, "require": '),),
        (
            TOKENS + "test_every_other_token_is_refused[expired]",
            TOKENS + "test_a_key_set_refuses_what_a_shared_key_refuses[expired]",
        ),
    ),
    Fault(
        "a token without a signature counts",
        "Section 7, access: `none` is taken for an algorithm, and anybody is whoever he says.",
        (
            Edit(
                "http/tokens.py",
                'options={"require": ',
                'options={"verify_signature": jwt.get_unverified_header(token).get("alg") != "none", "require": ',
            ),
        ),
        (
            TOKENS + "test_every_other_token_is_refused[none]",
            TOKENS + "test_a_key_set_refuses_what_a_shared_key_refuses[none]",
        ),
    ),
    Fault(
        "a published key is taken for a secret",
        "Section 7, access: a key set's algorithms are joined by the shared one, so that who reads it may sign.",
        (
            Edit(
                "http/tokens.py", "    algorithms: tuple[str, ...] = _PUBLIC\n", "    algorithms = (*_PUBLIC, SHARED)\n"
            ),
            Edit("http/tokens.py", "if key.algorithm_name in _PUBLIC and key.", "if key."),
        ),
        (TOKENS + "test_keys_of_other_kinds_and_for_other_ends_are_none_and_hold_nobody_up",),
    ),
    Fault(
        "a viewer changes a rule",
        "Section 7, access: one of the writes asks only for one who may read.",
        (
            Edit(
                "http/routes/rules.py",
                "async def change_product_rule(books: Books, access: Writer,",
                "async def change_product_rule(books: Books, access: Reader,",
            ),
        ),
        (ACCESS + "test_every_route_by_role_and_site",),
    ),
    Fault(
        "a role is enough at every site",
        "Section 7, access: an org_admin reads and writes the sites of others.",
        (
            Edit(
                "http/access.py",
                "        if self.principal.role is Role.PLATFORM_ADMIN:\n",
                "        if self.principal.role is not Role.VIEWER:\n",
            ),
        ),
        (
            ACCESS + "test_every_route_by_role_and_site",
            ACCESS + "test_another_ones_site_is_forbidden_whether_there_is_such_a_site_or_not",
        ),
    ),
    Fault(
        "who acted is what the body says",
        "Section 7, writes: where the token's sub is no UUID, the body names somebody else as the actor.",
        (
            Edit(
                "http/commands.py",
                '("site_id", "reference_id", "actor", "actor_id")',
                '("site_id", "reference_id", "actor")',
            ),
        ),
        (WRITES + "test_who_acted_comes_from_the_token_alone",),
    ),
    # ---------------------------------------------------------------- which site
    Fault(
        "a page of the ledger forgets its site",
        "Section 7, history: of a token for two sites, each one's page has the rows of both.",
        (
            Edit(
                "store/queries/movements.sql",
                "\nFROM stock.movements m\nWHERE m.site_id = $1\n",
                "\nFROM stock.movements m\nWHERE $1::uuid IS NOT NULL\n",
            ),
        ),
        (HISTORY + "test_another_sites_history_is_its_own",),
    ),
    Fault(
        "row level security is passed by",
        "Section 7, access: readers act as the worker, whom no policy holds; a statement that forgets its site is all.",
        (Edit("http/backend.py", "open_pool(url, API, most=READERS", "open_pool(url, WORKER, most=READERS"),),
        (ACCESS + "test_a_reader_sees_the_sites_it_was_told_in_every_table_and_the_next_one_only_its_own",),
    ),
    Fault(
        "a dead letter is anybody's who knows its place",
        "H9: below a site each letter is shown, sent and discarded, also one that names another site or none.",
        (
            Edit(
                "store/reads/dead_letters.py",
                "if not found or (site_id is not None and found[0].entry.site_id != site_id):",
                "if not found:",
            ),
        ),
        (LETTERS + "test_a_letter_of_another_site_of_the_same_person_is_not_found_below_this_one",),
    ),
    Fault(
        "a refusal tells whether there is such a site",
        "H11: another one's site is forbidden, and one that is not there is not found: so it is told which there are.",
        (
            Edit(
                "http/access.py",
                "async def reader_of(site: Site, principal: Asker)",
                "async def reader_of(site: Site, principal: Asker, books: Books)",
            ),
            Edit(
                "http/access.py",
                '        raise Problem("forbidden", "the token is not for this site")\n',
                "        async with books.reading([access.site_id]) as found:\n"
                '            there = await found.fetchval("SELECT EXISTS (SELECT FROM stock.items)")\n'
                '        raise Problem("forbidden" if there else "not_found", "the token is not for this site")\n',
            ),
        ),
        (ACCESS + "test_another_ones_site_is_forbidden_whether_there_is_such_a_site_or_not",),
    ),
    Fault(
        "a parameter is pasted into SQL",
        "Section 7: an order's id that has a quote is part of the statement.",
        (
            Edit(
                "store/reads/movements.py",
                'connection.fetch(SQL["order_positions"], asked.site_id, asked.order_id)',
                'connection.fetch(SQL["order_positions"].replace("$2", f"\'{asked.order_id}\'"), asked.site_id)',
            ),
        ),
        (INJECTION + "test_a_hostile_text_is_a_text_in_every_parameter[GET /sites/{site}/movements]",),
    ),
    # ---------------------------------------------------------------- once
    Fault(
        "each request is a command of its own",
        "Section 7, writes: the Idempotency-Key is made unique, and what is sent again is booked again.",
        (
            Edit(
                "http/commands.py",
                '"reference_id": key,',
                '"reference_id": f"{key} {now.timestamp()}",',
            ),
        ),
        (WRITES + "test_a_repeated_key_gets_the_first_answer", WRITES + "test_a_refusal_is_409_and_sticks"),
    ),
    Fault(
        "a repeated key is told as if it were the first",
        "Section 7, writes: nobody learns that what he sent was booked before.",
        (
            Edit(
                "http/writing.py",
                "        return self.outcome.kind is OutcomeKind.DUPLICATE\n",
                "        return self.answer is None\n",
            ),
        ),
        (WRITES + "test_a_repeated_key_gets_the_first_answer",),
    ),
    Fault(
        "a replay is sent unless it is dry",
        "H9: who only wants to see what would be sent has sent it.",
        (
            Edit(
                "http/shapes_steering.py",
                'description="Only say what would be sent.")] = True',
                'description="Only say what would be sent.")] = False',
            ),
        ),
        (LETTERS + "test_a_dry_run_says_what_would_be_sent_and_sends_nothing",),
    ),
    # ---------------------------------------------------------------- where a list goes on
    Fault(
        "a cursor passes over what is of one time",
        "Section 7, history: rows of one batch have one time, and those that do not fit on its page are on none.",
        (
            Edit(
                "store/queries/movements.sql",
                "AND m.recorded_at >= $4 AND (m.recorded_at, m.item_id, m.version) <",
                "AND m.recorded_at >= $4 AND (m.recorded_at, $6::bigint, $7::bigint) <",
            ),
        ),
        (
            HISTORY + "test_a_walk_gives_each_row_once_while_rows_are_added",
            HISTORY + "test_each_filter_finds_its_rows_and_each_once",
        ),
    ),
    Fault(
        "a cursor names the row that did not fit",
        "Section 7, history: the next page begins after it, so one row a page is never told.",
        (Edit("store/reads/movements.py", "places[limit - 1] if", "places[limit] if"),),
        (HISTORY + "test_each_filter_finds_its_rows_and_each_once",),
    ),
    Fault(
        "a cursor of dead letters is a time",
        "Section 7, dead letters: those of one batch that do not fit on its page are on none.",
        (
            Edit(
                "store/queries/dead_letter_pages.sql",
                '  AND (recorded_at, topic, partition, "offset", timestamp_ms)\n',
                "  AND (recorded_at, $6::text, $7::int, $8::bigint, $9::bigint)\n",
            ),
        ),
        (LETTERS + "test_cursors_join_to_the_whole_though_all_have_one_time",),
    ),
    Fault(
        "a total is the page's",
        "Section 7, history: it counts what was read, and not what there is.",
        (
            Edit(
                "store/reads/movements.py", "        min(count, TOTAL_MAX),\n", "        min(len(found), TOTAL_MAX),\n"
            ),
        ),
        (HISTORY + "test_each_filter_finds_its_rows_and_each_once",),
    ),
    Fault(
        "the last page is not counted",
        "Section 7, lists: pages are rounded down, and who goes by their number never sees what is on the last.",
        (Edit("http/pages.py", "total_pages=-(-total // self.limit)", "total_pages=total // self.limit"),),
        (ALERTS + "test_pages_join_to_the_whole",),
    ),
    # ---------------------------------------------------------------- where a stream goes on
    Fault(
        "a stream begins anew",
        "Section 7, stream: the last id is read and forgotten; what was published meanwhile is told to nobody.",
        (
            Edit(
                "http/stream.py",
                "                listener.position = told\n",
                "                listener.is_known = True\n",
            ),
        ),
        (STREAM + "test_events_chooses_also_for_what_was_missed",),
    ),
    Fault(
        "an id names its event",
        "Section 7, stream: and not what follows it, so the last event is told again to whoever comes back.",
        (
            Edit(
                "http/stream_listener.py",
                "        self.position[event.at] = event.offset + 1\n",
                "        self.position[event.at] = event.offset\n",
            ),
        ),
        (STREAM + "test_a_process_that_is_behind_tells_nothing_again",),
    ),
    Fault(
        "what comes both ways is told twice",
        "Section 7, stream: a process that is behind hands on what its listener was told by another.",
        (
            Edit(
                "http/stream_listener.py",
                '        if event.offset < self.position[event.at]:\n            return b""\n',
                "",
            ),
        ),
        (STREAM + "test_a_process_that_is_behind_tells_nothing_again",),
    ),
    Fault(
        "what is caught up on is everybody's",
        "Section 7, stream: who comes back is told the events of other sites as well.",
        (
            Edit(
                "http/stream_listener.py",
                "return event.site == self.site and event.topic in self.topics",
                "return event.topic in self.topics",
            ),
        ),
        (STREAM + "test_a_process_that_is_ahead_tells_all_that_was_missed",),
    ),
    Fault(
        "a stream outlives its token",
        "Section 7, stream: it lasts a day, whoever's token ended meanwhile.",
        (Edit("http/routes/stream.py", "max(0.0, min(lasts_s, LASTS_MAX_S))", "max(lasts_s, LASTS_MAX_S)"),),
        (STREAM + "test_a_stream_ends_with_its_token",),
    ),
    # ---------------------------------------------------------------- what is told
    Fault(
        "as it was is one row early",
        "H2: what was recorded at the very moment that is asked for is left out.",
        (
            Edit("store/queries/items.sql", "<= $2 THEN m.version", "< $2 THEN m.version"),
            Edit("store/queries/items.sql", "<= $2 THEN s.high", "< $2 THEN s.high"),
        ),
        (ITEMS + "test_c32_as_of_gives_what_the_ledger_had",),
    ),
    Fault(
        "backorders cannot be had",
        "Section 7, availability: sellable is what is available, whatever the rule says of backorders.",
        (
            Edit(
                "store/reads/items.py",
                "return max(self.available + self.policy.backorder_limit, 0) if self.track_inventory",
                "return max(self.available, 0) if self.track_inventory",
            ),
        ),
        (AVAILABILITY + "test_sellable_is_available_with_the_limit_of_the_nearest_rule",),
    ),
    Fault(
        "a period begins at midnight in Greenwich",
        "Section 7, reports: days of /reports/movements are UTC's, and not the site's.",
        (Edit("store/reads/reports.py", "    zone = zone_of(timezone)\n", '    zone = ZoneInfo("UTC")\n'),),
        (REPORTS + "test_movements_of_days_on_which_the_clocks_change",),
    ),
    Fault(
        "a cell is a formula",
        "Section 7, reports: what a product is called is computed by the spreadsheet of whoever opens the file.",
        (
            Edit(
                "http/spreadsheet.py",
                """            return f"'{text}" if text.startswith(FORMULAS) else text\n""",
                "            return text\n",
            ),
        ),
        (
            REPORTS + "test_no_cell_is_a_formula_and_numbers_stay_numbers",
            REPORTS + "test_a_file_has_all_that_the_filters_find",
        ),
    ),
    Fault(
        "a fault of ours is told",
        "Section 7, errors: the words of an exception, with whatever is in them, go to whoever asked.",
        (
            Edit(
                "http/problems.py",
                'return Problem("internal_error", "a fault of the server; it is in its log")',
                'return Problem("internal_error", one_line(error))',
            ),
        ),
        (PROBLEMS + "test_whatever_happens_is_a_problem_counted_and_under_the_same_headers",),
    ),
    Fault(
        "a body says how long it is",
        "Section 7, limits: what lies about its length, or says nothing of it, is read to its end.",
        (
            Edit(
                "http/watch.py",
                "            if self._is_too_large or self._left < 0:\n",
                "            if self._is_too_large:\n",
            ),
        ),
        (WATCH + "test_a_body_that_is_too_large_is_413_whatever_it_says_of_its_length",),
    ),
)
