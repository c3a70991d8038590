"""A door of ``mmroad data ood-subset``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'ood-subset'])
