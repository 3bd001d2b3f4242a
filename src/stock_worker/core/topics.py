"""Names of the topics, without the deployment's prefix. Law: every topic of the service is named here and nowhere else.

Source: contract section 3 (commands in) and section 6 (events out).
"""

from typing import Final

ORDER_PLACED: Final = "order-placed"
ORDER_CANCELLED: Final = "order-cancelled"
ORDER_FULFILLED: Final = "order-fulfilled"
RETURN_RECEIVED: Final = "return-received"
RESTOCK: Final = "restock"
STOCK_ADJUSTMENT: Final = "stock-adjustment"
STOCK_COUNT: Final = "stock-count"
STOCK_TRANSFER: Final = "stock-transfer"
PRODUCT_CHANGED: Final = "product-changed"

COMMAND_TOPICS: Final = (
    ORDER_PLACED,
    ORDER_CANCELLED,
    ORDER_FULFILLED,
    RETURN_RECEIVED,
    RESTOCK,
    STOCK_ADJUSTMENT,
    STOCK_COUNT,
    STOCK_TRANSFER,
    PRODUCT_CHANGED,
)

STOCK_CHANGED: Final = "stock-changed"
STOCK_LEVEL: Final = "stock-level"
ALERT_LEVEL_CHANGED: Final = "alert-level-changed"
ADJUSTMENT_REJECTED: Final = "adjustment-rejected"
ADJUSTMENT_APPLIED: Final = "adjustment-applied"

EVENT_TOPICS: Final = (STOCK_CHANGED, STOCK_LEVEL, ALERT_LEVEL_CHANGED, ADJUSTMENT_REJECTED, ADJUSTMENT_APPLIED)

COMPACTED_TOPICS: Final = (PRODUCT_CHANGED, STOCK_LEVEL)
"""Topics whose newest record per key is their state; every other topic is deleted by age, dead letters included."""

DEAD_LETTER_SUFFIX: Final = "-dlt"
DEAD_LETTER_MAX_BYTES: Final = 2 * 1024 * 1024
"""`max.message.bytes` of the dead-letter topics: a record of the default 1 MB with its original and added headers."""
REQUEST_MAX_BYTES: Final = DEAD_LETTER_MAX_BYTES + 64 * 1024
"""What a producer must be allowed to send such a record, with Kafka's own framing."""


def dead_letter_topic(command_topic: str) -> str:
    """Give the dead-letter topic of a command topic (either both with the deployment's prefix, or both without)."""
    return command_topic + DEAD_LETTER_SUFFIX


def command_topic_of(name: str) -> str:
    """Give the command topic that a topic is, whatever prefix a deployment has or had."""
    return next(topic for topic in COMMAND_TOPICS if name.endswith(topic))
