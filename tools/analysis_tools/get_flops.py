"""A door of ``mmroad flops``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('flops')
