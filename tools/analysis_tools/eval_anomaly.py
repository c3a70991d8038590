"""A door of ``mmroad eval-anomaly``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['eval-anomaly'])
