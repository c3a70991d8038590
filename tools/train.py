"""A door of ``mmroad train``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['train'])
