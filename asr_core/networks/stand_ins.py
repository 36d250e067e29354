"""What checkpoints hold beside tensors, by name, and the empty objects that take its place: none of it is needed, none
runs."""

from collections import OrderedDict


class StandIn:
    """In place of a value, whatever it is made from and filled with."""

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, _):
        pass


class DictStandIn:
    """In place of a dict of another class: its entries stay."""

    def __new__(cls, *_, **__):
        return OrderedDict()


def _names(root: str, names: str) -> list[str]:
    return [f"{root}.{name}" for name in names.split()]


_PATHS = "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath"
_NODES = "AnyNode BooleanNode BytesNode EnumNode FloatNode IntegerNode PathNode StringNode"
_DICTS = [
    *_names("collections", "defaultdict"),
    *_names("easydict", "EasyDict"),
    *_names("yacs.config", "CfgNode"),
    *_names("pytorch_lightning.utilities.parsing", "AttributeDict"),
    *_names("lightning.pytorch.utilities.parsing", "AttributeDict"),
    *_names("lightning_fabric.utilities.data", "AttributeDict"),
    *_names("lightning.fabric.utilities.data", "AttributeDict"),
]
_VALUES = [
    *_names("argparse", "Namespace"),
    *_names("types", "SimpleNamespace"),
    *_names("typing", "Any"),
    *_names("torch.torch_version", "TorchVersion"),
    *_names("builtins", "bool dict float int list range slice str tuple"),
    *_names("datetime", "date datetime time timedelta timezone"),
    *_names("pathlib", _PATHS),
    *_names("pathlib._local", _PATHS),
    *_names("numpy", "dtype ndarray bool bool_ float32 float64 int64"),
    *_names("numpy.core.multiarray", "scalar _reconstruct"),
    *_names("numpy._core.multiarray", "scalar _reconstruct"),
    *_names("omegaconf.base", "ContainerMetadata Metadata"),
    *_names("omegaconf.dictconfig", "DictConfig"),
    *_names("omegaconf.listconfig", "ListConfig"),
    *_names("omegaconf.nodes", _NODES),
]
STAND_INS = {**dict.fromkeys(_VALUES, StandIn), **dict.fromkeys(_DICTS, DictStandIn)}
