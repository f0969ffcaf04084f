"""`python -m wsgix` is the command `wsgix`."""

import sys

from wsgix.cli import main

if __name__ == "__main__":
    sys.exit(main())
