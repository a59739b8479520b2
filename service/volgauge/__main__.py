"""`python -m volgauge`."""

import sys

from volgauge.cli import main

sys.exit(main())
