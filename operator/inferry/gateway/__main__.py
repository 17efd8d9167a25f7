"""`python -m inferry.gateway`."""

import sys

from inferry.gateway.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
