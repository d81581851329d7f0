"""`python train.py [key=value ...]`: see `python train.py --help`."""

from mutoscope.cli.entry import main

if __name__ == "__main__":
    main("train")
