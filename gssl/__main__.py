"""``python -m gssl``."""

import sys

from gssl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
