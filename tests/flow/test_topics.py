"""Contract sections 3, 6 and 8: the topics, made by `topics create` and judged by `topics check`."""

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stock_worker.core.topics import COMMAND_TOPICS, EVENT_TOPICS
from stock_worker.devstack import Stack
from stock_worker.settings import Settings
from stock_worker.topics import Finding, check, create, plan
from tests.flow.relaying import Outlet
from tests.flow.running import settings_for


@pytest.fixture
def settings(stack: Stack, topics: str) -> Settings:
    return settings_for(stack.kafka_bootstrap, "postgresql://nobody@nowhere/nothing", topics)


async def test_3_6_every_topic_of_the_contract_is_made_once(settings: Settings) -> None:
    names = [*COMMAND_TOPICS, *EVENT_TOPICS, *(f"{topic}-dlt" for topic in COMMAND_TOPICS)]
    prefixed = [settings.topic_prefix + name for name in names]
    assert await create(settings) == prefixed
    assert await create(settings) == []
    assert await check(settings) == []


def test_8_partitions_and_replication_are_the_settings(stack: Stack) -> None:
    settings = settings_for(stack.kafka_bootstrap, "postgresql://a@b/c", "p-", topic_partitions=12, topic_replication=3)
    planned = plan(settings)
    assert {(spec.partitions, spec.replication, spec.config["min.insync.replicas"]) for spec in planned} == {
        (12, 3, "2")
    }
    assert not any("min.insync.replicas" in spec.config for spec in plan(settings_for("a:1", "postgresql://a@b/c", "")))


@pytest.mark.parametrize(
    ("topic", "policy"),
    [("product-changed", "compact"), ("stock-level", "compact"), ("order-placed", "delete"),
     ("stock-changed", "delete"), ("product-changed-dlt", "delete"), ("order-placed-dlt", "delete")],
)  # fmt: skip
def test_3_6_compacted_are_the_catalog_and_the_levels_and_no_dead_letters(
    settings: Settings, topic: str, policy: str
) -> None:
    (spec,) = [spec for spec in plan(settings) if spec.name == settings.topic_prefix + topic]
    assert spec.config["cleanup.policy"] == policy
    assert spec.config.get("max.message.bytes") == ("2097152" if topic.endswith("-dlt") else None)


async def test_8_what_is_missing_or_wrong_is_found_and_what_to_do_is_said(settings: Settings, stack: Stack) -> None:
    outlet = Outlet(stack.kafka_bootstrap, "", settings.topic_prefix)
    await outlet.topic("stock-level", partitions=2)  # somebody made these by hand
    await outlet.topic("restock", partitions=5)
    await outlet.topic("stock-count", partitions=2, cleanup_policy="compact,delete")
    await outlet.topic("restock-dlt", partitions=2)
    assert [finding.problem for finding in await check(settings)].count("missing") == len(plan(settings)) - 4
    assert len(await create(settings)) == len(plan(settings)) - 4
    name = settings.topic_prefix
    assert await check(settings) == [
        Finding(
            f"{name}restock", "partitions", "has 5 partitions, STOCK_TOPIC_PARTITIONS says 2: set it to what is there"
        ),
        Finding(f"{name}stock-count", "cleanup_policy", "has cleanup.policy=compact,delete, set it to delete"),
        Finding(f"{name}stock-level", "cleanup_policy", "has cleanup.policy=delete, set it to compact"),
        Finding(
            f"{name}restock-dlt",
            "max_message_bytes",
            "has max.message.bytes=1048588, set it to 2097152: dead letters would be cut",
        ),
    ]


async def test_8_checking_creates_nothing(settings: Settings) -> None:
    assert {finding.problem for finding in await check(settings)} == {"missing"}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    there = await admin.list_topics()
    await admin.close()
    assert not [topic for topic in there if topic.startswith(settings.topic_prefix)]


async def test_8_a_topic_that_the_broker_refuses_is_told_in_its_words(stack: Stack, topics: str) -> None:
    settings = settings_for(stack.kafka_bootstrap, "postgresql://a@b/c", topics, topic_replication=5)
    with pytest.raises(KafkaError, match=rf"{topics}order-placed: .*replication factor"):
        await create(settings)
