"""`python evaluate.py [key=value ...]`: see `python evaluate.py --help`."""

from mutoscope.cli.entry import main

if __name__ == "__main__":
    main("evaluate")
