"""`python -m actors`: the same as the command `cellferry`."""

from actors.cli.main import main

if __name__ == "__main__":
    main()
