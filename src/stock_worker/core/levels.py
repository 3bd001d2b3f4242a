"""When an item's level changes, and who is told. Law: every change of the level last emitted is emitted exactly once.

A level is evaluated once per item and command on what the command left, and again when a rule, a setting or the
catalog changes. An alert's id is that of one stay at one level; while a rule is not active the level shows and nothing
is emitted. Source: contract rule 10.
"""

from stock_worker.core.alerts import level_of
from stock_worker.core.ids import numbered, series
from stock_worker.core.model import Command, Level
from stock_worker.core.state import AlertChange, Item, LevelChange, World


def evaluate(world: World, item: Item, command: Command | None) -> None:
    """Compare the item's level with the one that shows and the one last emitted; `command` is None for a rule's change.

    An item that has never moved has no level.
    """
    policy = item.policy
    level = level_of(item.available, policy.thresholds) if policy.watched else Level.OK
    emits = policy.is_active and level is not item.emitted
    if (level is item.level and not emits) or item.version == 0:
        return
    if command is None:
        tell_level(world, item)
    at = world.recorded_at if item.last_movement_at is None else max(world.recorded_at, item.last_movement_at)
    change = world.changes.levels.get(item.item_id)
    since = change.since if change else None
    if level is not item.level:
        item.stay += 1
        item.level, since = level, at
    alert_id = numbered(series("alert", item.key.text), item.stay)
    if emits:
        world.changes.alerts.append(
            AlertChange(
                item=item,
                alert_id=alert_id,
                previous_level=item.emitted,
                level=level,
                on_hand=item.on_hand,
                reserved=item.reserved,
                version=item.version,
                revision=item.revision,
                net_sold=item.net_sold,
                policy=policy,
                at=at,
                command=command,
            )
        )
        item.emitted = level
    alerted_at = at if emits and level is not Level.OK else change.alerted_at if change else None
    world.changes.levels[item.item_id] = LevelChange(item, alert_id, since, alerted_at)


def tell_level(world: World, item: Item) -> None:
    """Publish the item's state with this batch: its revision grows once in a batch."""
    if item.item_id not in world.changes.items:
        world.changes.items[item.item_id] = item
        item.revision += 1
