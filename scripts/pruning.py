"""What stands in `prune { ... }` of a net: who follows a layer, and what Caffe would abort on.

The rules are those of caffe/pruner.hpp, each as a sentence.
"""

from collections.abc import Sequence

from caffe.proto import caffe_pb2

from scripts import shapes
from scripts.errors import UserError

Layer = caffe_pb2.LayerParameter
Net = caffe_pb2.NetParameter
Prune = caffe_pb2.PruneParameter

_BLOBS = ("weights", "bias", "permutation")


def followers(layers: Sequence[Layer], index: int) -> list[Layer]:
    """Return the InnerProduct layers that the outputs of `layers[index]` go to.

    In between may be layers in place (ReLU, Dropout). UserError where the outputs also go to a
    layer of another type, which could not lose inputs.
    """
    (top,) = layers[index].top
    found = []
    for layer in layers[index + 1 :]:
        if top not in layer.bottom or list(layer.bottom) == list(layer.top) == [top]:
            continue
        if layer.type != "InnerProduct":
            raise UserError(
                f"the outputs of {shapes.label(layers[index])}, of which `prune` removes some, go "
                f"to {shapes.label(layer)}, and only an InnerProduct can lose inputs; prune "
                "another layer, or in another way"
            )
        found.append(layer)
    return found


def check(net: Net, state: caffe_pb2.NetState, records: shapes.RecordShape, max_iter: int) -> None:
    """Raise UserError for the first `prune` of a training net that cannot be done.

    `state` is that of the training net. What cannot be told from the prototxt is left to Caffe.
    """
    inferred = shapes.infer(net, state, records)
    layers = [layer for layer, _ in inferred]
    names: set[str] = set()
    for index, (layer, bottoms) in enumerate(inferred):
        for number, spec in enumerate(layer.param):
            if spec.HasField("prune"):
                known = bottoms and not isinstance(bottoms[0], shapes.Unknown)
                blobs = _blob_shapes(layer, bottoms[0] if known else None)
                what = _BLOBS[number] if number < len(_BLOBS) else f"blob {number}"
                try:
                    if spec.name in names:
                        raise UserError(
                            f'`param {{ name: "{spec.name}" }}` is shared with a layer before '
                            "this one; write the `prune` there"
                        )
                    _check_shape(blobs, number)
                    _check_phase(spec.prune, max_iter)
                    _check_amounts(spec.prune, blobs[number] if blobs else None)
                    if spec.prune.HasField("shuffle_seed"):
                        _check_shuffle(layer)
                    if spec.prune.type == Prune.NODE:
                        _check_node(inferred, layers, index, number)
                except UserError as error:
                    raise UserError(f"prune of {shapes.label(layer)}, {what}: {error}") from error
            if spec.name:
                names.add(spec.name)


def _blob_shapes(layer: Layer, bottom: shapes.Shape | None) -> list[tuple[int, ...]] | None:
    """Return the shapes of a layer's blobs, 0 for what is not known; None for other types."""
    if layer.type in ("InnerProduct", "BlockInnerProduct"):
        parameter = shapes.inner_product_parameter(layer)
        outputs = parameter.num_output
        inputs = shapes.inputs(layer, bottom) if bottom else 0
        blobs = [(outputs, inputs)]
        if layer.type == "BlockInnerProduct":
            blobs = [(outputs, inputs // max(parameter.blocks, 1))]
        elif parameter.transpose:
            blobs = [(inputs, outputs)]
        if parameter.bias_term:
            blobs.append((outputs,))
        if layer.type == "BlockInnerProduct" and parameter.shuffle == parameter.FIXED:
            blobs.append((parameter.blocks,))
        return blobs
    if layer.type in ("Convolution", "Deconvolution"):
        parameter = layer.convolution_param
        return [(parameter.num_output, 0, 0, 0)] + [(parameter.num_output,)] * parameter.bias_term
    return None


def _check_shape(blobs: list[tuple[int, ...]] | None, number: int) -> None:
    if blobs is None:
        return
    if number >= len(blobs):
        raise UserError(f"the layer has {len(blobs)} of them; remove this `param`")
    if len(blobs[number]) != 2:
        raise UserError(
            f"only a matrix of weights can be pruned, and this has {len(blobs[number])} axes; "
            "remove the `prune`, or move it to an inner product layer's first `param`"
        )


def _check_phase(prune: Prune, max_iter: int) -> None:
    end = prune.start + prune.iters
    if prune.start < 0:
        raise UserError(f"start is {prune.start}; write an iteration from 0 up")
    if prune.iters < 1:
        raise UserError(f"iters is {prune.iters}; write how many iterations the phase has, from 1")
    if end > max_iter:
        raise UserError(
            f"the phase ends at iteration {end} (start + iters), but training, with its max_iter, "
            f"at {max_iter}; lower the one or raise the other"
        )


def _check_amounts(prune: Prune, shape: tuple[int, ...] | None) -> None:
    """Check all other numbers; `shape` is that of the matrix, 0 where it is not known."""
    rows, columns = shape or (0, 0)
    if prune.alpha < 0:
        raise UserError(f"alpha is {prune.alpha:g}; write a number from 0 up")
    if prune.type == Prune.BLOCK_L1:
        if prune.threshold < 0:
            raise UserError(f"threshold is {prune.threshold:g}; write a number from 0 up")
        if prune.blocks < 1:
            raise UserError("blocks is missing; write into how many, from 1 up")
        if rows % prune.blocks or columns % prune.blocks:
            raise UserError(
                f"blocks is {prune.blocks}, which does not divide both of the matrix's {rows} "
                f"outputs and {columns or 'unknown number of'} inputs; write a number that does"
            )
        return
    node = prune.type == Prune.NODE
    most = rows if node else rows * columns
    if prune.keep < 1 or (most and prune.keep > most):
        raise UserError(
            f"keep is {prune.keep}; write how many {'outputs' if node else 'entries'} stay, "
            f"from 1 to {most or 'as many as there are'}"
        )
    if not 1 <= prune.steps <= prune.iters:
        raise UserError(
            f"steps is {prune.steps}; write a number from 1 to the phase's {prune.iters} iterations"
        )


def _check_shuffle(layer: Layer) -> None:
    if layer.type == "InnerProduct" and layer.inner_product_param.transpose:
        raise UserError(
            "the layer has `transpose`, with which blocks cannot be shuffled; leave `transpose` or "
            "shuffle_seed out"
        )


def _check_node(
    inferred: list[tuple[Layer, list[shapes.Known]]], layers: list[Layer], index: int, number: int
) -> None:
    layer = layers[index]
    if layer.param[number].prune.alpha:
        raise UserError("type: NODE removes outputs without a penalty; leave alpha out")
    if layer.type != "InnerProduct" or number:
        raise UserError(
            "type: NODE removes outputs of an InnerProduct, and stands at its weights; write "
            "another type"
        )
    outputs = layer.inner_product_param.num_output
    for follower in [layer, *followers(layers, index)]:
        if follower.inner_product_param.transpose:
            raise UserError(
                f"{shapes.label(follower)} has `transpose`, with which type: NODE cannot be done; "
                "leave it out"
            )
        if follower is not layer:
            (bottoms,) = [shape for each, shape in inferred if each is follower]
            inputs = shapes.inputs(follower, bottoms[0]) if isinstance(bottoms[0], tuple) else None
            if inputs not in (None, outputs):
                raise UserError(
                    f"{shapes.label(follower)} takes {inputs} inputs, not just the {outputs} "
                    "outputs, so that removing some is undefined; give both the same axis"
                )
