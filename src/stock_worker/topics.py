"""The topics this service lives on. Law: what `create` makes, `check` finds well, and neither changes what is there.

Every topic of the contract, with the deployment's prefix, partitions and replication. `product-changed` and
`stock-level` are compacted: their newest record per key is the state. All others are deleted by age: a week of commands
and events, and a month of dead letters, which the database keeps whole anyway. Source: contract sections 3, 6 and 8.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, KafkaTimeoutError, NoError, TopicAlreadyExistsError, for_code

from stock_worker.core.topics import (
    COMMAND_TOPICS,
    COMPACTED_TOPICS,
    DEAD_LETTER_MAX_BYTES,
    EVENT_TOPICS,
    dead_letter_topic,
)
from stock_worker.settings import Settings, kafka_client_options

_DAY_MS: Final = 24 * 3600 * 1000
RETENTION_MS: Final = 7 * _DAY_MS
DEAD_LETTER_RETENTION_MS: Final = 30 * _DAY_MS
COMPACTION_LAG_MAX_MS: Final = _DAY_MS
"""However little a compacted topic changes, a day later a key has one record, or few."""
DURABLE_REPLICATION: Final = 3
_VISIBLE_MAX_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.05

CLEANUP, MAX_BYTES = "cleanup.policy", "max.message.bytes"

Problem = Literal["missing", "partitions", "cleanup_policy", "max_message_bytes", "unreadable"]


class TopicSpec(NamedTuple):
    """One topic as it is to be; `config` by Kafka's names."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Finding(NamedTuple):
    """What is not as planned with one topic, and what to do, in words."""

    topic: str
    problem: Problem
    words: str


def plan(settings: Settings) -> list[TopicSpec]:
    """Name every topic of this deployment: commands, events, dead letters."""
    dead_letters = [dead_letter_topic(topic) for topic in COMMAND_TOPICS]
    return [
        TopicSpec(
            settings.topic_prefix + topic,
            settings.topic_partitions,
            settings.topic_replication,
            _config(topic, dead_letter=topic in dead_letters, replication=settings.topic_replication),
        )
        for topic in (*COMMAND_TOPICS, *EVENT_TOPICS, *dead_letters)
    ]


async def create(settings: Settings) -> list[str]:
    """Create the topics that are missing, and wait until they can be seen; return their names.

    Topics that are there stay as they are; `check` judges them. Raises KafkaError, with the broker's own words where it
    refused a topic.
    """
    async with _admin(settings) as admin:
        there = await _seen(admin)
        missing = [spec for spec in plan(settings) if spec.name not in there]
        if not missing:
            return []
        response = await admin.create_topics(
            [
                NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.config))
                for spec in missing
            ]
        )
        refused = {
            name: (for_code(code), words)
            for name, code, *words in response.topic_errors
            if for_code(code) is not NoError
        }
        for name, (error, words) in refused.items():
            if error is not TopicAlreadyExistsError:  # another one creates at this moment
                raise error(f"{name}: {words[0] if words and words[0] else error.__name__}")
        await _until_seen(admin, {spec.name for spec in missing})
        return [spec.name for spec in missing if spec.name not in refused]


async def check(settings: Settings) -> list[Finding]:
    """Compare the topics with the plan; nothing found is well. Raises KafkaError where the brokers do not answer."""
    planned = plan(settings)
    async with _admin(settings) as admin:
        there = await _seen(admin)
        present = [spec for spec in planned if spec.name in there]
        configs = await _configs(admin, present)
    findings = []
    for spec in planned:
        if spec.name not in there:
            findings.append(Finding(spec.name, "missing", "is missing: stock-worker topics create"))
        else:
            findings += _compare(spec, there[spec.name], configs[spec.name])
    return findings


def _compare(spec: TopicSpec, partitions: int, config: Mapping[str, str] | KafkaError) -> list[Finding]:
    """Judge one topic that is there."""
    findings = []
    if partitions != spec.partitions:
        words = f"has {partitions} partitions, STOCK_TOPIC_PARTITIONS says {spec.partitions}: set it to what is there"
        findings.append(Finding(spec.name, "partitions", words))
    if isinstance(config, KafkaError):
        findings.append(Finding(spec.name, "unreadable", f"its configuration cannot be read: {config}"))
        return findings
    if config[CLEANUP] != spec.config[CLEANUP]:
        words = f"has {CLEANUP}={config[CLEANUP]}, set it to {spec.config[CLEANUP]}"
        findings.append(Finding(spec.name, "cleanup_policy", words))
    least = spec.config.get(MAX_BYTES, "0")
    if int(config[MAX_BYTES]) < int(least):
        words = f"has {MAX_BYTES}={config[MAX_BYTES]}, set it to {least}: dead letters would be cut"
        findings.append(Finding(spec.name, "max_message_bytes", words))
    return findings


def _config(topic: str, *, dead_letter: bool, replication: int) -> dict[str, str]:
    # A record that only one of three replicas has is lost with it.
    config = {"min.insync.replicas": "2"} if replication >= DURABLE_REPLICATION else {}
    if topic in COMPACTED_TOPICS:
        return config | {CLEANUP: "compact", "max.compaction.lag.ms": str(COMPACTION_LAG_MAX_MS)}
    if dead_letter:
        retention = {"retention.ms": str(DEAD_LETTER_RETENTION_MS), MAX_BYTES: str(DEAD_LETTER_MAX_BYTES)}
        return config | {CLEANUP: "delete"} | retention
    return config | {CLEANUP: "delete", "retention.ms": str(RETENTION_MS)}


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**kafka_client_options(settings))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _seen(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Give every topic of the cluster with its number of partitions.

    All, and not those that are asked for: asking by name would create them on a broker that creates topics by itself.
    """
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


async def _until_seen(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """The broker that is asked learns of a new topic a moment after the controller."""
    for _ in range(int(_VISIBLE_MAX_S / _LOOK_EVERY_S)):
        if names <= (await _seen(admin)).keys():
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    raise KafkaTimeoutError(f"topics were created and cannot be seen after {_VISIBLE_MAX_S:.0f} s")


async def _configs(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> dict[str, dict[str, str] | KafkaError]:
    """Read what is compared, by topic; an error where a topic's configuration may not be read."""
    if not specs:
        return {}
    wanted: dict[str, Any] = {CLEANUP: None, MAX_BYTES: None}
    resources = [ConfigResource(ConfigResourceType.TOPIC, spec.name, configs=wanted) for spec in specs]
    found: dict[str, dict[str, str] | KafkaError] = {}
    for response in await admin.describe_configs(resources):
        for code, words, _, name, entries in response.resources:
            error = for_code(code)
            found[name] = error(words) if error is not NoError else {entry[0]: entry[1] for entry in entries}
    return found
