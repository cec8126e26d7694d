"""Reading caffemodel and solverstate files, the binary ones."""

from pathlib import Path

from caffe.proto import caffe_pb2
from google.protobuf.message import DecodeError, Message

from scripts.errors import UserError

Net = caffe_pb2.NetParameter
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_binary(path: Path, message: Message) -> Message:
    """Read a caffemodel or a solverstate; UserError where there is none, or one of HDF5."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"there is no file {path}; correct the path") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the file in it") from None
    if content.startswith(_HDF5):
        raise UserError(
            f"{path} is an HDF5 file; write snapshots with `snapshot_format: BINARYPROTO` in the "
            "solver, or load the weights with caffe.Net in Python and save() them"
        )
    try:
        message.ParseFromString(content)
    except DecodeError:
        raise UserError(
            f"{path} is not a whole file of Caffe's type {message.DESCRIPTOR.name}; name one that "
            "a snapshot wrote"
        ) from None
    return message


def read_weights(path: Path) -> Net:
    """Read a caffemodel; UserError where it is not one, or an old one."""
    weights = read_binary(path, Net())
    if weights.layers:
        raise UserError(
            f"{path} holds weights in Caffe's old format; convert it with "
            "upgrade_net_proto_binary, one of Caffe's tools"
        )
    if not weights.layer:
        raise UserError(f"{path} holds no layers; name a .caffemodel")
    return weights
