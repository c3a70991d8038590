"""A door of ``mmroad test``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('test')
