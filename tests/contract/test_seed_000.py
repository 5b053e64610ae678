"""Every example of the seed document about scan data, by its name, against the sandbox, with the program itself."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request
from contextlib import closing

import pytest
from scan_tools import SCANS_END, delivered, pull

from syncer.api.classify import Verdict
from syncer.api.scans import ScansClient, first_query
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock
from syncer.scans.columns import DOCUMENTED, block_of

EXAMPLE_JSON = json.loads("""{
"uuid": "4ca631eb-d68a-40ec-8b24-17026f28df3b", "utid": "e586c198-871f-11eb-a6d6-fa3f7f318d1b", "user_id": null,
"user": {"first_name": null, "last_name": null, "email": null}, "install_id": null, "consumer_email": "",
"app": "other", "reason": "query", "result": "ok", "auth_failure_mode": "", "is_blacklisted": false,
"status": "third-party", "creation_date": "2021-03-17T12:54:23.219715Z",
"scan_timestamp": "2021-03-17T12:54:23.219715Z", "mobile_scan_timestamp": null,
"device": {"model": "IPHONE", "model_name": "iPhone", "os": "ios", "brand": "Apple"},
"scm_data": {"tbox": "763C950618043SMPHGF3S4F94A13BE5", "reel_id": "1", "rcontainer": "C1", "factory_date": "10/1/18",
"rza_test_run": "TR1", "intended_market": "us", "production_date": "1/1/18", "shipment_number": "ship_1"},
"country_name": "South Korea", "country_code": "KR", "province_name": "Seoul", "city": "Seoul", "lat": 37.5985,
"lng": 126.9783, "serial_number": "EDZDSAEY", "product_id": 1919, "product_sku": "SS001",
"product_name": "SantiagoShoes2017", "product_image": "c/446/product/blob-tjyztv.png", "code_id": 7519082,
"code_message": "1CE523C048043SMPHGF3SF544215B1C", "activation_status": 1, "blacklist_reason": 0,
"computed_status": "verified", "classification": 1, "flags": []}""")
EXAMPLE_LINES = """\
c08af33c-720b-4a3f-a89f-0f86f39d5152,2021-04-14T09:30:36.531580Z,1618392636,other,query,ok,failure,,blacklisted,118901e4-9d04-11eb-a54f-fa97856bd60e,,118901e4-9d04-11eb-a54f-fa97856bd60e,,B84EC06A80061SA7842119AA,GN3NYVYR,2,4,2017,12345678901234,SmartMilk ELN,SmartMilk,,MAC,other,other,ip_address,HK,Hong Kong,Central,Central,22.2795000,114.1460000
4ca631eb-d68a-40ec-8b24-17026f28df3b,2021-03-17T12:54:23.219715Z,1615985663,other,query,ok,verified,,,e586c198-871f-11eb-a6d6-fa3f7f318d1b,,e586c198-871f-11eb-a6d6-fa3f7f318d1b,,1CE523C048043SMPHGF3SF544215B1C,EDZDSAEY,1,0,1919,SS001,SantiagoShoes2017,JJ,,IPHONE,iPhone,ios,ip_address,KR,South Korea,Seoul,Seoul,37.5985000,126.9783000
""".splitlines()
NOT_IN_JSON = {"product.brand_name", "location.positioning"}
"""Columns that only the API's own CSV has; and the CSV's example leaves out ``device.brand``, which the JSON has."""


@pytest.fixture
def company(night):
    """A sandbox with campaign 195: the seed's example, and scans beside it that each filter must leave out."""
    with night(scans=0, scans_campaign=195, scans_end=SCANS_END, products=frozenset({"SS001"})) as here:
        box = here.box
        box.scan(**EXAMPLE_JSON)
        here.ids = {
            "other campaign": box.scan(campaign=7, flags=["out-of-market"], scm_data={"intended_market": "zh"}),
            "out of market, zh": box.scan(flags=["out-of-market"], scm_data={"intended_market": "zh"}),
            "out of market, de": box.scan(flags=["out-of-market"], scm_data={"intended_market": "de"}),
            "counterfeit, zh": box.scan(flags=["counterfeit"], scm_data={"intended_market": "zh"}),
            "332 before": box.scan(product_id=332, creation_date="2021-01-30T23:59:59Z"),
            "332 within": box.scan(product_id=332, creation_date="2021-03-01T00:00:00Z"),
            "332 after": box.scan(product_id=332, creation_date="2021-05-19T00:00:00Z"),
            "333 within": box.scan(product_id=333, creation_date="2021-03-01T00:00:01Z"),
            "inactive, now": box.scan(activation_status=0),
            "inactive, long ago": box.scan(activation_status=0, creation_date="2019-01-01T00:00:00Z"),
            "blacklisted, now": box.scan(activation_status=2),
        }
        yield here


def asked(here, query, token="x"):
    request = urllib.request.Request(
        f"{here.box.url}/api/v2/dashboard/scans/{query}", headers={"Authorization": f"UAT {token}"} if token else {}
    )
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def names(here, folder):
    known = {uuid: name for name, uuid in here.ids.items()}
    return sorted(known.get(row["scan.uuid"], "the example") for row in delivered(here.folder / folder))


def test_the_token_needs_the_permission_scans_download(night):
    with night(tokens={"may": frozenset({"scans_download"}), "may-not": frozenset({"product_view"})}) as here:
        assert asked(here, "?campaign_id=195", "may")[0] == 200
        assert asked(here, "csv?campaign_id=195", "may-not")[0] == 403
        assert asked(here, "?campaign_id=195", "may-not")[0] == 403
        assert asked(here, "?campaign_id=195", "")[0] == 401


def test_the_campaign_is_required(company):
    for path in ("", "csv"):
        status, body = asked(company, path + "?flags=counterfeit")
        assert (status, json.loads(body)) == (400, {"campaign_id": ["This field is required."]})


def test_all_scans_of_campaign_195_flagged_out_of_market_with_intended_market_china(company):
    pull(company, out="a", campaign=195, flags=("out-of-market",), where={"intended_market": "zh"})
    assert names(company, "a") == ["out of market, zh"]


def test_all_scans_of_campaign_195_between_two_days_for_product_332(company):
    pull(company, out="b", campaign=195, begin="2021-01-31", end="2021-05-18", product="332")
    assert names(company, "b") == ["332 within"]


def test_all_scans_of_campaign_195_of_the_past_year_for_inactive_codes(company):
    for frame in ("-1y", "1y"):
        pull(company, out=f"c{frame}", campaign=195, timeframe=frame, status=0)
        assert names(company, f"c{frame}") == ["inactive, now"]


@pytest.mark.parametrize(
    ("query", "count"),
    [("timeframe=-1y", 5), ("timeframe=-1m", 5), ("timeframe=-1w", 5), ("date_from=2018-12-21T23:59:59.549Z", 11),
     ("date_to=2020-12-21T23:59:59.549Z", 1), ("flags=counterfeit,out-of-market", 3), ("activation_status=2", 1), ("activation_status=0", 2),
     ("product=332", 3), ("intended_market=us", 1), ("case_no=1", 0)],
)  # fmt: skip
def test_every_parameter_of_the_table_filters(company, query, count):
    status, body = asked(company, f"?campaign_id=195&{query}")
    assert (status, json.loads(body)["count"]) == (200, count)
    assert len(asked(company, f"csv?campaign_id=195&{query}")[1].splitlines()) == 1 + count


@pytest.mark.parametrize("query", ["timeframe=soon", "date_from=yesterday", "product=SS001", "activation_status=on"])
def test_a_parameter_that_cannot_be_read_is_refused(company, query):
    assert asked(company, f"?campaign_id=195&{query}")[0] == 400


def test_the_example_of_a_json_answer_comes_out_member_by_member(company):
    status, body = asked(company, "?campaign_id=195&reel_id=1")
    assert status == 200
    assert json.loads(body) == {"count": 1, "next": None, "previous": None, "results": [EXAMPLE_JSON]}
    transport = Transport(company.box.url, "x", timeout_s=5, user_agent="test", clock=SystemClock())
    with closing(ScansClient(transport)) as client:
        answer = client.page(first_query({"campaign_id": "195", "reel_id": "1"}, page_rows=10))
    assert (answer.verdict, answer.following, len(answer.scans)) == (Verdict.OK, None, 1)
    row = block_of(answer.scans).table.to_pylist()[0]
    columns = {name: EXAMPLE_JSON["scm_data"][name.removeprefix("scm.")] for name in row if name.startswith("scm.")}
    assert columns == {name: value for name, value in row.items() if name.startswith("scm.")}
    assert len(columns) == len(EXAMPLE_JSON["scm_data"])


def test_the_example_of_the_csv_is_what_the_same_scan_gives_as_columns(company):
    """The second line of the CSV's example is the scan of the JSON's example."""
    pull(company, out="d", form="csv", campaign=195, where={"reel_id": "1"})
    (row,) = delivered(company.folder / "d")
    (line,) = csv.reader([EXAMPLE_LINES[1]])
    assert len(line) == len(DOCUMENTED)
    for name, value in zip(DOCUMENTED, line, strict=True):
        if name.startswith("location.l"):
            assert float(str(row[name])) == float(value)
        elif name not in {*NOT_IN_JSON, "device.brand"}:
            assert row[name] == value, name


def test_both_lines_of_the_csv_s_example_are_what_the_api_s_own_csv_says_of_these_scans(company):
    """The first line's scan stands in no JSON, so it is made here of the line's own values."""
    company.box.scan(
        uuid="c08af33c-720b-4a3f-a89f-0f86f39d5152", utid="118901e4-9d04-11eb-a54f-fa97856bd60e", app="other",
        reason="query", result="ok", computed_status="failure", auth_failure_mode="", flags=["blacklisted"],
        user={"first_name": None, "last_name": None, "email": None}, install_id=None,
        creation_date="2021-04-14T09:30:36.531580Z", code_message="B84EC06A80061SA7842119AA", serial_number="GN3NYVYR",
        activation_status=2, blacklist_reason=4, product_id=2017, product_sku="12345678901234",
        product_name="SmartMilk ELN", device={"model": "MAC", "model_name": "other", "os": "other", "brand": "x"},
        country_code="HK", country_name="Hong Kong", province_name="Central", city="Central", lat=22.2795, lng=114.146,
        scm_data={"reel_id": "1"},
    )  # fmt: skip
    status, body = asked(company, "csv?campaign_id=195&reel_id=1")
    header, *lines = csv.reader(body.splitlines())
    assert (status, header[: len(DOCUMENTED)], len(lines)) == (200, list(DOCUMENTED), 2)
    for written, shown in zip(csv.reader(EXAMPLE_LINES), lines, strict=True):
        expected = dict(zip(DOCUMENTED, written, strict=True)) | {"product.brand_name": ""}
        assert dict(zip(DOCUMENTED, shown, strict=False)) == expected


def test_the_csv_has_a_header_with_dots_and_no_quotes(company):
    company.box.scan(product_name="Milk, whole", scm_data={"intended_market": "zh"})
    status, body = asked(company, "csv?campaign_id=195&intended_market=zh")
    header, *lines = body.splitlines()
    assert status == 200
    assert header.startswith("scan.uuid,scan.datetime,scan.timestamp,scan.app")
    assert '"' not in body
    assert {len(line.split(",")) - len(header.split(",")) for line in lines} == {0, 1}
    rows = list(csv.DictReader(io.StringIO(body)))
    assert {row["scm.intended_market"] for row in rows} == {"zh", ""}, "the comma has shifted one line"


def test_the_raw_csv_is_passed_through_byte_by_byte_and_its_broken_line_is_named(company):
    company.box.scan(product_name="Milk, whole", scm_data={"intended_market": "zh"})
    _, body = asked(company, "csv?campaign_id=195&intended_market=zh&date_from=2000-01-01")
    done = company.run("scans", "pull", "--campaign", "195", "--where", "intended_market=zh", "--raw-csv", "--json")
    assert (company.folder / "scans-195.csv").read_text(encoding="utf-8") == body
    assert (done.code, done.document["lines"], done.document["broken"]) == (3, 3, 1)
    assert done.document["broken_lines"] == [2]
