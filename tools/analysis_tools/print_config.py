"""A door of ``mmroad config``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['config'])
