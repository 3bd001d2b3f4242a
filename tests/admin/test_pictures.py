"""Pictures that are drawn here: every motif in every colour, and nothing else."""

from xml.etree import ElementTree as ET

import pytest

from stock_worker.http.admin.pictures import COLOURS, MOTIFS, PATH, address_of
from tests.admin.looking import ORIGIN
from tests.http.running import Api


async def test_every_motif_is_drawn_in_every_colour(served: Api) -> None:
    drawn = set()
    for motif in MOTIFS:
        for colour in COLOURS:
            answer = await served.client.get(ORIGIN + address_of(motif, colour))
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml"), (motif, colour)
            assert [each.tag.partition("}")[2] for each in ET.fromstring(answer.content)] == ["rect", "path", "path"]  # noqa: S314 - ours
            drawn.add(answer.text)
    assert len(drawn) == len(MOTIFS) * len(COLOURS)


@pytest.mark.parametrize("name", ["mug-red.svg", "hat-blue.svg", "mug-blue.png", "mug-%22%3E.svg"])
async def test_nothing_else_is_drawn(served: Api, name: str) -> None:
    assert (await served.client.get(f"{ORIGIN}{PATH}/{name}")).status_code == 404
