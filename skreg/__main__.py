"""``python -m skreg``: report the environment, then fit one model per family and check its certificate."""

import sys

from skreg._tour import main

if __name__ == "__main__":
    sys.exit(main())
