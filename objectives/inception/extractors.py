"""Feature extractors, from images to features and class logits: the published Inception network, or
a classifier trained on the data set itself.

Scores of the second kind bear its name ("fid@digits-cnn") and can never be taken for published
ones.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from objectives.inception.classifier import Classifier

# b batch, c channels, h height, w width, d features, k classes

PUBLISHED_INCEPTION = (
    "6726825d"  # start of the SHA-256 of pt_inception-2015-12-05, which its file name bears
)
_TENSORS = 566

_N = TypeVar("_N", bound=nn.Module)


class Features(NamedTuple):
    """Features and logits of a batch of images.

    Attributes:
        features_bd: Features for FID and KID.
        logits_bk: Logits for IS.
    """

    features_bd: Tensor
    logits_bk: Tensor


class Extractor(Protocol):
    """Small and picklable; a worker opens it."""

    @property
    def label(self) -> str:
        """Suffix of the score's name, after "@"; "" for the published network alone."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the weights: equal digests give equal features."""
        ...

    @property
    def num_features(self) -> int: ...

    @property
    def num_classes(self) -> int: ...

    def open(self, device: torch.device) -> None:
        """Reads the weights; a second call does nothing."""
        ...

    def extract(self, pixels_bchw: Tensor) -> Features:
        """(b, c, h, w) uint8."""
        ...


class Inception:
    """The Inception network of the published scores, ported from TensorFlow (2015-12-05), run by
    torch-fidelity.

    Images are resized to 299 pixels by TensorFlow-1 bilinear inside; logits leave the classifier's
    bias out, as the published IS does.
    """

    num_features = 2048
    num_classes = 1008

    def __init__(self, path: Path, *, sha256: str = PUBLISHED_INCEPTION) -> None:
        """`path` is a file of weights in the layout pt_inception-2015-12-05; `sha256` its digest,
        or the start of at least 8 digits.

        With another digest than the published one the scores bear it as their label.

        Raises:
            ValueError: The file has another digest.
            FileNotFoundError: There is no such file.
        """
        if len(sha256) < 8:
            raise ValueError(f"a digest needs at least 8 hex digits, got {sha256!r}")
        self._path = Path(path)
        self.digest = digest_of(self._path)
        if not self.digest.startswith(sha256.lower()):
            raise ValueError(
                f"{path} has SHA-256 {self.digest}, expected {sha256.lower()}...: it is not the "
                "Inception network of the published scores; "
                "give the file pt_inception-2015-12-05-6726825d.pth, or say sha256= to use other "
                "weights under a name of their own"
            )
        self.label = (
            "" if self.digest.startswith(PUBLISHED_INCEPTION) else f"inception-{self.digest[:8]}"
        )
        self._network: nn.Module | None = None
        self._device = torch.device("cpu")

    def open(self, device: torch.device) -> None:
        """Reads the file without running what a pickle may hold.

        Raises:
            ImportError: torch-fidelity is not installed.
            ValueError: The file changed, or is no such network.
        """
        if self._network is not None:
            return
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise ImportError(
                "Inception scores need torch-fidelity: pip install 'evoray[gan]'"
            ) from error
        content = self._path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise ValueError(
                f"{self._path} changed after it was checked: put the file back and start again"
            )
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if (
            not isinstance(tensors, dict)
            or len(tensors) != _TENSORS
            or not all(isinstance(t, Tensor) for t in tensors.values())
        ):
            raise ValueError(
                f"{self._path} does not hold the {_TENSORS} tensors of pt_inception-2015-12-05"
            )
        # the library would load the file with weights_only=False: it gets tensors that were loaded
        # safely
        clean = io.BytesIO()
        torch.save(tensors, clean)
        clean.seek(0)
        network = FeatureExtractorInceptionV3(
            "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=clean
        )
        self._network, self._device = network.to(device).eval(), device

    def extract(self, pixels_bchw: Tensor) -> Features:
        """(b, 1 or 3, h, w) uint8; grey images are repeated."""
        network = opened(self._network, "the Inception network")
        pixels = _checked(pixels_bchw)
        with torch.inference_mode():
            features, logits = network(pixels.expand(-1, 3, -1, -1).to(self._device))
        return Features(features, logits)

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_network": None}


class TrainedClassifier:
    """A classifier that `classifier.train` has trained and `classifier.save` has written."""

    def __init__(self, path: Path) -> None:
        """`path` is the safetensors file, whose name ends with the start of its digest.

        Raises:
            ValueError: The file is damaged or none of ours.
            FileNotFoundError: There is no such file.
        """
        self._path = Path(path)
        self.digest = digest_of(self._path)
        self.label, _, start = self._path.stem.rpartition("-")
        if len(start) < 8 or not self.digest.startswith(start):
            raise ValueError(
                f"{path} has SHA-256 {self.digest}, which its name does not end with: it is "
                "damaged or was renamed; train it anew"
            )
        try:
            with safe_open(self._path, framework="pt") as file:
                self._shape = Classifier.shape_of(file.metadata() or {})
        except SafetensorError as error:
            raise ValueError(
                f"{path} is no safetensors file ({error}): train the classifier anew"
            ) from None
        self._network: Classifier | None = None
        self._device = torch.device("cpu")

    @property
    def num_features(self) -> int:
        return self._shape.num_features

    @property
    def num_classes(self) -> int:
        return self._shape.num_classes

    def open(self, device: torch.device) -> None:
        """Reads the weights."""
        if self._network is None:
            with safe_open(self._path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # a file, not a mapping
            network = Classifier(self._shape)
            network.load_state_dict(tensors)
            self._network, self._device = network.to(device).eval().requires_grad_(False), device

    def extract(self, pixels_bchw: Tensor) -> Features:
        """(b, c, h, w) uint8 of the data set's own shape."""
        network = opened(self._network, "the classifier")
        with torch.inference_mode():
            return Features(*network.features_and_logits(_checked(pixels_bchw).to(self._device)))

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_network": None}


def opened(network: _N | None, what: str) -> _N:
    """`network`, if it is there.

    Raises:
        RuntimeError: It was not opened.
    """
    if network is None:
        raise RuntimeError(f"{what} was not opened: call open(device) first")
    return network


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: give an extractor's weights that exist")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked(pixels_bchw: Tensor) -> Tensor:
    if (
        pixels_bchw.dtype != torch.uint8
        or pixels_bchw.ndim != 4
        or pixels_bchw.shape[1] not in (1, 3)
    ):
        raise ValueError(
            f"an extractor takes (b, 1 or 3, h, w) uint8 pixels, got {tuple(pixels_bchw.shape)} "
            f"{pixels_bchw.dtype}"
        )
    return pixels_bchw
