"""The subcommands of `gradcam`, one file each.

Each has `SUMMARY`, a line for `gradcam --help`; `add_arguments(parser)`; and `run(options)`, which
returns the exit status. None imports TensorFlow, NumPy or OpenCV when it is imported.
"""
