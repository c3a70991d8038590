"""A door of ``mmroad test``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['test'])
