"""Faults of offsets, retries, poison and publishing: caught on a real broker, but for what a part shows by itself."""

from typing import Final

from tests.proof.planted.fault import Edit, Fault

FAULTY: Final = "tests/flow/test_worker_faults.py::"
SERVICE: Final = "tests/flow/test_service.py::"
WORKER: Final = "tests/flow/test_worker.py::"
RELAY: Final = "tests/flow/test_relay.py::"
RELAY_PARTS: Final = "tests/flow/test_relay_parts.py::"
RELAY_FAULTS: Final = "tests/flow/test_relay_faults.py::"
SEND: Final = "        done = await self._meanwhile(publisher.publish(rows))\n"

FAULTS: Final = (
    Fault(
        "offsets before the commit",
        "Rule 2: a record counts as applied when it is offered; what the database refuses then is lost.",
        (
            Edit(
                "worker.py",
                "            tries += 1\n",
                "            tries += 1\n            self.intake.applied(batch, entries)\n",
            ),
        ),
        (FAULTY + "test_while_the_database_is_away_nothing_is_committed_and_it_says_so",),
    ),
    Fault(
        "a stop drops the batch under way",
        "Section 8: SIGTERM does not wait for the batch, and its offsets are not committed.",
        (Edit("worker.py", "        await self._stopped.wait()\n", ""),),
        (WORKER + "test_stopping_finishes_the_batch_and_commits_it",),
    ),
    Fault(
        "a part is cancelled once",
        "Section 8: a transaction that rolls back on a frozen server is waited for, and the process outlives SIGTERM.",
        (
            Edit(
                "service.py",
                "        _, living = await asyncio.wait(living",
                "        living, _ = await asyncio.wait(living",
            ),
        ),
        (SERVICE + "test_a_part_ends_that_one_cancellation_does_not_end",),
    ),
    Fault(
        "a fault that passes is dead-lettered",
        "Rule 13: a database that has no connection left is taken for a record that it cannot take.",
        (
            Edit(
                "faults.py",
                '["08", "40", "53", "55", "57", "58", "72"], Retry',
                '["08", "40", "55", "57", "58", "72"], Retry',
            ),
        ),
        (FAULTY + "test_what_passes_is_tried_again_until_it_works[connections]",),
    ),
    Fault(
        "poison takes its neighbours along",
        "Rule 13: a batch that the database cannot take is set aside whole, instead of being halved.",
        (
            Edit(
                "worker.py",
                "return [*await self.settle(batch, entries[:middle]), *await self.settle(batch, entries[middle:])]",
                "return [each for entry in entries for each in await self.set_aside(batch, entry, fault)]",
            ),
        ),
        (FAULTY + "test_the_order_of_the_neighbours_survives_the_halving",),
    ),
    Fault(
        "the breaker never opens",
        "Section 8: each bug is counted as if it were the first, and every record goes to the dead letters.",
        (Edit("breaker.py", "self._times.append(now)", "self._times = deque([now])"),),
        (FAULTY + "test_the_breaker_opens_at_the_third_bug_within_its_ten_seconds",),
    ),
    Fault(
        "the outbox is deleted before Kafka's word",
        "Section 6: a relay that dies between the two has lost its rows.",
        (
            Edit(
                "relay/life.py",
                SEND,
                "        await outbox.delete(self._connection, [row[outbox.SEQ] for row in rows])\n" + SEND,
            ),
        ),
        (
            RELAY_FAULTS
            + "test_a_relay_that_is_killed_loses_nothing_and_doubles_keep_their_id[dies before it sends-False]",
        ),
    ),
    Fault(
        "the row that Kafka refused is deleted too",
        "Section 6: one too many: a row that its topic does not take is gone, and was never published.",
        (Edit("relay/publisher.py", "row[SEQ] < failed.get(", "row[SEQ] <= failed.get("),),
        (RELAY_FAULTS + "test_a_dead_letter_that_its_topic_cannot_take_is_cut_and_says_so",),
    ),
    Fault(
        "the outbox is read by a cursor",
        "Section 6: a row that commits late, under a lower seq, is never published.",
        (
            Edit(
                "relay/progress.py",
                "            self._published = last\n",
                "            self.after = self._published = last\n",
            ),
        ),
        (
            RELAY_PARTS + "test_reading_begins_after_what_was_published_once_all_transactions_of_then_have_ended",
            RELAY + "test_a_row_that_commits_late_is_published",
        ),
    ),
    Fault(
        "every relay reads every shard",
        "Section 6: two relays publish one key, and nobody keeps its order.",
        (Edit("relay/shards.py", "    return frozenset(ours)\n", "    return frozenset(owners)\n"),),
        (RELAY + "test_relays_share_the_shards_and_no_row_is_sent_twice",),
    ),
    Fault(
        "a takeover without a fence",
        "Section 6: a relay publishes for a dead one with its own producer; one that only slept wakes and sends on.",
        (Edit("relay/life.py", "publisher = await self._open(dead)", "publisher = await self._open(self._slot)"),),
        (RELAY_FAULTS + "test_a_relay_that_wakes_after_its_shards_were_inherited_publishes_nothing_old",),
    ),
    Fault(
        "ce_id is drawn when it is published",
        "Section 6: what is published again after a crash comes under another ce_id, and is news to every consumer.",
        (
            Edit("relay/records.py", "import orjson\n", "import uuid\nimport orjson\n"),
            Edit("relay/records.py", '("ce_id", str(id_).encode())', '("ce_id", str(uuid.uuid4()).encode())'),
        ),
        (
            RELAY_FAULTS + "test_a_relay_that_is_killed_loses_nothing_and_doubles_keep_their_id"
            "[dies before it deletes-True]",
        ),
    ),
)
