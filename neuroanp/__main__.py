"""Run the command line as `python -m neuroanp`."""

from neuroanp.cli.main import run

if __name__ == "__main__":
    run()
