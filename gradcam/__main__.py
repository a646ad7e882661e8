"""`python -m gradcam` is the command `gradcam`."""

import sys

from gradcam.cli import main

sys.exit(main())
