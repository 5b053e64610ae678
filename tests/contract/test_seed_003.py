"""Seed 003, "Download Products": every example of it, asked of the sandbox over HTTP, and read by the client."""

from __future__ import annotations

import json

import pytest
import requests
from conftest import TOKEN

from syncer.api.classify import Verdict
from syncer.api.client import Client
from syncer.api.products import list_query, sku_query
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock
from syncer.sandbox import Sandbox, SandboxConfig

PATH = "/api/v2/products/"
AUTH = {"Authorization": "UAT any"}
NEWEST = {
    "id": 6326,
    "uuid": "a69ba3ee-3009-44e4-9622-c2c2c25e8f17",
    "sku": "tom-prefix-testing-pro",
    "image": None,
    "name": "tom-prefix-testing-pro",
    "description": "testing",
    "label": "tom-prefix-testing-pro",
    "brand": {
        "id": 1115,
        "name": "Chicago Girl",
        "image": "https://s3-eu-west-1.amazonaws.com/cc-staging.scantrust.com/c/446/brand/blob-znaohi.png",
    },
    "company": {"id": 446, "uuid": "d7210852-db2c-4e91-b783-ca608cdfbe32", "name": "Chicago Merchants"},
    "creation_date": "2021-02-01T03:24:42.468939Z",
    "client_url": "https://www.baidu.com",
    "is_archived": False,
    "code_count": 0,
    "active_code_count": 0,
    "blacklisted_code_count": 0,
    "campaign": {"id": 2207, "name": "tom-prefix-sid", "description": "prefix testing", "is_archived": False},
    "smartlabel": None,
}
PROD2 = {
    "id": 959,
    "uuid": "701b1a6f-e751-4c20-8012-028063322fb0",
    "sku": "prod2",
    "image": None,
    "name": "Product #2",
    "description": "",
    "label": "Product #2",
    "brand": {"id": 749, "name": "100 Brand", "image": None},
    "company": {"id": 871, "uuid": "1fc1a571-1918-4f7d-b826-510752156cdf", "name": "Test brand"},
    "creation_date": "2017-02-16T08:59:08.774705Z",
    "client_url": "",
    "is_archived": False,
    "code_count": 0,
    "active_code_count": 0,
    "blacklisted_code_count": 0,
    "campaign": {"id": 188, "name": "test campaign", "description": "camp", "is_archived": False},
}
OTHERS = tuple({"sku": f"S{n:02}", "creation_date": f"2019-01-{n % 28 + 1:02}T00:00:{n:02}.000000Z"} for n in range(71))


@pytest.fixture
def box():
    with Sandbox(SandboxConfig(products=(PROD2, *OTHERS, NEWEST, {"sku": "old", "is_archived": True}))) as box:
        yield box


def get(box, query):
    return requests.get(f"{box.url}{PATH}?{query}", headers=AUTH, timeout=5).json()


@pytest.fixture
def client(box):
    transport = Transport(box.url, TOKEN, timeout_s=5, user_agent="test", clock=SystemClock())
    yield Client(transport)
    transport.close()


def test_seed_003_all_products_of_a_company_come_in_pages(box):
    page = get(box, "is_archived=0&limit=20&offset=0&ordering=-creation_date")
    assert page["count"] == 73
    assert page["next"] == f"{box.url}{PATH}?is_archived=0&limit=20&offset=20&ordering=-creation_date"
    assert page["previous"] is None
    assert len(page["results"]) == 20
    assert page["results"][0] == NEWEST
    seen = [product["id"] for product in page["results"]]
    for _ in range(3):
        page = requests.get(page["next"], headers=AUTH, timeout=5).json()
        seen += [product["id"] for product in page["results"]]
    assert page["next"] is None
    assert len(seen) == len(set(seen)) == 73
    assert seen[-1] == PROD2["id"]


def test_seed_003_every_parameter_is_optional_and_has_the_documented_default(box):
    assert get(box, "") == get(box, "is_archived=0&limit=20&offset=0") | {"next": get(box, "")["next"]}
    assert [product["sku"] for product in get(box, "is_archived=1")["results"]] == ["old"]
    dates = [product["creation_date"] for product in get(box, "ordering=-creation_date&limit=100")["results"]]
    assert dates == sorted(dates, reverse=True)
    assert len(get(box, "limit=7&offset=70")["results"]) == 3


def test_seed_003_one_product_by_its_sku(box):
    found = get(box, "sku__exact=prod2")
    assert {name: found[name] for name in ("count", "next", "previous")} == {"count": 1, "next": None, "previous": None}
    assert [{name: one[name] for name in PROD2} for one in found["results"]] == [PROD2]


def test_seed_003_a_product_that_is_not_found(box):
    nothing = {"count": 0, "next": None, "previous": None, "results": []}
    for sku in ("prod", "PROD2", "prod2%20"):
        assert get(box, f"sku__exact={sku}") == nothing


def test_seed_003_the_permission_is_product_view():
    with Sandbox(SandboxConfig(tokens={"yes": frozenset({"product_view"}), "no": frozenset({"codes_view"})})) as box:
        codes = [
            requests.get(box.url + PATH, headers={"Authorization": f"UAT {token}"}, timeout=5).status_code
            for token in ("yes", "no", "unknown")
        ]
        assert codes == [200, 403, 401]
        assert requests.get(box.url + PATH, timeout=5).status_code == 401


def test_the_client_reads_the_seeds_products_typed_and_keeps_their_whole_json(client):
    first = client.products({**list_query(archived=False), "limit": "20"})
    assert (first.verdict, first.count, len(first.products)) == (Verdict.OK, 73, 20)
    newest = first.products[0]
    assert (newest.id, newest.sku, newest.is_archived, newest.campaign) == (6326, NEWEST["sku"], False, 2207)
    assert json.loads(newest.data) == NEWEST
    assert first.following["offset"] == "20"
    (prod2,) = client.products(sku_query("prod2", archived=False)).products
    assert (prod2.id, prod2.name) == (959, "Product #2")
    missing = client.products(sku_query("nope", archived=False))
    assert (missing.verdict, missing.count, missing.products) == (Verdict.OK, 0, ())


def test_with_no_products_configured_every_sku_is_known_and_codes_name_the_list():
    with Sandbox(SandboxConfig(codes=({"extended_id": "A1", "product": "TEA"},))) as box:
        assert [one["sku"] for one in get(box, "")["results"]] == ["TEA"]
        (made,) = get(box, "sku__exact=anything")["results"]
        assert get(box, "sku__exact=anything")["results"] == [made]
        assert get(box, "")["count"] == 2


def test_the_control_door_shifts_pages_and_counts_follow_the_codes(box):
    before = [one["sku"] for one in get(box, "limit=5&offset=5")["results"]]
    changed = {"add": ["brand-new"], "change": {"prod2": {"is_archived": True}}}
    assert requests.post(f"{box.url}/sandbox/products", json=changed, timeout=5).json() == {"products": 75}
    assert [one["sku"] for one in get(box, "limit=5&offset=6")["results"]] == before
    requests.post(f"{box.url}/sandbox/products", json={"remove": ["brand-new"]}, timeout=5)
    assert [one["sku"] for one in get(box, "limit=5&offset=5")["results"]] == before
    for wrong in ({"remove": ["none"]}, {"add": ["S01"]}, {"add": [{}]}, [], {"change": {"none": {}}}):
        assert requests.post(f"{box.url}/sandbox/products", json=wrong, timeout=5).status_code == 400
    requests.post(
        f"{box.url}/sandbox/codes", json=[{"extended_id": "X", "product": "S01", "activation_status": "2"}], timeout=5
    )
    (found,) = get(box, "sku__exact=S01")["results"]
    assert (found["code_count"] - 1, found["blacklisted_code_count"]) == (0, 1)
