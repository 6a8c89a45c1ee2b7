"""`python -m penstock`: the command line without its script."""

from penstock import cli

if __name__ == "__main__":
    cli.main()
