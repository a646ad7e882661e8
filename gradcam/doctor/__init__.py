"""Why is it None, why is it blank, why doesn't it learn: looks at a model and says what is wrong.

One trace of the model, six groups of checks: the images, the way forward, the gradients towards the
layers and the weights, spatial transformers, the explanation. `examination` calls them; each has a
file, `check_...`.
"""

from gradcam.doctor.diagnosis import Diagnosis, Finding, LayerGradient
from gradcam.doctor.examination import diagnose

__all__ = ["Diagnosis", "Finding", "LayerGradient", "diagnose"]
