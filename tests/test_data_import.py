"""Images of a user's own: what is written, what is recorded, what is refused."""

import io
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from synthetic_data import cifar_entry, cifar_files, random_images
from test_image_files import labelled

from scripts import data_digests, data_import, datasets, networks
from scripts.config import parse_config
from scripts.dataset_table import TABLE
from scripts.errors import UserError
from scripts.paths import ROOT


def arrays(train=30, test=12):
    x_train, y_train = random_images(train, 1)
    x_test, y_test = random_images(test, 2)
    y_train[0] = 9
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def npz(folder, content, name="own.npz"):
    np.savez(folder / name, **content)
    return folder / name


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data folder of the test's own, for all of scripts/."""
    folder = tmp_path / "data"
    for function in (datasets.facts, datasets.imported, datasets.lmdb_path, datasets.mean_path):
        monkeypatch.setattr(function, "__defaults__", (folder,))
    monkeypatch.setattr(datasets.verify, "__defaults__", (folder,))
    monkeypatch.setattr(datasets.ensure, "__defaults__", (None, folder))
    monkeypatch.setattr(data_import.import_file, "__defaults__", (folder,))
    return folder


@pytest.fixture
def importable(monkeypatch):
    """A data set `tiny` of the table that may be imported; its files are not to be had."""
    monkeypatch.setitem(TABLE, "tiny", cifar_entry(cifar_files(), importable=True))


def refused(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_images_and_labels_are_those_of_the_file(tmp_path, root):
    content = arrays()
    data_import.import_file(npz(tmp_path, content), "mine")
    for split in ("train", "test"):
        pictures, labels = labelled(root / f"mine/{split}_lmdb")
        assert (pictures == content[f"x_{split}"]).all()
        assert labels == content[f"y_{split}"].tolist()
    mean = caffe_pb2.BlobProto.FromString(datasets.mean_path("mine").read_bytes())
    expected = content["x_train"].transpose(0, 3, 1, 2).mean(axis=0)
    assert np.allclose(np.array(mean.data).reshape(3, 6, 5), expected)
    assert datasets.facts("mine") == datasets.Facts((3, 6, 5), 10, {"train": 30, "test": 12})


def test_results_record_the_file_and_the_counts(tmp_path, root):
    file = npz(tmp_path, arrays())
    manifest = data_import.import_file(file, "mine")
    record = data_digests.of_dataset("mine")
    assert record["train"] == {
        "count": 30,
        "records_sha256": manifest.splits["train"].records_sha256,
        "imported_sha256": manifest.files["own.npz"],
    }
    assert record["test"]["count"] == 12
    assert "imported" in manifest.source


def test_an_import_under_a_known_name_says_what_it_lacks_of_the_official_one(
    tmp_path, root, importable, monkeypatch
):
    manifest = data_import.import_file(npz(tmp_path, arrays(14, 5)), "tiny")
    record = data_digests.of_dataset("tiny")
    assert {split: about["official_count"] for split, about in record.items()} == {
        "train": 14,
        "test": 7,
    }
    assert record["test"]["count"] == 5
    assert "known_as" not in record["test"]
    known = {manifest.splits["test"].records_sha256: "the first 5 of 7"}
    entry = TABLE["tiny"]
    splits = entry.splits | {"test": replace(entry.splits["test"], known=known)}
    monkeypatch.setitem(TABLE, "tiny", replace(entry, splits=splits))
    assert data_digests.of_dataset("tiny")["test"]["known_as"] == "the first 5 of 7"
    # What fetches the data of a run takes the import for it.
    assert datasets.ensure("tiny") == manifest


def test_the_same_file_again_changes_nothing_and_another_is_refused(tmp_path, root, capsys):
    file = npz(tmp_path, arrays())
    data_import.import_file(file, "mine")
    before = (root / "mine").stat().st_ino
    data_import.import_file(file, "mine")
    assert "there already" in capsys.readouterr().out
    assert (root / "mine").stat().st_ino == before
    said = refused(data_import.import_file, npz(tmp_path, arrays(31), "other.npz"), "mine")
    assert "was imported from a file with other content (imported from own.npz); remove" in said
    assert (root / "mine").stat().st_ino == before


def test_a_damaged_import_is_a_sentence_and_is_repaired_by_importing_again(tmp_path, root):
    file = npz(tmp_path, arrays())
    data_import.import_file(file, "mine")
    datasets.mean_path("mine").unlink()
    for function in (datasets.verify, datasets.ensure):
        said = refused(function, "mine")
        cure = "import it again: `make data IMPORT=file.npz NAME=mine`"
        assert f"mean.binaryproto is missing; {cure}" in said
    data_import.import_file(file, "mine")
    datasets.verify("mine")


def test_without_download_and_import_the_sentence_names_both(root, importable):
    said = refused(datasets.ensure, "tiny")
    assert "no source has the file batch_1.bin of tiny" in said
    assert "`make data DATASETS=tiny MIRROR=FOLDER`" in said
    assert "`make data IMPORT=file.npz NAME=tiny`" in said
    assert "run `make data DATASETS=tiny`, or `make data IMPORT=" in refused(
        datasets.verify, "tiny"
    )


def test_official_data_is_not_replaced(tmp_path, root, importable):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content in cifar_files().items():
        (mirror / name).write_bytes(content)
    before = datasets.ensure("tiny", mirror)
    said = refused(data_import.import_file, npz(tmp_path, arrays()), "tiny")
    assert "holds the official tiny; remove it first" in said
    assert datasets.verify("tiny") == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnist", "is a data set of this project"),
        ("Mine", "cannot name a data set"),
        ("../mine", "cannot name a data set"),
        ("", "cannot name a data set"),
    ],
)
def test_names(tmp_path, root, name, words):
    assert words in refused(data_import.import_file, npz(tmp_path, arrays()), name)
    assert not root.exists()


def test_other_images_cannot_stand_for_a_known_data_set(tmp_path, root, importable):
    grey = arrays()
    for split in ("train", "test"):
        grey[f"x_{split}"] = grey[f"x_{split}"][..., :1]
    said = refused(data_import.import_file, npz(tmp_path, grey), "tiny")
    assert "6x5x1 images of 10 classes, and tiny has 6x5x3 of 10" in said


def change(**new):
    return lambda content: content | new


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda content: {"x_train": content["x_train"]}, "has no array y_train; it needs x_train"),
        (change(x_train=np.zeros((30, 6, 5, 3))), "x_train is of float64; images are uint8"),
        (change(x_test=np.zeros((12, 6, 5), np.uint8)), "x_test has the shape .12, 6, 5.; images"),
        (change(x_test=np.zeros((12, 3, 6, 5), np.uint8)), "so 5 channels; the last axis is that"),
        (change(x_test=np.zeros((0, 6, 5, 3), np.uint8)), "so nothing in it"),
        (change(x_test=np.zeros((12, 6, 6, 3), np.uint8)), "6x5x3 images and x_test 6x6x3"),
        (change(y_train=np.zeros(30)), "y_train is of float64; labels are whole numbers"),
        (change(y_train=np.zeros(29, int)), "y_train has the shape .29,. for 30 images"),
        (change(y_train=np.zeros((30, 1), int)), "y_train has the shape .30, 1. for 30 images"),
        (change(y_train=np.full(30, -1)), "y_train has the label -1; labels are from 0 to 255"),
        (change(y_train=np.full(30, 256)), "y_train has the label 256"),
        (change(y_test=np.full(12, 10)), "y_test has the label 10, but those of y_train end at 9"),
        (change(y_train=np.array([None] * 30)), "cannot be read .*pickle"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_one_sentence(tmp_path, root, edit, words):
    file = npz(tmp_path, edit(arrays()))
    with pytest.raises(UserError, match=words) as error:
        data_import.import_file(file, "mine")
    assert "\n" not in str(error.value)
    assert str(file) in str(error.value)
    assert not root.exists()


def single_array():
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize("content", [b"", b"no archive" * 9, single_array()])
def test_what_is_no_npz_is_one_sentence(tmp_path, root, content):
    (tmp_path / "own.npz").write_bytes(content)
    said = refused(data_import.import_file, tmp_path / "own.npz", "mine")
    assert "cannot be read" in said
    file = npz(tmp_path, arrays(), "cut.npz")
    file.write_bytes(file.read_bytes()[:-500])
    assert "cannot be read" in refused(data_import.import_file, file, "mine")
    assert "no file" in refused(data_import.import_file, tmp_path / "nowhere.npz", "mine")
    assert not root.exists()


def test_grey_images_train_lenet_and_colour_ones_fit_by_their_shape(tmp_path, root):
    random = np.random.default_rng(0)
    for name, shape in (("grey", (28, 28, 1)), ("small", (32, 32, 3))):
        content = {
            f"x_{split}": random.integers(0, 256, (count, *shape), np.uint8)
            for split, count in (("train", 40), ("test", 20))
        }
        content |= {"y_train": np.arange(40) % 10, "y_test": np.arange(20) % 10}
        data_import.import_file(npz(tmp_path, content, f"{name}.npz"), name)
    solver, net = networks.build("lenet", parse_config("(10,1)-BD_4"), "bdip", "grey", 1)
    assert list(solver.test_iter) == [1]
    sources = [each.data_param.source for each in net.layer if each.type == "Data"]
    assert sources == [str(root / f"grey/{split}_lmdb") for split in ("train", "test")]
    networks.build("cuda_convnet", parse_config("(64,2)-BD_5"), "bdip", "small", 1)
    said = refused(networks.build, "lenet", parse_config("(100,1)-BD_4"), "bdip", "small", 1)
    assert "blocks: 100, which does not divide its inputs K = 1250" in said
    assert "there is no data set 'mine'" in refused(
        networks.build, "lenet", parse_config("(10,1)-BD_4"), "bdip", "mine", 1
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["mine", "--import", "nowhere.npz"], "there is no file nowhere.npz; correct IMPORT"),
        (["--import", "nowhere.npz"], "IMPORT needs a NAME"),
    ],
)
def test_the_command_refuses_with_one_line(options, words):
    done = subprocess.run(
        ["build/venv/bin/python", "-m", "scripts.datasets", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
