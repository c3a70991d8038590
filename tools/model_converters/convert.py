"""A door of ``mmroad convert``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('convert')
