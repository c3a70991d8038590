"""A door of ``mmroad visualize``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['visualize'])
