"""The four distortions of MNIST that Jaderberg et al. 2015 compare networks on, drawn afresh at each call.

A distortion is a theta of `keras_stn`: where each pixel of the distorted image reads the digit.
"""

import numpy as np

import keras_stn

SIZE = 28
"""Of a digit, in pixels."""

PLACED = 42
"""Of the image that RTS puts a digit into."""

DISTORTIONS = {
    "R": "turned within 90 degrees",
    "RTS": "turned within 45 degrees, scaled by 0.7 to 1.2, anywhere in 42x42",
    "P": "each corner pulled, by about 5 pixels",
    "E": "bent: each of 16 points pulled, by about 1.5 pixels",
}

_CORNERS = np.array([[0, 0, 1], [SIZE - 1, 0, 1], [SIZE - 1, SIZE - 1, 1], [0, SIZE - 1, 1]], float)

_spline = keras_stn.transforms.ThinPlateSpline(4, 4)
_samplers = {
    "projective": keras_stn.GridGenerator("projective", output_size=SIZE),
    "placed": keras_stn.GridGenerator("projective", output_size=PLACED),
    "spline": keras_stn.GridGenerator(_spline, output_size=SIZE),
}
_sample = keras_stn.GridSampler()


def size_of(name):
    """Height and width of the images that a distortion makes."""
    return PLACED if name == "RTS" else SIZE


def distort(images, name, random):
    """`(n, 28, 28)` digits, each distorted by chance: `(n, size, size, 1)` float32.

    `random` is a `numpy.random.Generator`.

    Example:

    >>> distort(np.zeros((3, 28, 28)), "RTS", np.random.default_rng(0)).shape
    (3, 42, 42, 1)
    """
    count = len(images)
    if name == "R":
        angles = random.uniform(-90, 90, count)
        grid = _samplers["projective"](theta_of(placing(angles, 1.0, SIZE / 2)))
    elif name == "RTS":
        scales = random.uniform(0.7, 1.2, count)
        half = scales[:, None] * SIZE / 2
        centres = random.uniform(half, PLACED - half, (count, 2))
        matrices = placing(random.uniform(-45, 45, count), scales, centres)
        grid = _samplers["placed"](theta_of(matrices, PLACED))
    elif name == "P":
        grid = _samplers["projective"](theta_of(_pulled(count, random)))
    else:
        pulls = random.normal(0, 1.5, (count, 32)) * 2 / (SIZE - 1)
        theta = (_spline.identity + pulls) / random.uniform(0.75, 1, (count, 1))
        grid = _samplers["spline"](theta.astype(np.float32))
    return np.asarray(_sample([np.asarray(images, np.float32)[..., None], grid]))


def placing(degrees, scale, centre):
    """`(n, 3, 3)`: from pixels of the image to pixels of a digit that was turned, scaled and moved there.

    Positive degrees turn as `numpy.rot90`; `centre` is where the digit's middle lies, measured from the
    image's upper left corner, (x, y).
    """
    degrees = np.asarray(degrees, float)
    angle = np.deg2rad(degrees)
    matrices = np.zeros((len(degrees), 3, 3))
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    matrices[:, 0, 0], matrices[:, 0, 1] = cos, -sin
    matrices[:, 1, 0], matrices[:, 1, 1] = sin, cos
    matrices[:, 2, 2] = 1
    # The centre of a pixel lies half a pixel from its corner.
    centre = np.broadcast_to(np.asarray(centre, float) - 0.5, (len(degrees), 2))
    moved = np.einsum("nij,nj->ni", matrices[:, :2, :2], centre)
    matrices[:, :2, 2] = (SIZE - 1) / 2 - moved
    return matrices


def _pulled(count, random):
    """Corners pulled by chance, and again where that would fold the digit or tear it apart."""
    found = np.zeros((0, 3, 3))
    while len(found) < count:
        pulls = random.normal(0, 5, (count - len(found), 4, 2))
        drawn = pulling(random.uniform(0.75, 1, len(pulls)), pulls)
        # No corner of the image may lie behind the digit's horizon, none of the digit behind the image's.
        depths = [matrices[:, 2] @ _CORNERS.T for matrices in (drawn, np.linalg.inv(drawn))]
        found = np.concatenate([found, drawn[(np.minimum(*depths) > 0).all(axis=1)]])
    return found


def pulling(scale, pulls):
    """`(n, 3, 3)`: from pixels of the image to those of a digit whose corners went to other places.

    The digit is scaled about the middle; then its four corners, from the upper left clockwise, are pulled by
    `pulls`, `(n, 4, 2)` pixels.
    """
    corners, middle = _CORNERS[:, :2], (SIZE - 1) / 2
    targets = middle + (corners - middle) * np.reshape(scale, (-1, 1, 1)) + pulls
    # Eight equations: the homography that takes each target to its corner.
    x, y = targets[..., 0], targets[..., 1]
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = []
    for axis, places in ((0, [x, y, one, zero, zero, zero]), (1, [zero, zero, zero, x, y, one])):
        goal = corners[:, axis]
        rows.append(np.stack([*places, -x * goal, -y * goal], axis=-1))
    goals = np.concatenate([corners[:, 0], corners[:, 1]])
    goals = np.broadcast_to(goals[:, None], (len(targets), 8, 1))
    solved = np.linalg.solve(np.concatenate(rows, axis=1), goals)[..., 0]
    return np.concatenate([solved, np.ones((len(solved), 1))], axis=1).reshape(-1, 3, 3)


def theta_of(matrices, size=SIZE):
    """Theta of the projective family for matrices from pixels of a `size` image to pixels of a digit."""
    to_pixels = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 2 / (size - 1)]]) * (size - 1) / 2
    from_pixels = np.array([[2 / (SIZE - 1), 0, -1], [0, 2 / (SIZE - 1), -1], [0, 0, 1]])
    normalised = from_pixels @ matrices @ to_pixels
    return (normalised / normalised[:, 2:, 2:]).reshape(-1, 9)[:, :8].astype(np.float32)
