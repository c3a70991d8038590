"""A door of ``mmroad eval-anomaly``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('eval-anomaly')
