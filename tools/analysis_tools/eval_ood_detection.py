"""A door of ``mmroad eval-ood``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['eval-ood'])
