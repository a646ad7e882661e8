"""Why is it None, why is it blank, why doesn't it learn: looks at a model and says what is wrong.

One recording of the model and a file for each group of checks: the images, the activations, the
outputs against the loss, the gradients towards the layers and the weights, spatial transformers, the
map. `examination` makes and asks them.
"""

from gradcam.doctor.diagnosis import Diagnosis, Finding, LayerGradient
from gradcam.doctor.examination import diagnose

__all__ = ["Diagnosis", "Finding", "LayerGradient", "diagnose"]
