"""A door of ``mmroad plot``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('plot')
