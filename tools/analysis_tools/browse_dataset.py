"""A door of ``mmroad browse``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('browse')
