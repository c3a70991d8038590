"""A door of ``mmroad data ood-subset``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'ood-subset')
