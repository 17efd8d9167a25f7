"""`python -m inferry.cli` is the `inferry` script."""

from inferry.cli.main import main

if __name__ == "__main__":
    main()
