"""python -m asr_core: the command line."""

from asr_core.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m asr_core")
