"""From a path to a model: what lies there, what is mended, what is refused."""

from gradcam.loading.models import load_model

__all__ = ["load_model"]
