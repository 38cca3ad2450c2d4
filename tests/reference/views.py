"""One view of one image with given parameters, by torchvision on Pillow.

`apply(image, view)` takes the JSON of e2mc-data's `SampledView`, so that both sides make the same
random choices.
"""
from PIL import ImageFilter, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def resize(image, parameters):
    box, (height, width), window = parameters["region"], parameters["target"], parameters["window"]
    mode = FILTERS[parameters["interpolation"]]
    image = F.crop(image, box["top"], box["left"], box["height"], box["width"])
    if parameters["pass_order"] == "horizontal_first":
        # The older Pillow's order in two calls. It also rounds to u8 between its passes.
        image = F.resize(image, [box["height"], width], mode, antialias=True)
    image = F.resize(image, [height, width], mode, antialias=True)
    return F.crop(image, window["top"], window["left"], window["height"], window["width"])


def operate(image, operation):
    if operation == "horizontal_flip":
        return F.hflip(image)
    if operation == "grayscale":
        return F.to_grayscale(image, len(image.getbands()))
    (name, value), = operation.items()
    if name == "color_jitter":
        for step in value["operations"]:
            (kind, amount), = step.items()
            image = getattr(F, f"adjust_{kind}")(image, amount)
        return image
    if name == "gaussian_blur":
        return image.filter(ImageFilter.GaussianBlur(value))
    assert name == "solarize", name
    return ImageOps.solarize(image, value)


def apply(image, view):
    image = resize(image, view["resize"])
    for operation in view["operations"]:
        image = operate(image, operation)
    return image
