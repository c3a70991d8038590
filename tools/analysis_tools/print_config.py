"""A door of ``mmroad config``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('config')
