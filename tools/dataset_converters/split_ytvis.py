"""A door of ``mmroad data split-ytvis``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'split-ytvis')
