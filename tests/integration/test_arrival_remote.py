"""Files that arrive in other systems: a real S3 (moto's server) and a real SFTP server on loopback, through the program."""

from __future__ import annotations

import os
import time

import pytest
from conftest import codes
from places_remote import BUCKET, S3_SECRET, s3_server, sftp_server

PART = b"extended_id,lot\nK000001,L1\n"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def s3():
    with s3_server() as bucket:
        yield bucket


@pytest.fixture
def bucket(s3):
    for name in s3.names():
        s3.client.delete_object(Bucket=BUCKET, Key=name)
    return s3


@pytest.fixture
def ssh(tmp_path):
    with sftp_server(tmp_path) as host:
        yield host


def settings(root, more="settle_s = 0\n", pattern="in/*.csv"):
    return f'[jobs.erp.files]\npattern = "{root}{pattern}"\n{more}'


def test_s3(night, bucket):
    with night(
        codes=codes(9),
    ) as here:
        here.environment.update(bucket.environment)
        here.config(settings(bucket.root, 'settle_s = 0\ndone = "done"\nready = "{name}.ok"\n'))
        bucket.put("in/a.csv", PART)
        missing = here.sync()
        assert (missing.code, "ready mark" in missing.document["error"]["message"]) == (14, True), missing
        bucket.put("in/a.csv.ok", b"")
        assert here.run("plan", "--json").document["rows"]["new"] == 1
        done = here.sync()
        assert (done.code, done.document["values"]["confirmed"]) == (0, 1), done
        assert bucket.names() == ["in/done/a.csv", "in/done/a.csv.ok"]
        assert S3_SECRET not in done.out + done.err
        shown = here.run("audit", "show", "K000001", "--json")
        assert "s3://erp-exports/in/a.csv" in shown.out


def test_sftp(night, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update(ssh.environment)
        here.config(settings(ssh.root, 'settle_s = 0\ndone = "done"\n'))
        (ssh.folder / "in").mkdir()
        missing = here.sync()
        assert missing.code == 14, missing
        (ssh.folder / "in" / "a.csv").write_bytes(PART)
        done = here.sync()
        assert (done.code, done.document["values"]["confirmed"]) == (0, 1), done
        assert [one.name for one in (ssh.folder / "in" / "done").iterdir()] == ["a.csv"]


@pytest.mark.parametrize("take", ["each", "all"])
def test_several_files_and_each_content_once(night, bucket, take):
    with night(codes=codes(9)) as here:
        here.environment.update(bucket.environment)
        here.config(settings(bucket.root, f'settle_s = 0\ntake = "{take}"\n', "in/?.csv"))
        bucket.put("in/1.csv", PART)
        bucket.put("in/2.csv", PART.replace(b"K000001", b"K000002"))
        bucket.put("in/10.csv", b"no such name matches")
        done = here.sync()
        assert (done.code, len(done.document.get("before", []))) == (0, 1 if take == "each" else 0), done
        assert set(here.server()) >= {"K000001", "K000002"}
        assert here.sync().document["run"] is None


def test_a_url_on_the_command_line_is_copied_and_read(night, bucket):
    with night(codes=codes(9)) as here:
        here.environment.update(bucket.environment)
        bucket.put("in/[1] a*.csv", PART)
        done = here.sync(bucket.root + "in/[[]1*.csv")
        assert done.code == 2, done
        assert here.sync(bucket.root + "in/[1] ??.csv").code == 0
        bucket.put("in/[1] b.csv", PART)
        several = here.sync(bucket.root + "in/*")
        assert (several.code, several.document["error"]["next"].endswith("'s3://erp-exports/in/[1] b.csv'")) == (
            2,
            True,
        )
        assert here.run("plan", "--json", bucket.root + "in/[1] b.csv").document["rows"]["unchanged"] == 1


def test_settling_and_age_count_as_they_do_here(night, bucket, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update({**bucket.environment, **ssh.environment})
        here.config(settings(bucket.root, "settle_s = 3\n"))
        bucket.put("in/a.csv", PART)
        begun_s = time.monotonic()
        assert here.sync().code == 0
        assert time.monotonic() - begun_s > 2
        here.config(settings(ssh.root, "settle_s = 0\nmax_age_h = 1\n"))
        (ssh.folder / "in").mkdir()
        (ssh.folder / "in" / "b.csv").write_bytes(PART)
        os.utime(ssh.folder / "in" / "b.csv", (1_700_000_000, 1_700_000_000))
        late = here.sync()
        assert (late.code, "h ago" in late.document["error"]["message"]) == (14, True)


def test_a_file_that_is_replaced_while_it_is_copied_is_taken_again_or_refused(night, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update(ssh.environment)
        (ssh.folder / "in").mkdir()
        path = ssh.folder / "in" / "a.csv"
        path.write_bytes(PART)
        os.utime(path, (1_700_000_000, 1_700_000_000))

        def replaced(_):
            if len(opened) < times:
                path.write_bytes(PART.replace(b"L1", b"L2"))  # of the same size
                opened.append(1)
                os.utime(path, (1_700_000_000 + len(opened), 1_700_000_000 + len(opened)))

        opened, times = [], 1
        ssh.on_open.append(replaced)
        here.config(settings(ssh.root))
        refused = here.sync()
        assert (refused.code, refused.document["error"]["code"]) == (14, "not-arrived"), refused
        assert "being written" in refused.document["error"]["message"]
        opened, times = [], 1
        here.config(settings(ssh.root, "settle_s = 0\nwait_s = 60\n"))
        assert here.sync().code == 0
        assert here.server()["K000001"]["lot"] == "L2"


def test_a_part_that_comes_while_others_are_copied_is_not_left_out(night, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update(ssh.environment)
        (ssh.folder / "in").mkdir()
        (ssh.folder / "in" / "1.csv").write_bytes(PART)
        late = ssh.folder / "in" / "2.csv"
        ssh.on_open.append(lambda _: late.exists() or late.write_bytes(PART.replace(b"K000001", b"K000002")))
        here.config(settings(ssh.root, 'settle_s = 0\ntake = "all"\n'))
        refused = here.sync()
        assert (refused.code, "being written" in refused.document["error"]["message"]) == (14, True)
        late.unlink()
        here.config(settings(ssh.root, 'settle_s = 0\ntake = "all"\nwait_s = 60\n'))
        assert here.sync().document["rows"]["read"] == 2


def test_older_files_are_moved_unread_with_the_newest(night, bucket, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update({**bucket.environment, **ssh.environment})
        (ssh.folder / "in").mkdir()
        for number in (1, 2):
            (ssh.folder / "in" / f"{number}.csv").write_bytes(PART.replace(b"L1", b"L%d" % number))
            os.utime(ssh.folder / "in" / f"{number}.csv", (time.time() - 9000 + 3600 * number,) * 2)
            bucket.put(f"in/{number}.csv", PART.replace(b"L1", b"S%d" % number))
            time.sleep(1.1 * (number == 1))  # a bucket tells whole seconds
        for place in (ssh, bucket):
            here.config(settings(place.root, 'settle_s = 0\ndone = "done"\n'))
            done = here.sync()
            assert (done.code, "1.csv" in str(done.document["notes"])) == (0, place is ssh), (
                done
            )  # since then a run was
            assert here.sync().code == 14
        assert sorted(one.name for one in (ssh.folder / "in" / "done").iterdir()) == ["1.csv", "2.csv"]
        assert bucket.names() == ["in/done/1.csv", "in/done/2.csv"]
        assert here.server()["K000001"]["lot"] == "S2"


def test_what_was_written_again_since_it_was_read_is_not_moved(night, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update(ssh.environment)
        (ssh.folder / "in").mkdir()
        path = ssh.folder / "in" / "a.csv"
        path.write_bytes(PART)
        here.config(settings(ssh.root, 'settle_s = 0\ndone = "../done"\n'))
        assert here.sync().code == 2  # a name beside the file, or a URL of the same system
        here.config(settings(ssh.root, f'settle_s = 0\ndone = "{ssh.root}done"\n'))
        for number in range(3):
            path.write_bytes(PART.replace(b"L1", b"L%d" % number))
            assert here.sync().code == 0
        assert sorted(one.name for one in (ssh.folder / "done").iterdir()) == ["a.csv", "a.csv.1", "a.csv.2"]


def test_no_name_leads_out_of_the_private_folder(night, ssh, tmp_path):
    with night(codes=codes(9)) as here:
        (tmp_path / "tmp").mkdir()
        here.environment.update({**ssh.environment, "TMPDIR": str(tmp_path / "tmp")})
        (ssh.folder / "in").mkdir()
        os.symlink("/etc/passwd", ssh.folder / "in" / "l.csv")
        os.mkfifo(ssh.folder / "in" / "p.csv")
        (ssh.folder / "in" / "a\n\x1b[31m;rm -rf.csv").write_bytes(PART)
        ssh.names += [b"../../evil.csv", b"/tmp/evil.csv", b"..", b"x/../../evil.csv"]
        here.config(settings(ssh.root, 'settle_s = 0\ntake = "each"\n', "in/*"))
        seen = []
        ssh.on_open.append(lambda path: seen.append(sorted(str(one) for one in (tmp_path / "tmp").rglob("*"))))
        done = here.sync()
        assert done.document["rows"]["read"] == 1, done
        assert "\x1b" not in done.out + done.err
        assert list((tmp_path / "tmp").rglob("*")) == []
        for files in seen:
            assert all(os.path.basename(one).isdigit() or "/.part-" in one for one in files), files
        assert not list(tmp_path.rglob("evil*"))


def test_who_is_not_known_is_refused(night, ssh, bucket):
    with night(codes=codes(9)) as here:
        here.environment.update(ssh.environment)
        (ssh.home / ".ssh" / "known_hosts").write_text("")
        here.config(settings(ssh.root))
        stranger = here.sync()
        assert (stranger.code, "known_hosts" in stranger.document["error"]["message"]) == (2, True), stranger
        here.config(settings(bucket.root))
        here.environment.update(
            AWS_ENDPOINT_URL=bucket.environment["AWS_ENDPOINT_URL"], AWS_EC2_METADATA_DISABLED="true"
        )
        nobody = here.sync()
        assert (nobody.code, "AWS_" in nobody.document["error"]["message"]) == (2, True), nobody


def test_what_is_away_is_waited_for_and_named(night, ssh):
    with night(codes=codes(9)) as here:
        here.environment.update(ssh.environment)
        here.config(settings("sftp://night@127.0.0.1:1/"))
        away = here.sync()
        assert (away.code, "cannot be looked at" in away.document["error"]["message"]) == (14, True), away


@pytest.mark.parametrize(
    ("url", "extra"), [("s3://b/x", "s3"), ("sftp://h/x", "sftp"), ("az://c/x", "azure"), ("gs://b/x", "gcs")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(night, tmp_path, url, extra):
    with night(codes=codes(1)) as here:
        (tmp_path / "none").mkdir()
        for name in ("s3fs", "sshfs", "adlfs", "gcsfs"):
            (tmp_path / "none" / f"{name}.py").write_text("raise ImportError(name='it')")
        here.config(settings(url, "", ""))
        done = here.run_anew("sync", "--json", PYTHONPATH=str(tmp_path / "none"))
        assert (done.code, done.document["error"]["next"]) == (2, f"pip install 'syncer[{extra}]'")
        assert extra in done.document["error"]["message"]


@pytest.mark.parametrize(
    "url",
    [
        "sftp://night:canary@h/x.csv", "s3://key:canary@b/x.csv", "az://c/x.csv?sig=canary&sv=1", "s3://b/x?X-Amz-Signature=canary",
        "https://x.example/x.csv", "s3://", "gs://b", "sftp:///x.csv", "S3://b/x", "file:///x",
    ],
)  # fmt: skip
def test_a_url_with_a_secret_or_of_another_system_is_refused_and_not_shown(night, url):
    with night(codes=codes(1)) as here:
        here.config(settings(url, "", ""))
        done = here.sync()
        assert (done.code, done.document["error"]["code"]) == (2, "configuration"), done
        assert "canary" not in done.out + done.err
