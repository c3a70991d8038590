"""A door of ``mmroad flops``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['flops'])
