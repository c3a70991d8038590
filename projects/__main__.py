"""``python -m mmroad COMMAND``."""

from .commands import main

if __name__ == '__main__':
    main()
