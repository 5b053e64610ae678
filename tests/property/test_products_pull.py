"""The list of products under changes while it is read: whatever happens between two pages, a pull that succeeds has
every product that was there all the time, each once; and a list that never stands still is no pull."""

from __future__ import annotations

import itertools

import pytest
from conftest import TOKEN
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import examples

from syncer.api.client import Client
from syncer.api.limits import ReadLimiter
from syncer.api.reading import Reader
from syncer.api.transport import Transport
from syncer.errors import UnreachableError
from syncer.process.clock import SystemClock
from syncer.process.signals import Interrupt
from syncer.products.pull import ROUNDS_MAX, look_up, pull_products
from syncer.sandbox import Sandbox, SandboxConfig

PAGE = 5


class Skipping(SystemClock):
    """A clock whose waits are over at once."""

    def __init__(self):
        self.skipped_s = 0.0

    def monotonic_s(self):
        return super().monotonic_s() + self.skipped_s

    def sleep_s(self, seconds):
        self.skipped_s += max(0.0, seconds)


class Meddled(Client):
    """The real client; before every page somebody may change the company's products."""

    def __init__(self, transport, meddle):
        super().__init__(transport)
        self._meddle = meddle
        self.pages = 0

    def products(self, query):
        self.pages += 1
        self._meddle(self.pages)
        return super().products(query)


@pytest.fixture(scope="module")
def box():
    with Sandbox(SandboxConfig(products=(), products_page_max=PAGE, reads_per_minute=1_000_000)) as box:
        yield box


@pytest.fixture(scope="module")
def transport(box):
    transport = Transport(box.url, TOKEN, timeout_s=5, user_agent="test", clock=SystemClock())
    yield transport
    transport.close()


def reader(client):
    return Reader(client, Skipping(), ReadLimiter(1_000_000), Interrupt(), give_up_after_s=5)


def skus(box, archived="0"):
    return {product["sku"] for product in box.catalogue.select({"is_archived": archived})}


CHANGES = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["new", "old", "remove", "archive", "restore"]), st.integers(0, 40)),
    max_size=6,
)


def apply(box, kind, place, numbers):
    """Make one change: a new product comes first in the list, an old or a restored one somewhere, others go."""
    catalogue, active, away = box.catalogue, sorted(skus(box)), sorted(skus(box, "1"))
    with box.lock:
        if kind == "new":
            catalogue.add(f"N{next(numbers)}")
        elif kind == "old":
            catalogue.add({"sku": f"O{next(numbers)}", "creation_date": f"2021-02-01T03:{25 + place:02}:42.4Z"})
        elif kind == "restore" and away:
            catalogue.change(away[place % len(away)], {"is_archived": False})
        elif kind == "remove" and active:
            catalogue.remove(active[place % len(active)])
        elif kind == "archive" and active:
            catalogue.change(active[place % len(active)], {"is_archived": True})


@settings(max_examples=examples(120))
@given(count=st.integers(0, 24), away=st.integers(0, 8), changes=CHANGES, archived=st.booleans())
def test_no_product_that_was_there_all_the_time_is_missing_or_twice(box, transport, count, away, changes, archived):
    box.reset()
    for number in range(count + away):
        box.catalogue.add({"sku": f"S{number:02}", "is_archived": number >= count})
    numbers = itertools.count()
    stays = skus(box) | (skus(box, "1") if archived else set())
    ever = set(stays)

    def meddle(page):
        nonlocal stays, ever
        for at, kind, place in changes:
            if at == page:
                apply(box, kind, place, numbers)
                there = skus(box) | (skus(box, "1") if archived else set())
                stays, ever = stays & there, ever | there

    pull = pull_products(reader(Meddled(transport, meddle)), archived=archived)
    found = [product.sku for product in pull.products]
    assert len(found) == len(set(found)) == pull.record.products
    assert stays <= set(found) <= ever
    if not changes:
        assert set(found) == skus(box) | (skus(box, "1") if archived else set())
    assert pull.record.rounds <= ROUNDS_MAX


def test_a_swap_that_leaves_the_count_as_it_was_is_noticed(box, transport):
    """One product goes from a page that was read, another appears on one that was not: count and ids look right."""
    box.reset()
    for number in range(15):
        box.catalogue.add(f"S{number:02}")

    def meddle(page):
        if page == 2:
            with box.lock:
                box.catalogue.remove("S14")  # the newest: on the first page
                box.catalogue.add({"sku": "ancient", "creation_date": "2001-01-01T00:00:00.0Z"})  # on the last

    pull = pull_products(reader(Meddled(transport, meddle)), archived=False)
    assert {product.sku for product in pull.products} == skus(box)
    assert pull.record.rounds == 3


@pytest.mark.parametrize("kind", ["new", "remove", "old"])
def test_a_list_that_never_stands_still_is_given_up_after_bounded_rounds(box, transport, kind):
    box.reset()
    for number in range(200):
        box.catalogue.add(f"S{number:03}")
    numbers = itertools.count()
    client = Meddled(transport, lambda page: apply(box, kind, 0, numbers))
    with pytest.raises(UnreachableError, match=f"{ROUNDS_MAX} times in a row") as given_up:
        pull_products(reader(client), archived=False)
    assert given_up.value.exit_code == 5
    assert client.pages < 100 * ROUNDS_MAX


def test_one_page_needs_one_request(box, transport):
    box.reset()
    for sku in ("a", "b"):
        box.catalogue.add(sku)
    pull = pull_products(reader(Client(transport)), archived=False)
    assert (pull.record.products, pull.record.requests, pull.record.rounds) == (2, 1, 1)


def test_a_look_up_finds_archived_products_and_only_the_exact_sku(box, transport):
    box.reset()
    box.catalogue.add({"sku": "old one", "is_archived": True})
    asked = reader(Client(transport))
    assert look_up(asked, "old one").is_archived
    assert look_up(asked, "Old one") is None
    assert look_up(asked, "") is None


def test_a_server_that_shows_archived_products_among_all_others_is_read_as_well(box, transport):
    """What ``is_archived=1`` lists is not documented: the archived ones alone, or those too."""
    box.reset()
    for number in range(12):
        box.catalogue.add({"sku": f"S{number:02}", "is_archived": number % 3 == 0})

    class Inclusive(Client):
        def products(self, query):
            kept = box.catalogue.select
            if query.get("is_archived") == "1":
                box.catalogue.select = lambda asked: sorted(
                    [*kept({**asked, "is_archived": "0"}), *kept(asked)], key=lambda one: -one["id"]
                )
            try:
                return super().products(query)
            finally:
                box.catalogue.select = kept

    pull = pull_products(reader(Inclusive(transport)), archived=True)
    assert len(pull.products) == len({product.sku for product in pull.products}) == 12
    assert sum(product.is_archived for product in pull.products) == 4


@pytest.mark.parametrize(
    "text",
    [
        '{"count": 1, "next": null, "results": []}',
        '{"count": 2, "next": null, "results": [{"id": 1, "sku": "a"}, {"id": 1, "sku": "b"}]}',
        '{"count": 9, "next": "/api/v2/products/?offset=5", "results": []}',
        '{"count": 1, "next": "/api/v2/products/?offset=5", "results": [{"id": 1, "sku": "a"}]}',
    ],
)
def test_answers_that_cannot_be_a_whole_list_end_after_bounded_requests(box, transport, text):
    box.faults.replace([{"kind": "body", "on": "products", "every": 1, "text": text}])
    client = Meddled(transport, lambda page: None)
    with pytest.raises(UnreachableError):
        pull_products(reader(client), archived=False)
    assert client.pages <= 2 * ROUNDS_MAX
    box.faults.replace([])
