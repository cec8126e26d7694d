"""How nets are trained: names, the columns of Table 1 they stand for, and what `make train` runs.

Another method, net or data set is one more entry here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A way to train: `column` is its column of Table 1 in paper.json, if it has one."""

    name: str
    label: str
    column: str | None


METHODS = {
    method.name: method
    for method in (
        Method("bdip", "BDIP", "bdip"),
        Method("shuffle", "rand. shuff., FIXED", "shuffle"),
        Method("shuffle_per_pass", "rand. shuff., PER_PASS", "shuffle"),
        Method("ip_bdip", "IP-BDIP", "ip_bdip"),
        Method("magnitude", "trad. prune", "trad_prune"),
        Method("node", "node pruning", None),
    )
}

# Data sets whose test images are the last training images: settings are chosen by them.
VALIDATION = "-validation"

# The columns of the paper's Table 1, as paper.json names them and as they are printed there.
COLUMN_LABELS = {
    "dense": "dense",
    "bdip": "BDIP",
    "shuffle": "rand. shuff.",
    "ip_bdip": "IP-BDIP",
    "trad_prune": "trad. prune",
}

# A config without blocks is one and the same net whatever the method: it is run as `bdip`.
DENSE_METHOD = "bdip"
DENSE_LABEL = "dense"

DATASET_LABELS = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR-10",
    "mnist-shuffled-labels": "MNIST with shuffled labels",
    "mnist-validation": "MNIST's validation split",
    "cifar10-validation": "CIFAR-10's validation split",
}
NET_LABELS = {
    "lenet": "LeNet-5",
    "cuda_convnet": "cuda-convnet",
    "mlp980": "MLP 784-980-10",
    "mlp500": "MLP 784-500-500-10",
    "lenet_sigmoid": "LeNet-5 with a sigmoid",
}

# What `make train` runs today: the methods of each net, and its data sets.
RUNNABLE_METHODS = {
    "lenet": ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip", "magnitude", "node"),
    "mlp980": ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip"),
    "mlp500": ("bdip", "shuffle", "shuffle_per_pass"),
    "lenet_sigmoid": ("bdip", "shuffle", "shuffle_per_pass"),
    "cuda_convnet": ("bdip", "shuffle", "shuffle_per_pass", "ip_bdip", "magnitude", "node"),
}
_MNIST_SHAPED = ("mnist", "fashion-mnist", "mnist-shuffled-labels")
RUNNABLE_DATASETS = dict.fromkeys(("lenet", "mlp980", "mlp500", "lenet_sigmoid"), _MNIST_SHAPED)
RUNNABLE_DATASETS["cuda_convnet"] = ("cifar10", "svhn")
DEFAULT_DATASET = "mnist"  # of `make train`

# Data sets whose download may be out of reach, so that a user brings the images: what does that.
IMPORT_COMMANDS = {"svhn": "make data IMPORT=file.npz NAME=svhn"}


def is_dense(config: str) -> bool:
    """True for (1,...,1)-BD_m."""
    blocks = config.partition("-")[0].strip("()").split(",")
    return all(part.strip() == "1" for part in blocks)


def block_counts(config: str) -> list[int]:
    """[b1, ..., bn] of (b1,...,bn)-BD_m."""
    return [int(b) for b in config.partition("-")[0].strip("()").split(",")]


def is_plain_dense(key: tuple) -> bool:
    """True for (net, dataset, config, method, ...) of the dense net without settings of its own."""
    return key[2] is not None and is_dense(key[2]) and key[3] == DENSE_METHOD


def label(config: str | None, method: str | None) -> str:
    """The column heading that a reader knows; a method unknown here keeps its own name.

    Settings that follow the method's name (``bdip,weight_decay=0``) follow the label.
    """
    if method is None:
        return "own solver"
    name, comma, settings = method.partition(",")
    label = METHODS[name].label if name in METHODS else name
    if config is not None and is_dense(config):
        label = DENSE_LABEL
    return label + (f", {settings.replace(',', ', ')}" if comma else "")


def methods_of_column(column: str) -> tuple[str, ...]:
    """The methods that stand for a column of Table 1, in the order of METHODS."""
    if column == "dense":
        return (DENSE_METHOD,)
    return tuple(method.name for method in METHODS.values() if method.column == column)


def train_command(net: str, dataset: str, config: str, method: str, seed: int) -> str | None:
    """The command that makes one run, or None where there is none yet."""
    name = method.split(",")[0]
    runnable = name in RUNNABLE_METHODS.get(net, ()) and dataset in RUNNABLE_DATASETS[net]
    if not runnable:
        return None
    words = [f"NET={net}"]
    if dataset != DEFAULT_DATASET:
        words.append(f"DATASET={dataset}")
    words += [f'CONFIG="{config}"', f"METHOD={method}", f"SEED={seed}"]
    return "make train " + " ".join(words)
