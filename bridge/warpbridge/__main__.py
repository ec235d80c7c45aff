"""``python -m warpbridge``: the same as the ``warpbridge`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
