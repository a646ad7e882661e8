"""The subcommands of `gradcam`, one file each.

Each has `SUMMARY`, a line for `gradcam --help`; `USAGE`, the line that its own help begins with, and
perhaps `EXAMPLES`, the one that it ends with; `add_arguments(parser)`; and `run(options)`, which
returns the exit status. None imports TensorFlow, NumPy or OpenCV when it is imported.
"""
