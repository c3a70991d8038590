"""A door of ``mmroad vocabulary``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['vocabulary'])
