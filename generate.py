"""`python generate.py [key=value ...]`: see `python generate.py --help`."""

from mutoscope.cli.entry import main

if __name__ == "__main__":
    main("generate")
