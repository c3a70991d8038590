"""A door of ``mmroad eval-ood``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('eval-ood')
