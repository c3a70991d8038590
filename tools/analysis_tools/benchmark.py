"""A door of ``mmroad speed``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('speed')
