"""The door: `python -m peers_parts`."""

import sys

from .main import main

sys.exit(main())
