"""SavedModels: their graphs are read, never run as the programs that they are.

From the directory to something that can be explained, one file a step: `reading` (the program),
`safety` (what it must not do), `signatures` (what it can be asked), `functions` and `flattening`
(its graph without calls), `variables` and `tables` (its weights), `operations`, `scopes`, `naming`,
`kinds` and `layers` (its layers), `source` (all of it in a trace).
"""

from gradcam.loading.saved_models.opening import SavedModel, open_saved_model

__all__ = ["SavedModel", "open_saved_model"]
