"""A door of ``mmroad vocabulary``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('vocabulary')
