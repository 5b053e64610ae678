"""Every example of the seed on own codes (001), in its order, against the sandbox over HTTP; and our client with it."""

from __future__ import annotations

import time

import pytest
import requests
from conftest import TOKEN

from syncer.api.classify import Verdict
from syncer.api.ingestion import IngestionClient
from syncer.api.storage import StorageHost, StorageVerdict
from syncer.api.transport import Transport
from syncer.process.clock import SystemClock
from syncer.sandbox import Sandbox, SandboxConfig

AUTH = {"Authorization": f"UAT {TOKEN}"}
POST_DATA = "/api/v2/ingestion/codes/upload/get-post-data/"
PROCESS = "/api/v2/ingestion/codes/upload/process/"
INGESTION = "/api/v2/ingestion/"
SEED_CSV = (
    "id,product,pallet_number,intended_market\n"
    "abc12345,sku1,pal1,BE\ndef12345,sku1,pal1,NL\nghi12345,sku1,pal2,DE\njkl12345,sku1,pal2,FR\n"
)
PERMISSIONS = frozenset(
    {
        "workorder_view", "workorder_download", "workorder_sid_download", "ingestion_view", "ingestion_cancel",
        "ingestion_code_create", "product_view",
    }
)  # fmt: skip


@pytest.fixture
def box():
    with Sandbox(SandboxConfig(codes=(), products=frozenset({"sku1", "NICK1"}), ingestion_run_s=0.0)) as box:
        yield box


def post(box, path, body, headers=AUTH):
    return requests.post(box.url + path, json=body, headers=headers, timeout=5, allow_redirects=False)


def get(box, path, headers=AUTH):
    return requests.get(box.url + path, headers=headers, timeout=5)


def form(box, filetype="csv"):
    answer = post(box, POST_DATA, {"filetype": filetype})
    assert answer.status_code == 201
    return answer.json()


def store(made, content=SEED_CSV, headers=None, fields=None):
    data = made["post_data"]
    sent = [(name, (None, value)) for name, value in (fields or data["fields"]).items()]
    return requests.post(data["url"], files=[*sent, ("file", ("codes.csv", content))], headers=headers or {}, timeout=5)


def upload(box, content=SEED_CSV, filetype="csv", **process):
    made = form(box, filetype)
    assert store(made, content).status_code == 201
    answer = post(box, PROCESS, {"record": made["record_key"], "default_scm_data": {}, **process})
    return made["record_key"], answer


def record(box, key):
    return get(box, f"{INGESTION}{key}/").json()


def test_the_permissions_of_the_seed_are_enough_and_each_of_the_needed_ones_is_asked_for():
    tokens = {"seed": PERMISSIONS, "blind": frozenset({"codes_view"}), "few": PERMISSIONS - {"ingestion_code_create"}}
    with Sandbox(SandboxConfig(codes=(), tokens=tokens)) as box:
        for token, expected in (("seed", 201), ("blind", 403), ("few", 403), ("none", 401)):
            answer = post(box, POST_DATA, {"filetype": "csv"}, {"Authorization": f"UAT {token}"})
            assert answer.status_code == expected, token
        assert get(box, "/api/v2/workorders/", {"Authorization": "UAT seed"}).status_code == 200


@pytest.mark.parametrize("lacking", sorted(PERMISSIONS))
def test_each_permission_of_the_seed_is_needed_by_one_of_its_steps(lacking):
    auth = {"Authorization": "UAT few"}
    with Sandbox(SandboxConfig(codes=(), tokens={"few": PERMISSIONS - {lacking}})) as box:
        answers = [post(box, POST_DATA, {"filetype": "csv"}, auth), post(box, PROCESS, {}, auth)]
        answers += [get(box, path, auth) for path in (INGESTION, f"{INGESTION}x/", "/api/v2/workorders/")]
        answers.append(get(box, "/api/v2/workorders/1/download-serial-numbers/", auth))
        assert 403 in {answer.status_code for answer in answers}


def test_example_csv_file_with_a_header(box):
    key, answer = upload(box)
    assert answer.status_code == 200
    assert record(box, key)["status"] == "complete"
    assert box.code("ghi12345") == {
        "extended_id": "ghi12345", "product": "sku1", "pallet_number": "pal2", "intended_market": "DE",
        "activation_status": "0",
    }  # fmt: skip


@pytest.mark.parametrize("good", ["aB1_3dZ97-x2", "123abcd89XYZ"])
def test_id_examples_are_valid(box, good):
    key, _ = upload(box, f"id\n{good}\n")
    assert record(box, key)["status"] == "complete"


@pytest.mark.parametrize("bad", ["abc1234", "abc 12345", "abcdéfgh", "abc.12345", ""])
def test_other_ids_are_errors_and_create_nothing(box, bad):
    key, _ = upload(box, f"id,x\n{bad},1\ngood1234,2\n")
    assert record(box, key)["status"] == "error"
    assert box.codes() == []


@pytest.mark.parametrize(("status", "ended"), [("0", "complete"), ("1", "complete"), ("2", "complete"), ("3", "error")])
def test_optional_activation_status(box, status, ended):
    key, _ = upload(box, f"id,activation_status\nabcd1234,{status}\n")
    assert record(box, key)["status"] == ended


def test_optional_product_must_exist(box):
    key, _ = upload(box, "id,product\nabcd1234,nope\n")
    assert record(box, key)["status"] == "error"


def test_create_ingestion_record_example(box):
    made = form(box)
    assert set(made) == {"post_data", "record_key"}
    assert set(made["post_data"]) == {"url", "fields"}
    assert made["post_data"]["fields"]["Content-Type"] == "text/csv"
    assert form(box, "json")["post_data"]["fields"]["Content-Type"] == "application/json"
    assert set(made["post_data"]["fields"]) != set(form(box)["post_data"]["fields"]), "the fields change"


@pytest.mark.parametrize("body", [{"filetype": "xml"}, {}, {"filetype": None}, []])
def test_invalid_file_type_is_400(box, body):
    assert post(box, POST_DATA, body).status_code == 400


def test_upload_to_storage_is_201_and_goes_to_another_host(box):
    made = form(box)
    assert not made["post_data"]["url"].startswith(box.url)
    assert store(made).status_code == 201


def test_storage_refuses_the_token_and_says_so(box):
    made = form(box)
    assert store(made, headers=AUTH).status_code == 400
    assert any("Authorization" in words for words in box.world.violations)
    assert record(box, made["record_key"])["status"] == "uploading"
    assert box.ingestion.records[made["record_key"]].content is None


def test_storage_wants_all_fields_unaltered_and_the_file_last(box):
    made = form(box)
    fields = made["post_data"]["fields"]
    for name in fields:
        less = {key: value for key, value in fields.items() if key != name}
        assert store(made, fields=less).status_code == 403, name
        assert store(made, fields={**fields, name: fields[name] + "x"}).status_code == 403, name
    assert store(made, fields={**fields, "extra": "1"}).status_code == 403
    parts = [("file", ("codes.csv", SEED_CSV)), *((name, (None, value)) for name, value in fields.items())]
    assert requests.post(made["post_data"]["url"], files=parts, timeout=5).status_code == 403
    assert requests.post(made["post_data"]["url"], data=fields, timeout=5).status_code == 400
    assert box.ingestion.records[made["record_key"]].content is None
    assert store(made).status_code == 201


def test_the_form_is_valid_for_a_time_only():
    with Sandbox(SandboxConfig(codes=(), storage_valid_s=0.0)) as box:
        made = form(box)
        time.sleep(0.001)
        answer = store(made)
        assert (answer.status_code, "expired" in answer.text) == (403, True)
    assert SandboxConfig().storage_valid_s == 30 * 60


def test_process_example_with_defaults_duplicates_and_prefix(box):
    content = "id,product\nabcd1234,sku1\nabcd1235,\nabcd1234,\n"
    defaults = {"activation_status": 1, "product": "NICK1", "updated_by": "warehouse_1"}
    key, answer = upload(
        box, content, default_scm_data=defaults, allow_posted_duplicates=True, url_prefix="https://q.example/"
    )
    assert answer.status_code == 200
    assert record(box, key)["status"] == "complete"
    assert box.code("abcd1234")["product"] == "sku1", "the code's own data overrides the default"
    assert box.code("abcd1235")["product"] == "NICK1"
    assert box.code("abcd1235")["updated_by"] == "warehouse_1"
    assert box.code("abcd1235")["activation_status"] == "1"
    assert len(box.codes()) == 2
    assert box.ingestion.work_orders.list({})[0].url_prefix == "https://q.example/"


def test_process_error_wrong_state(box):
    key, _ = upload(box)
    again = post(box, PROCESS, {"record": key, "default_scm_data": {}})
    assert again.status_code == 400
    assert again.json()["detail"] == ("Only code ingestion records of type S3 in state 'uploading' can be processed.")
    assert len(box.codes()) == 4


def test_process_error_invalid_record(box):
    answer = post(box, PROCESS, {"record": "xvg24feojYz", "default_scm_data": {}})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Invalid record")


def test_process_error_file_not_found(box):
    answer = post(box, PROCESS, {"record": form(box)["record_key"], "default_scm_data": {}})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Uploaded file not found.")


def test_ingestion_record_example_with_duplicate_id_error(box):
    upload(box)
    key, _ = upload(box, "id\nabc12345\nzzz12345\nzzz12345\n")
    body = record(box, key)
    assert set(body) == {
        "id", "key", "description", "status", "type", "ingestion_mode", "created_at", "created_by",
        "status_updated_at", "parameters", "result_data",
    }  # fmt: skip
    assert (body["status"], body["type"], body["ingestion_mode"]) == ("error", "code", "api")
    assert body["description"] == "Code ingestion file upload"
    assert body["result_data"] == {"errors": [{"duplicate_id_error": ["abc12345", "zzz12345"]}]}
    assert body["parameters"]["use_serial_number"] is False
    assert len(box.codes()) == 4, "an error creates nothing"


def test_ingestion_list_example_and_filters(box):
    upload(box)
    upload(box)  # the same ids: an error
    form(box)
    found = get(box, f"{INGESTION}?type=code").json()
    assert (found["count"], found["next"], found["previous"], len(found["results"])) == (3, None, None, 3)
    for query, count in (
        ("status=uploading", 1), ("status=error", 1), ("status=complete", 1), ("type=other", 0),
        ("ingestion_mode=api", 3), ("ingestion_mode=portal", 0), ("type=code&status=error&ingestion_mode=api", 1),
    ):  # fmt: skip
        assert get(box, f"{INGESTION}?{query}").json()["count"] == count, query
    page = get(box, f"{INGESTION}?limit=2").json()
    assert len(page["results"]) == 2
    assert get(box, page["next"].removeprefix(box.url)).json()["results"][0]["key"] not in {
        one["key"] for one in page["results"]
    }


def test_json_files(box):
    key, _ = upload(box, '[{"id": "abcd1234", "product": "sku1", "n": 7}]', "json")
    assert record(box, key)["status"] == "complete"
    assert box.code("abcd1234")["n"] == "7"
    for broken in ("{", '{"id": "abcd9999"}', "[1]"):
        key, _ = upload(box, broken, "json")
        assert record(box, key)["status"] == "error"


def test_work_orders_and_their_zip(box):
    import io
    import zipfile

    upload(box)
    (order,) = get(box, "/api/v2/workorders/?is_archived=0&limit=20&offset=0&search=ingestion").json()["results"]
    content = get(box, f"/api/v2/workorders/{order['id']}/download-serial-numbers/").content
    lines = zipfile.ZipFile(io.BytesIO(content)).read("codes.csv").decode().splitlines()
    assert lines[0] == "extended_id,serial_number,sequence,batch,url"
    assert lines[1].startswith("abc12345,,1,1,https://")
    assert get(box, "/api/v2/workorders/?is_archived=1").json()["count"] == 0
    assert get(box, "/api/v2/workorders/99/download-serial-numbers/").status_code == 404


def test_code_data_is_made_as_a_document_and_fetched_by_link_without_the_token(box):
    upload(box)
    key = get(box, "/api/v2/codes/download/?campaign=1&scm_pallet_number=pal2").json()["document"]["key"]
    assert get(box, f"/api/v2/documents/{key}/").json()["status"] == "done"
    url = get(box, f"/api/v2/documents/{key}/get-download-link/").json()["url"]
    lines = requests.get(url, timeout=5).text.splitlines()
    assert lines[0].startswith("extended_id,serial_number,brand,product,sku,status,")
    assert [line[:8] for line in lines[1:]] == ["ghi12345", "jkl12345"]
    assert requests.get(url, headers=AUTH, timeout=5).status_code == 400


@pytest.mark.parametrize("as_list", [False, True])
def test_our_client_takes_the_seeds_way_and_both_shapes_of_a_record(tmp_path, as_list):
    path = tmp_path / "codes.csv"
    path.write_text(SEED_CSV)
    with Sandbox(SandboxConfig(codes=(), ingestion_run_s=0.0, record_as_list=as_list)) as box:
        transport = Transport(box.url, TOKEN, timeout_s=5, user_agent="test", clock=SystemClock())
        client = IngestionClient(transport)
        made = client.get_post_data("csv")
        assert client.record(made.record_key).record.uploading
        missing = client.process(made.record_key, {}, None, allow_duplicates=False)
        assert (missing.verdict, missing.file_not_found) == (Verdict.REFUSED, True)
        storage = StorageHost(timeout_s=5, user_agent="test")
        for _ in range(2):  # the same form again is harmless
            answer = storage.post(made.url, made.fields, path, content_type="text/csv", valid_s=60)
            assert answer.verdict is StorageVerdict.STORED, answer
        assert client.process(made.record_key, {}, None, allow_duplicates=False).verdict is Verdict.OK
        again = client.process(made.record_key, {}, None, allow_duplicates=False)
        assert (again.verdict, again.wrong_state) == (Verdict.REFUSED, True)
        record = client.record(made.record_key).record
        assert (record.remote_status, record.ended, record.errors) == ("complete", True, ())
        assert client.get_post_data("xml").verdict is Verdict.REFUSED
        assert box.world.violations == []
        transport.close()
