"""The networks of `keras.applications` by name, known without importing Keras."""

from __future__ import annotations

MODULES: dict[str, tuple[str, ...]] = {
    "convnext": (
        "ConvNeXtTiny",
        "ConvNeXtSmall",
        "ConvNeXtBase",
        "ConvNeXtLarge",
        "ConvNeXtXLarge",
    ),
    "densenet": ("DenseNet121", "DenseNet169", "DenseNet201"),
    "efficientnet": tuple(f"EfficientNetB{number}" for number in range(8)),
    "efficientnet_v2": tuple(
        f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")
    ),
    "inception_resnet_v2": ("InceptionResNetV2",),
    "inception_v3": ("InceptionV3",),
    "mobilenet": ("MobileNet",),
    "mobilenet_v2": ("MobileNetV2",),
    "mobilenet_v3": ("MobileNetV3Small", "MobileNetV3Large"),
    "nasnet": ("NASNetMobile", "NASNetLarge"),
    "resnet": ("ResNet50", "ResNet101", "ResNet152"),
    "resnet_v2": ("ResNet50V2", "ResNet101V2", "ResNet152V2"),
    "vgg16": ("VGG16",),
    "vgg19": ("VGG19",),
    "xception": ("Xception",),
}
"""The module of each family, which has its `preprocess_input`, and the networks in it."""

NETWORKS = {name: module for module, names in MODULES.items() for name in names}

_BY_LOWERED = {name.lower(): name for name in NETWORKS}


def network_named(name: str) -> str | None:
    """The network of that name, in whatever case it is written.

    >>> network_named("mobilenetv2")
    'MobileNetV2'
    """
    return _BY_LOWERED.get(name.lower())


def named(name: str) -> str | None:
    """The network whose model has such a name, as Keras gives it, None where it is none.

    >>> named("mobilenetv2_1.00_224"), named("resnet50v2"), named("my_net")
    ('MobileNetV2', 'ResNet50V2', None)
    """
    plain = name.lower().replace("_", "").replace("-", "")
    found = [known for known in _BY_LOWERED if plain.startswith(known)]
    return _BY_LOWERED[max(found, key=len)] if found else None


def module_of(name: str) -> str | None:
    """The module that a network or a module's own name stands for.

    >>> module_of("MobileNetV2"), module_of("mobilenet_v2"), module_of("unit")
    ('mobilenet_v2', 'mobilenet_v2', None)
    """
    if name in MODULES:
        return name
    network = network_named(name)
    return NETWORKS[network] if network else None
