"""The subcommands of `gradcam`, one file each.

Each has `SUMMARY`, a line for `gradcam --help`; `add_arguments(parser)`; and `run(options)`, which
returns the exit status. It may have `USAGE`, the line that its own help begins with, and
`EXAMPLES`, which it ends with. None imports TensorFlow, NumPy or OpenCV when it is imported.
"""
