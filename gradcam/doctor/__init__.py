"""Why is it None, why is it blank, why doesn't it learn: looks at a model and says what is wrong.

One trace of the model, six groups of checks: the images, the way forward, the gradients towards the
layers and the weights, spatial transformers, the explanation. `walk` calls them; each has a file.
"""

from gradcam.doctor.diagnosis import Diagnosis, Finding, LayerGradient
from gradcam.doctor.walk import diagnose

__all__ = ["Diagnosis", "Finding", "LayerGradient", "diagnose"]
