"""Training on data of one's own: a config for it, made from one of the zoo's.

``mmroad train NAME --data DIR`` calls `own_config.write_own_config`; the config that it writes is trained, and can be
trained again by itself.
"""
