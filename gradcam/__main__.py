"""`python -m gradcam` is the command `gradcam`."""

import sys

from gradcam.command.main import main

sys.exit(main())
