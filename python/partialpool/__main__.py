"""Run the command line as ``python -m partialpool``."""

import sys

from partialpool.cli import main

if __name__ == "__main__":
    sys.exit(main())
