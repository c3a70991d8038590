"""A door of ``mmroad histogram``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['histogram'])
