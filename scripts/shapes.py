"""Shapes of a net's blobs, told from the prototxt alone.

Caffe finds the shapes too, but a net that does not fit aborts the process there. Here a mistake is
a UserError, and the number of inputs K of an inner product layer is known before Caffe is called.
The rules are those of Caffe's layers: convolution rounds down, pooling rounds up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from caffe.proto import caffe_pb2

from scripts.errors import UserError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Unknown:
    """A blob whose shape cannot be told, and the reason as a half sentence."""

    reason: str


Known = Shape | Unknown
Layer = caffe_pb2.LayerParameter
RecordShape = Callable[[Layer], Known]
"""Gives the (channels, height, width) of the records that a Data layer reads."""

# fmt: off
_RESHAPES_NOTHING = frozenset((
    "AbsVal", "BNLL", "BatchNorm", "Bias", "Clip", "Dropout", "ELU", "Eltwise", "Exp",
    "LRN", "Log", "MVN", "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Softmax", "Split",
    "Swish", "TanH", "Threshold",
))
_LOSSES = frozenset((
    "ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss",
    "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "SoftmaxWithLoss",
))
# fmt: on
_NO_TOPS = frozenset(("Silence", "HDF5Output"))


def included(layer: Layer, state: caffe_pb2.NetState) -> bool:
    """Tell whether Caffe keeps the layer in a net of this phase, level and stages."""
    if layer.include:
        return any(_meets(state, rule) for rule in layer.include)
    return not any(_meets(state, rule) for rule in layer.exclude)


def _meets(state: caffe_pb2.NetState, rule: caffe_pb2.NetStateRule) -> bool:
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def infer(
    net: caffe_pb2.NetParameter, state: caffe_pb2.NetState, records: RecordShape
) -> list[tuple[Layer, list[Known]]]:
    """Return each layer that `state` includes, in order, with the shapes of its bottoms.

    A layer type without a rule here makes its tops Unknown, and what hangs on them too.
    Raises UserError where a layer takes a blob that none before it makes, or cannot fit its input.
    """
    blobs: dict[str, Known] = {}
    result = []
    for layer in net.layer:
        if not included(layer, state):
            continue
        missing = [name for name in layer.bottom if name not in blobs]
        if missing:
            raise UserError(
                f"{label(layer)} takes the blob '{missing[0]}', which no layer before it makes; "
                "correct the name of the bottom, or of the top it should come from"
            )
        bottoms = [blobs[name] for name in layer.bottom]
        result.append((layer, bottoms))
        tops = _tops(layer, bottoms, records)
        beyond = Unknown(f"the further tops of {label(layer)} are not known here")
        for i, name in enumerate(layer.top):
            blobs[name] = tops[i] if i < len(tops) else beyond
    return result


def label(layer: Layer) -> str:
    """Return how messages name a layer."""
    return f"layer '{layer.name}' ({layer.type})"


def canonical_axis(layer: Layer, axis: int, shape: Shape) -> int:
    """Return `axis` counted from the front; Caffe counts negative ones from the back."""
    if not -len(shape) <= axis < len(shape):
        raise UserError(
            f"{label(layer)} has the axis {axis}, but its input has the shape {shape}; "
            f"write an axis from 0 to {len(shape) - 1}"
        )
    return axis % len(shape)


def _tops(layer: Layer, bottoms: list[Known], records: RecordShape) -> list[Known]:
    if layer.type == "Data":
        return _data(layer, records(layer))
    unknown = [shape for shape in bottoms if isinstance(shape, Unknown)]
    if unknown:
        return [unknown[0]] * len(layer.top)
    if layer.type in _RESHAPES_NOTHING and bottoms:
        return [bottoms[0]] * len(layer.top)
    if layer.type in _LOSSES and bottoms:
        return [(), bottoms[0]]
    if layer.type in _NO_TOPS:
        return []
    rule = _RULES.get(layer.type)
    if rule is None or (not bottoms and rule not in (_input, _dummy_data)):
        reason = f"no rule is known here for the shape that {label(layer)} makes"
        return [Unknown(reason)] * len(layer.top)
    return rule(layer, bottoms)


def _data(layer: Layer, record: Known) -> list[Known]:
    batch = layer.data_param.batch_size
    if batch < 1:
        raise UserError(f"{label(layer)} has no batch_size; write one in its data_param")
    if isinstance(record, Unknown):
        return [record, (batch,)]
    channels, height, width = record
    crop = layer.transform_param.crop_size
    if crop > min(height, width):
        raise UserError(
            f"{label(layer)} has crop_size {crop}, but its images are {height} by {width}; "
            "write a smaller one"
        )
    return [(batch, channels, crop or height, crop or width), (batch,)]


def _input(layer: Layer, _: list[Shape]) -> list[Known]:
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    return shapes * len(layer.top) if len(shapes) == 1 else shapes


def _dummy_data(layer: Layer, _: list[Shape]) -> list[Known]:
    shapes = [tuple(shape.dim) for shape in layer.dummy_data_param.shape]
    return shapes * len(layer.top) if len(shapes) == 1 else shapes


def _inner_product(layer: Layer, bottoms: list[Shape]) -> list[Known]:
    parameter = inner_product_parameter(layer)
    if parameter.num_output < 1:
        raise UserError(f"{label(layer)} has no num_output; write how many outputs it has")
    axis = canonical_axis(layer, parameter.axis, bottoms[0])
    return [(*bottoms[0][:axis], parameter.num_output)]


def inner_product_parameter(layer: Layer):
    """Return the parameter message of an InnerProduct or a BlockInnerProduct layer."""
    if layer.type == "BlockInnerProduct":
        return layer.block_inner_product_param
    return layer.inner_product_param


def inputs(layer: Layer, shape: Shape) -> int:
    """Return K, the inputs of an inner product layer: all axes from its `axis` on, together."""
    return prod(shape[canonical_axis(layer, inner_product_parameter(layer).axis, shape) :])


def _convolution(layer: Layer, bottoms: list[Shape]) -> list[Known]:
    parameter = layer.convolution_param
    shape = bottoms[0]
    channel_axis = canonical_axis(layer, parameter.axis, shape)
    spatial = shape[channel_axis + 1 :]
    sizes = []
    for i, size in enumerate(spatial):
        kernel = _per_axis(layer, "kernel", i, len(spatial), None)
        stride = _per_axis(layer, "stride", i, len(spatial), 1)
        pad = _per_axis(layer, "pad", i, len(spatial), 0)
        dilation = _pick(layer, "dilation", list(parameter.dilation), i, len(spatial), 1)
        extent = dilation * (kernel - 1) + 1
        if layer.type == "Deconvolution":
            sizes.append(stride * (size - 1) + extent - 2 * pad)
        else:
            sizes.append((size + 2 * pad - extent) // stride + 1)
    _check_window(layer, shape, sizes)
    if parameter.num_output < 1:
        raise UserError(f"{label(layer)} has no num_output; write how many maps it makes")
    return [(*shape[:channel_axis], parameter.num_output, *sizes)]


def _per_axis(layer: Layer, name: str, i: int, axes: int, default: int | None) -> int:
    """Return the kernel size, stride or pad of a convolution along spatial axis i."""
    parameter = layer.convolution_param
    named = [f"{name}_h", f"{name}_w"]
    if any(parameter.HasField(field) for field in named):
        values = [getattr(parameter, field) for field in named]
    else:
        values = list(getattr(parameter, "kernel_size" if name == "kernel" else name))
    return _pick(layer, name, values, i, axes, default)


def _pick(
    layer: Layer, name: str, values: list[int], i: int, axes: int, default: int | None
) -> int:
    if not values and default is not None:
        return default
    if len(values) not in (1, axes):
        raise UserError(
            f"{label(layer)} gives {len(values)} values of {name} for {axes} spatial axes; "
            "write one for all, or one for each"
        )
    value = values[0 if len(values) == 1 else i]
    if value < 1 and name != "pad":
        raise UserError(f"{label(layer)} has {name} {value}; write a number from 1 up")
    return value


def _pooling(layer: Layer, bottoms: list[Shape]) -> list[Known]:
    parameter = layer.pooling_param
    shape = bottoms[0]
    if len(shape) != 4:
        raise UserError(
            f"{label(layer)} wants 4 axes (batch, channels, height, width), but its input has the "
            f"shape {shape}; pool before the inner product layers"
        )
    if parameter.global_pooling:
        return [(*shape[:2], 1, 1)] * len(layer.top)
    sizes = []
    for size, side in zip(shape[2:], "hw", strict=True):
        kernel = getattr(parameter, f"kernel_{side}") or parameter.kernel_size
        stride = getattr(parameter, f"stride_{side}") or parameter.stride
        pad = getattr(parameter, f"pad_{side}") or parameter.pad
        if kernel < 1 or stride < 1:
            raise UserError(
                f"{label(layer)} has the kernel size {kernel} and the stride {stride}; "
                "write numbers from 1 up"
            )
        sizes.append(_pooled(size, kernel, stride, pad, parameter.round_mode))
    _check_window(layer, shape, sizes)
    return [(*shape[:2], *sizes)] * len(layer.top)


def _pooled(size: int, kernel: int, stride: int, pad: int, round_mode: int) -> int:
    steps = size + 2 * pad - kernel
    if round_mode == caffe_pb2.PoolingParameter.FLOOR:
        pooled = steps // stride + 1
    else:
        pooled = -(-steps // stride) + 1
    # With padding, a last window that would start beyond the image is left out.
    if pad and (pooled - 1) * stride >= size + pad:
        pooled -= 1
    return pooled


def _check_window(layer: Layer, shape: Shape, sizes: list[int]) -> None:
    if min(sizes, default=1) < 1:
        raise UserError(
            f"{label(layer)} has a window larger than its input of shape {shape}; "
            "write a smaller kernel_size or more pad"
        )


def _flatten(layer: Layer, bottoms: list[Shape]) -> list[Known]:
    shape = bottoms[0]
    start = canonical_axis(layer, layer.flatten_param.axis, shape)
    end = canonical_axis(layer, layer.flatten_param.end_axis, shape)
    return [(*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])]


def _concat(layer: Layer, bottoms: list[Shape]) -> list[Known]:
    parameter = layer.concat_param
    wanted = parameter.concat_dim if parameter.HasField("concat_dim") else parameter.axis
    axis = canonical_axis(layer, wanted, bottoms[0])
    first = bottoms[0]
    for shape in bottoms[1:]:
        if (*shape[:axis], *shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
            raise UserError(
                f"{label(layer)} joins inputs of the shapes {first} and {shape}; "
                f"they have to agree in all axes but {axis}"
            )
    return [(*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :])]


def _slice(layer: Layer, bottoms: list[Shape]) -> list[Known]:
    parameter = layer.slice_param
    shape = bottoms[0]
    wanted = parameter.slice_dim if parameter.HasField("slice_dim") else parameter.axis
    axis = canonical_axis(layer, wanted, shape)
    tops = len(layer.top)
    if parameter.slice_point:
        ends = [*parameter.slice_point, shape[axis]]
        sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    else:
        sizes = [shape[axis] // tops] * tops
    if len(sizes) != tops or min(sizes) < 1 or sum(sizes) != shape[axis]:
        raise UserError(
            f"{label(layer)} cannot cut the {shape[axis]} entries of axis {axis} into {tops} tops "
            "this way; correct its slice_point or the number of tops"
        )
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _accuracy(_: Layer, bottoms: list[Shape]) -> list[Known]:
    return [()]


_RULES: dict[str, Callable[[Layer, list[Shape]], list[Known]]] = {
    "Accuracy": _accuracy,
    "BlockInnerProduct": _inner_product,
    "Concat": _concat,
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "DummyData": _dummy_data,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Input": _input,
    "Pooling": _pooling,
    "Slice": _slice,
}
