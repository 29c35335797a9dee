"""`python -m clickpaint` is the command line."""

import sys

from clickpaint.app.main import main

if __name__ == "__main__":
    sys.exit(main())
